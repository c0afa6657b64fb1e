/** Numbers and bool: C's fixed-width types, one class each, so that V8 compiles every access to one load or store. */

import { LITTLE_ENDIAN } from '../system/bytes.js';
import { Field } from './layout-field.js';
import type { Memory } from './layout-memory.js';

abstract class WholeNumber extends Field {
  readonly min: number;
  readonly max: number;
  constructor(label: string, kind: string, size: number, min: number, max: number) {
    super(label, kind, { size, alignment: size });
    this.min = min;
    this.max = max;
  }
  fits(value: unknown): value is number {
    return Number.isInteger(value) && (value as number) >= this.min && (value as number) <= this.max;
  }
  refuse(value: unknown): Error {
    return typeof value === 'number'
      ? this.outOfRange(`a whole number from ${this.min} to ${this.max}`, value)
      : this.wrongType('a number', value);
  }
}
class U8 extends WholeNumber {
  constructor(label: string) {
    super(label, 'u8', 1, 0, 0xff);
  }
  read(memory: Memory, at: number): number {
    return memory.data.getUint8(at);
  }
  write(memory: Memory, at: number, value: unknown): void {
    if (typeof value !== 'number' || (value & 0xff) !== value) throw this.refuse(value);
    memory.data.setUint8(at, value);
  }
}
class I8 extends WholeNumber {
  constructor(label: string) {
    super(label, 'i8', 1, -0x80, 0x7f);
  }
  read(memory: Memory, at: number): number {
    return memory.data.getInt8(at);
  }
  write(memory: Memory, at: number, value: unknown): void {
    if (typeof value !== 'number' || (value << 24) >> 24 !== value) throw this.refuse(value);
    memory.data.setInt8(at, value);
  }
}
class U16 extends WholeNumber {
  constructor(label: string) {
    super(label, 'u16', 2, 0, 0xffff);
  }
  read(memory: Memory, at: number): number {
    return memory.data.getUint16(at, LITTLE_ENDIAN);
  }
  write(memory: Memory, at: number, value: unknown): void {
    if (typeof value !== 'number' || (value & 0xffff) !== value) throw this.refuse(value);
    memory.data.setUint16(at, value, LITTLE_ENDIAN);
  }
}
class I16 extends WholeNumber {
  constructor(label: string) {
    super(label, 'i16', 2, -0x8000, 0x7fff);
  }
  read(memory: Memory, at: number): number {
    return memory.data.getInt16(at, LITTLE_ENDIAN);
  }
  write(memory: Memory, at: number, value: unknown): void {
    if (typeof value !== 'number' || (value << 16) >> 16 !== value) throw this.refuse(value);
    memory.data.setInt16(at, value, LITTLE_ENDIAN);
  }
}
class U32 extends WholeNumber {
  constructor(label: string) {
    super(label, 'u32', 4, 0, 0xffffffff);
  }
  read(memory: Memory, at: number): number {
    return memory.data.getUint32(at, LITTLE_ENDIAN);
  }
  write(memory: Memory, at: number, value: unknown): void {
    if (typeof value !== 'number' || value >>> 0 !== value) throw this.refuse(value);
    memory.data.setUint32(at, value, LITTLE_ENDIAN);
  }
}
class I32 extends WholeNumber {
  constructor(label: string) {
    super(label, 'i32', 4, -0x80000000, 0x7fffffff);
  }
  read(memory: Memory, at: number): number {
    return memory.data.getInt32(at, LITTLE_ENDIAN);
  }
  write(memory: Memory, at: number, value: unknown): void {
    if (typeof value !== 'number' || (value | 0) !== value) throw this.refuse(value);
    memory.data.setInt32(at, value, LITTLE_ENDIAN);
  }
}

abstract class BigNumber extends Field {
  readonly min: bigint;
  readonly max: bigint;
  constructor(label: string, kind: string, min: bigint, max: bigint) {
    super(label, kind, { size: 8, alignment: 8 });
    this.min = min;
    this.max = max;
  }
  fits(value: unknown): value is bigint {
    return typeof value === 'bigint' && value >= this.min && value <= this.max;
  }
  refuse(value: unknown): Error {
    return typeof value === 'bigint'
      ? this.outOfRange(`a bigint from ${this.min} to ${this.max}`, value)
      : this.wrongType('a bigint', value);
  }
}
class U64 extends BigNumber {
  constructor(label: string) {
    super(label, 'u64', 0n, (1n << 64n) - 1n);
  }
  read(memory: Memory, at: number): bigint {
    return memory.data.getBigUint64(at, LITTLE_ENDIAN);
  }
  write(memory: Memory, at: number, value: unknown): void {
    if (typeof value !== 'bigint' || BigInt.asUintN(64, value) !== value) throw this.refuse(value);
    memory.data.setBigUint64(at, value, LITTLE_ENDIAN);
  }
}
class I64 extends BigNumber {
  constructor(label: string) {
    super(label, 'i64', -(1n << 63n), (1n << 63n) - 1n);
  }
  read(memory: Memory, at: number): bigint {
    return memory.data.getBigInt64(at, LITTLE_ENDIAN);
  }
  write(memory: Memory, at: number, value: unknown): void {
    if (typeof value !== 'bigint' || BigInt.asIntN(64, value) !== value) throw this.refuse(value);
    memory.data.setBigInt64(at, value, LITTLE_ENDIAN);
  }
}

class F32 extends Field {
  constructor(label: string) {
    super(label, 'f32', { size: 4, alignment: 4 });
  }
  read(memory: Memory, at: number): number {
    return memory.data.getFloat32(at, LITTLE_ENDIAN);
  }
  /** Rounds to the nearest float, as C does; refuses a finite number that would become infinite. */
  write(memory: Memory, at: number, value: unknown): void {
    if (typeof value !== 'number') throw this.wrongType('a number', value);
    if (Number.isFinite(value) && !Number.isFinite(Math.fround(value))) {
      throw this.outOfRange('a number that a 32-bit float can hold', value);
    }
    memory.data.setFloat32(at, value, LITTLE_ENDIAN);
  }
}
class F64 extends Field {
  constructor(label: string) {
    super(label, 'f64', { size: 8, alignment: 8 });
  }
  read(memory: Memory, at: number): number {
    return memory.data.getFloat64(at, LITTLE_ENDIAN);
  }
  write(memory: Memory, at: number, value: unknown): void {
    if (typeof value !== 'number') throw this.wrongType('a number', value);
    memory.data.setFloat64(at, value, LITTLE_ENDIAN);
  }
}

class Bool extends Field {
  constructor(label: string) {
    super(label, 'bool', { size: 1, alignment: 1 });
  }
  /** Every byte but 0 is true: a peer may have written a byte that C's bool never holds. */
  read(memory: Memory, at: number): boolean {
    return memory.data.getUint8(at) !== 0;
  }
  write(memory: Memory, at: number, value: unknown): void {
    if (typeof value !== 'boolean') throw this.wrongType('a boolean', value);
    memory.data.setUint8(at, value ? 1 : 0);
  }
}

/** The kinds that are given as a plain string. */
export const SCALARS = {
  u8: U8,
  i8: I8,
  u16: U16,
  i16: I16,
  u32: U32,
  i32: I32,
  u64: U64,
  i64: I64,
  f32: F32,
  f64: F64,
  bool: Bool,
} as const;
