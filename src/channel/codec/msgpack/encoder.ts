/**
 * Values to MessagePack. It checks while it writes, so that values that would not arrive equal are refused: a second walk would cost as
 * much as the first.
 */

import {
  errorClassOf,
  kindOf,
  refuseDetached,
  refuseInstance,
  refusePrimitive,
  refuseProperties,
  refuseStarted,
  refuseSymbols,
  refuseUnsteady,
} from '../kinds.js';
import { element, entry, MAX_DEPTH, nth, property, Refusal, within } from '../refusal.js';
import { LARGEST_KEPT, Views } from '../scratch.js';
import { isWellFormed, utf8Write } from '../utf8.js';
import { ARRAY_BUFFER, BIGINT, ERROR, MAP, REGEXP, SET, TIMESTAMP, UNDEFINED, VIEW, viewNumber } from './format.js';

const { getPrototypeOf, getOwnPropertySymbols, prototype: objectPrototype } = Object;
const { isArray, prototype: arrayPrototype } = Array;
const { hasOwnProperty: hasOwn, propertyIsEnumerable: isEnumerable } = objectPrototype;

const SMALLEST = 8192;
/** Free room before each value: enough for every value of known length. */
const SLACK = 32;
/** Characters up to which a loop is faster than a call into native code. */
const SHORT = 32;

export class MsgpackEncoder {
  #memory: Buffer<ArrayBuffer> = Buffer.alloc(SMALLEST);
  #data = dataOf(this.#memory);
  #views = new Views(this.#memory);
  #at = 0;
  /** Up to here {@link SLACK} is left. */
  #limit = SMALLEST - SLACK;
  #depth = 0;
  #busy = false;

