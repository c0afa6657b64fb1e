/** The memory that layouts read and write: the views of one buffer, created once, and the checks of an offset in it. */

import { types } from 'node:util';
import { ClosedError, invalidArgument } from '../system/errors.js';

/** Memory for a layout: a `SharedMemory` (anything with a `buffer`), a buffer, or a part of one. */
export type LayoutMemory = { readonly buffer: ArrayBufferLike } | ArrayBufferLike | Uint8Array;

/**
 * The views of one buffer. Numbers go through the `DataView`: V8 compiles it to a plain load or store, and unlike a typed array it throws
 * once the buffer is detached. The other views are for text and for `Atomics`.
 */
export class Memory {
  readonly data: DataView;
  readonly bytes: Uint8Array;
  #i32: Int32Array | undefined;
  #u32: Uint32Array | undefined;
  #i64: BigInt64Array | undefined;
  #u64: BigUint64Array | undefined;

  constructor(buffer: ArrayBufferLike) {
    this.data = new DataView(buffer);
    this.bytes = new Uint8Array(buffer);
  }
  // Atomics need a typed array of each kind. It is created again if a resizable buffer has changed its length.
  get i32(): Int32Array {
    const count = Math.floor(this.bytes.length / 4);
    if (this.#i32?.length !== count) this.#i32 = new Int32Array(this.bytes.buffer, 0, count);
    return this.#i32;
  }
  get u32(): Uint32Array {
    const count = Math.floor(this.bytes.length / 4);
    if (this.#u32?.length !== count) this.#u32 = new Uint32Array(this.bytes.buffer, 0, count);
    return this.#u32;
  }
  get i64(): BigInt64Array {
    const count = Math.floor(this.bytes.length / 8);
    if (this.#i64?.length !== count) this.#i64 = new BigInt64Array(this.bytes.buffer, 0, count);
    return this.#i64;
  }
  get u64(): BigUint64Array {
    const count = Math.floor(this.bytes.length / 8);
    if (this.#u64?.length !== count) this.#u64 = new BigUint64Array(this.bytes.buffer, 0, count);
    return this.#u64;
  }
  get isOpen(): boolean {
    return this.bytes.length !== 0;
  }
  /** For code that does not touch the bytes at once, or would not notice that they are gone. */
  checkOpen(): void {
    if (!this.isOpen) throw new ClosedError('the memory');
  }
  /** Translates a caught error: if the buffer is detached, that is the cause. */
  explain(error: unknown): unknown {
    return isDetached(this.bytes.buffer) ? new ClosedError('the memory') : error;
  }
}

const known = new WeakMap<ArrayBufferLike, Memory>();
/** The {@link Memory} of what the caller passed. */
export function memoryOf(memory: LayoutMemory): Memory {
  const buffer = bufferOf(memory);
  return known.get(buffer) ?? newMemory(buffer);
}
function newMemory(buffer: ArrayBufferLike): Memory {
  if (isDetached(buffer)) throw new ClosedError('the memory');
  const made = new Memory(buffer);
  known.set(buffer, made);
  return made;
}
function bufferOf(memory: LayoutMemory): ArrayBufferLike {
  if (isBuffer(memory)) return memory;
  if (memory !== null && typeof memory === 'object' && (memory instanceof Uint8Array || !ArrayBuffer.isView(memory))) {
    const { buffer } = memory;
    if (isBuffer(buffer)) return buffer;
  }
  throw invalidArgument('ERR_INVALID_ARG_TYPE', 'memory', 'a SharedMemory, an ArrayBuffer or a Uint8Array', memory);
}
/** The second, slower check is for buffers of other realms: test runners load code in one of their own. */
function isBuffer(value: unknown): value is ArrayBufferLike {
  return value instanceof ArrayBuffer || types.isAnyArrayBuffer(value);
}
function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength !== 0) return false;
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

/** What a record requires of its memory. */
export interface Shape {
  readonly size: number;
  readonly alignment: number;
  /** The alignment that the processor requires: that of the widest atomic field, 1 without one. */
  readonly atomicAlignment: number;
}
/** The offset in its buffer of the record at `offset` of `memory`. */
export function place(views: Memory, memory: LayoutMemory, offset: number, shape: Shape): number {
  let base = 0;
  let length = views.bytes.length;
  if (memory instanceof Uint8Array) {
    base = memory.byteOffset;
    length = memory.length;
  }
  if (
    typeof offset !== 'number' ||
    !(offset >= 0 && offset <= length - shape.size) ||
    offset % shape.alignment !== 0 ||
    (base + offset) % shape.atomicAlignment !== 0
  ) {
    throw misplaced(views, length, base, offset, shape);
  }
  return base + offset;
}
function misplaced(views: Memory, length: number, base: number, offset: number, shape: Shape): Error {
  if (isDetached(views.bytes.buffer)) return new ClosedError('the memory');
  if (typeof offset !== 'number') return invalidArgument('ERR_INVALID_ARG_TYPE', 'offset', 'a number', offset);
  const { size, alignment, atomicAlignment } = shape;
  if (length < size) {
    const expected = `at least ${size} bytes for this layout`;
    return invalidArgument('ERR_OUT_OF_RANGE', 'memory', expected, length);
  }
  if (!Number.isInteger(offset) || offset < 0 || offset > length - size) {
    return invalidArgument('ERR_OUT_OF_RANGE', 'offset', `a whole number from 0 to ${length - size}`, offset);
  }
  if (offset % alignment !== 0) {
    return invalidArgument('ERR_OUT_OF_RANGE', 'offset', `a multiple of the alignment, ${alignment}`, offset);
  }
  const expected = `such that byteOffset + offset is a multiple of ${atomicAlignment}, because of the atomic fields`;
  return invalidArgument('ERR_OUT_OF_RANGE', 'offset', expected, base + offset);
}