  /**
   * The bytes of a value, until the next call. Throws a {@link Refusal}, or what the value's own getters throw.
   * A getter may encode another value meanwhile.
   */
  encode(value: unknown): Uint8Array {
    if (this.#busy) return new MsgpackEncoder().encode(value);
    this.#busy = true;
    this.#at = this.#depth = 0;
    try {
      this.#write(value);
      return this.#views.of(this.#at);
    } finally {
      this.#busy = false;
      if (this.#memory.length > LARGEST_KEPT) this.#take(Buffer.alloc(SMALLEST));
    }
  }
  #take(memory: Buffer<ArrayBuffer>): void {
    this.#memory = memory;
    this.#data = dataOf(memory);
    this.#views = new Views(memory);
    this.#limit = memory.length - SLACK;
  }
  #grow(length: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#memory.length * 2, this.#at + length + 2 * SLACK));
    larger.set(this.#memory.subarray(0, this.#at));
    this.#take(larger);
  }
  /** Makes room for `length` bytes and {@link SLACK}. */
  #room(length: number): void {
    if (this.#at + length > this.#limit) this.#grow(length);
  }

  #write(value: unknown): void {
    if (this.#at > this.#limit) this.#grow(0);
    if (typeof value === 'string') this.#text(value);
    else if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'object') {
      if (value === null) this.#memory[this.#at++] = 0xc0;
      else this.#object(value);
    } else if (typeof value === 'boolean') this.#memory[this.#at++] = value ? 0xc3 : 0xc2;
    else if (value === undefined) {
      this.#fixed(0xd4, UNDEFINED);
      this.#memory[this.#at++] = 0;
    } else if (typeof value === 'bigint') this.#bigint(value);
    else throw refusePrimitive(value);
  }
  #number(value: number): void {
    const memory = this.#memory;
    const at = this.#at;
    if (value >>> 0 === value && (value !== 0 || 1 / value > 0)) {
      if (value < 0x80) {
        memory[at] = value;
        this.#at = at + 1;
      } else if (value < 0x100) {
        memory[at] = 0xcc;
        memory[at + 1] = value;
        this.#at = at + 2;
      } else if (value < 0x10000) {
        memory[at] = 0xcd;
        memory[at + 1] = value >> 8;
        memory[at + 2] = value;
        this.#at = at + 3;
      } else {
        memory[at] = 0xce;
        this.#data.setUint32(at + 1, value);
        this.#at = at + 5;
      }
    } else if (value >> 0 === value && value !== 0) {
      if (value >= -0x20) {
        memory[at] = value;
        this.#at = at + 1;
      } else if (value >= -0x80) {
        memory[at] = 0xd0;
        memory[at + 1] = value;
        this.#at = at + 2;
      } else if (value >= -0x8000) {
        memory[at] = 0xd1;
        memory[at + 1] = value >> 8;
        memory[at + 2] = value;
        this.#at = at + 3;
      } else {
        memory[at] = 0xd2;
        this.#data.setInt32(at + 1, value);
        this.#at = at + 5;
      }
    } else {
      memory[at] = 0xcb;
      this.#data.setFloat64(at + 1, value);
      this.#at = at + 9;
    }
  }
  #text(value: string): void {
    const { length } = value;
    if (length >= SHORT) {
      this.#longText(value);
      return;
    }
    this.#room(length);
    const memory = this.#memory;
    const start = this.#at;
    let at = start + 1;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code >= 0x80) {
        this.#longText(value);
        return;
      }
      memory[at++] = code;
    }
    memory[start] = 0xa0 | length;
    this.#at = at;
  }
  #longText(value: string): void {
    this.#room(value.length * 3);
    const memory = this.#memory;
    // As long as the header of a text of that many bytes; non-ASCII text may need a longer one.
    const guess = textHeader(value.length);
    const start = this.#at + guess;
    const written = utf8Write.call(memory, value, start, memory.length - start);
    if (written !== value.length && !isWellFormed.call(value)) {
      throw new Refusal('it contains a lone surrogate, which UTF-8 cannot encode');
    }
    const header = textHeader(written);
    if (header !== guess) memory.copyWithin(this.#at + header, start, start + written);
    if (header === 1) memory[this.#at] = 0xa0 | written;
    else this.#sized(0xd9, written);
    this.#at += written + (header === 1 ? 1 : 0);
  }
  /** A token for 8 bits of length, the next for 16, the one after that for 32. */
  #sized(token: number, length: number): void {
    const memory = this.#memory;
    if (length < 0x100) {
      memory[this.#at++] = token;
      memory[this.#at++] = length;
    } else if (length < 0x10000) {
      memory[this.#at++] = token + 1;
      memory[this.#at++] = length >> 8;
      memory[this.#at++] = length;
    } else {
      memory[this.#at] = token + 2;
      this.#data.setUint32(this.#at + 1, length);
      this.#at += 5;
    }
  }
  #fixed(token: number, type: number): void {
    this.#memory[this.#at++] = token;
    this.#memory[this.#at++] = type;
  }

  #object(value: object): void {
    if (++this.#depth > MAX_DEPTH) throw Refusal.tooDeep();
    const prototype = getPrototypeOf(value);
    if (isArray(value)) {
      if (prototype === arrayPrototype || kindOf(value) === 'array') this.#array(value);
      else throw refuseInstance(value);
    } else if (prototype === objectPrototype || prototype === null) this.#plain(value as Record<string, unknown>);
    else this.#other(value);
    this.#depth--;
  }
  #array(value: readonly unknown[]): void {
    const { length } = value;
    if (length < 0x10) this.#memory[this.#at++] = 0x90 | length;
    else this.#longArray(length);
    let i = 0;
    try {
      for (; i < length; i++) {
        const inner = value[i];
        if (inner === undefined && !(i in value)) throw new Refusal('the array has a hole there');
        this.#write(inner);
      }
    } catch (error) {
      throw within(error, element(i));
    }
  }
  /** Has no token for 8 bits of length. */
  #longArray(length: number): void {
    if (length < 0x10000) {
      this.#memory[this.#at++] = 0xdc;
      this.#memory[this.#at++] = length >> 8;
      this.#memory[this.#at++] = length;
    } else {
      this.#memory[this.#at] = 0xdd;
      this.#data.setUint32(this.#at + 1, length);
      this.#at += 5;
    }
  }
  #plain(value: Record<string, unknown>): void {
    if (getOwnPropertySymbols(value).length > 0) refuseSymbols(value);
    const start = this.#at++;
    let count = 0;
    let last = '';
    try {
      for (const key in value) {
        if (!hasOwn.call(value, key)) continue;
        last = key;
        this.#text(key);
        this.#write(value[key]);
        count++;
      }
    } catch (error) {
      throw within(error, property(last));
    }
    if (count < 0x10) this.#memory[start] = 0x80 | count;
    else this.#longMap(start, count);
  }
  /** The header is longer than the byte that was reserved for it. */
  #longMap(start: number, count: number): void {
    this.#room(4);
    const more = count < 0x10000 ? 2 : 4;
    this.#memory.copyWithin(start + 1 + more, start + 1, this.#at);
    this.#memory[start] = more === 2 ? 0xde : 0xdf;
    if (more === 2) this.#data.setUint16(start + 1, count);
    else this.#data.setUint32(start + 1, count);
    this.#at += more;
  }

  #other(value: object): void {
    switch (kindOf(value)) {
      case 'plain':
        this.#plain(value as Record<string, unknown>);
        break;
      case 'date':
        this.#date(value as Date);
        break;
      case 'map':
        this.#map(value as Map<unknown, unknown>);
        break;
      case 'set':
        this.#set(value as Set<unknown>);
        break;
      case 'view':
        this.#view(value as ArrayBufferView);
        break;
      case 'buffer':
        this.#buffer(value as ArrayBuffer);
        break;
      case 'regexp':
        this.#regexp(value as RegExp);
        break;
      case 'error':
        this.#error(value as Error);
        break;
      case 'boxed':
        throw new Refusal('it is a boxed primitive; send the primitive');
      default:
        throw refuseInstance(value);
    }
  }
  #bigint(value: bigint): void {
    if (BigInt.asIntN(64, value) === value) {
      this.#memory[this.#at] = 0xd3;
      this.#data.setBigInt64(this.#at + 1, value);
      this.#at += 9;
    } else if (BigInt.asUintN(64, value) === value) {
      this.#memory[this.#at] = 0xcf;
      this.#data.setBigUint64(this.#at + 1, value);
      this.#at += 9;
    } else {
      const positive = value < 0n ? ~value : value;
      let digits = positive.toString(16);
      if (digits.length % 2 === 1) digits = `0${digits}`;
      else if (digits >= '8') digits = `00${digits}`; // the highest bit is the sign
      const bytes = Buffer.from(digits, 'hex');
      if (value < 0n) for (let i = 0; i < bytes.length; i++) bytes[i] = ~bytes[i]!;
      this.#extension(BIGINT, bytes);
    }
  }
  #extension(type: number, bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#sized(0xc7, bytes.length);
    this.#memory[this.#at++] = type;
    this.#memory.set(bytes, this.#at);
    this.#at += bytes.length;
  }
  #date(value: Date): void {
    refuseProperties(value, 'a Date');
    const time = value.getTime();
    const data = this.#data;
    const at = this.#at;
    if (Number.isNaN(time)) {
      this.#fixed(0xd4, TIMESTAMP);
      this.#memory[this.#at++] = 0xff; // not a length that the specification knows
      return;
    }
    const seconds = Math.floor(time / 1000);
    const nanoseconds = (time - seconds * 1000) * 1_000_000;
    if (seconds >= 0 && seconds <= 0xffffffff) {
      if (nanoseconds === 0) {
        this.#fixed(0xd6, TIMESTAMP);
        data.setUint32(at + 2, seconds);
        this.#at = at + 6;
      } else {
        this.#fixed(0xd7, TIMESTAMP);
        data.setUint32(at + 2, nanoseconds * 4);
        data.setUint32(at + 6, seconds);
        this.#at = at + 10;
      }
    } else {
      this.#sized(0xc7, 12);
      this.#memory[this.#at++] = TIMESTAMP;
      data.setUint32(at + 3, nanoseconds);
      data.setBigInt64(at + 7, BigInt(seconds));
      this.#at = at + 15;
    }
  }
  /** Reserves the header of an extension whose length is known only afterwards; returns where it begins. */
  #begin(): number {
    const start = this.#at;
    this.#at += 6;
    return start;
  }
  #end(start: number, type: number): void {
    this.#memory[start] = 0xc9;
    this.#data.setUint32(start + 1, this.#at - start - 6);
    this.#memory[start + 5] = type;
  }
  #map(value: Map<unknown, unknown>): void {
    refuseProperties(value, 'a Map');
    const start = this.#begin();
    let i = 0;
    for (const [key, inner] of value) {
      this.#inner(key, () => nth('keys', i));
      this.#inner(inner, () => entry(key));
      i++;
    }
    this.#end(start, MAP);
  }
  #set(value: Set<unknown>): void {
    refuseProperties(value, 'a Set');
    const start = this.#begin();
    let i = 0;
    for (const inner of value) {
      this.#inner(inner, () => nth('values', i));
      i++;
    }
    this.#end(start, SET);
  }
  #inner(value: unknown, step: () => string): void {
    try {
      this.#write(value);
    } catch (error) {
      throw within(error, error instanceof Refusal ? step() : '');
    }
  }
  #view(value: ArrayBufferView): void {
    refuseSymbols(value);
    refuseDetached(value);
    const bytes = new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength);
    const name = value instanceof Uint8Array ? 'Uint8Array' : String(getPrototypeOf(value).constructor.name);
    if (name === 'Uint8Array') {
      this.#room(bytes.length);
      this.#sized(0xc4, bytes.length);
      this.#memory.set(bytes, this.#at);
      this.#at += bytes.length;
    } else this.#raw(viewNumber(name), bytes);
  }
  #buffer(value: ArrayBuffer): void {
    refuseProperties(value, 'an ArrayBuffer');
    refuseUnsteady(value);
    this.#raw(ARRAY_BUFFER, new Uint8Array(value));
  }
  #raw(elements: number, bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#sized(0xc7, bytes.length + 1);
    this.#fixed(VIEW, elements);
    this.#memory.set(bytes, this.#at);
    this.#at += bytes.length;
  }
  #regexp(value: RegExp): void {
    refuseProperties(value, 'a RegExp');
    refuseStarted(value);
    const start = this.#begin();
    this.#write(value.source);
    this.#write(value.flags);
    this.#end(start, REGEXP);
  }
  #error(value: Error): void {
    refuseSymbols(value);
    const start = this.#begin();
    this.#write(errorClassOf(value));
    this.#plain(hiddenOf(value));
    this.#plain(Object.fromEntries(Object.entries(value)));
    this.#end(start, ERROR);
  }
}

/** The properties of an error that `for in` does not show. */
function hiddenOf(error: Error): Record<string, unknown> {
  const hidden: Record<string, unknown> = {};
  for (const key of ['name', 'message', 'stack', 'cause', 'errors']) {
    if (!hasOwn.call(error, key) || isEnumerable.call(error, key)) continue;
    const value = (error as unknown as Record<string, unknown>)[key];
    // Error.prepareStackTrace can make the stack anything.
    if (key !== 'stack' || typeof value === 'string') hidden[key] = value;
  }
  return hidden;
}
function dataOf(memory: Buffer<ArrayBuffer>): DataView {
  return new DataView(memory.buffer, memory.byteOffset, memory.length);
}
/** Bytes of the header of a text. */
function textHeader(length: number): number {
  return length < 0x20 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : 5;
}
