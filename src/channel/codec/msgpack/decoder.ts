/**
 * MessagePack to values. The bytes come from a peer: nothing is read beyond their end, no more is allocated than they can fill, and the
 * content of each extension must end where the extension does.
 */
import { errorClasses } from '../kinds.js';
import { MAX_DEPTH } from '../refusal.js';
import { utf8Slice } from '../utf8.js';
import {
  ARRAY_BUFFER,
  BIGINT,
  DATA_VIEW,
  ERROR,
  MAP,
  REGEXP,
  SET,
  TIMESTAMP,
  UNDEFINED,
  VIEW,
  viewClasses,
} from './format.js';
import { LONGEST_CACHED, TextCache } from './text-cache.js';

const { fromCharCode } = String;
/** Separate, so that unique texts do not evict the keys. */
const keys = new TextCache(true);
const texts = new TextCache(false);
/** Bytes up to which this is faster than a call into native code. */
const SHORT = 16;
/** A short text if it is ASCII. One call for four characters costs little more than one for one. */
function ascii(m: Uint8Array, start: number, length: number): string | undefined {
  const end = start + length;
  let text = '';
  let at = start;
  for (; at <= end - 4; at += 4) {
    const [a, b, c, d] = [m[at]!, m[at + 1]!, m[at + 2]!, m[at + 3]!];
    if ((a | b | c | d) >= 0x80) return undefined;
    text += fromCharCode(a, b, c, d);
  }
  for (; at < end; at++) {
    if (m[at]! >= 0x80) return undefined;
    text += fromCharCode(m[at]!);
  }
  return text;
}

export class MsgpackDecoder {
  #source: Uint8Array = new Uint8Array(0);
  #sourceLength = 0;
  /** The same, not a Buffer, whose slices are others. */
  #memory: Uint8Array = this.#source;
  #data: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  #end = 0;
  #depth = 0;
  #length = 0;
  /** Elements of the arrays being read. Each takes at least a byte, so all together are no more than {@link #length}. */
  #open = 0;

  /** Throws unless the bytes are exactly one value. `memory` is private: it does not change meanwhile. */
  decode(memory: Uint8Array, offset: number, length: number): unknown {
    if (memory !== this.#source || memory.length !== this.#sourceLength) {
      this.#source = memory;
      this.#sourceLength = memory.length;
      this.#memory = Buffer.isBuffer(memory) ? new Uint8Array(memory.buffer, memory.byteOffset, memory.length) : memory;
      this.#data = new DataView(memory.buffer, memory.byteOffset, memory.length);
    }
    this.#at = offset;
    this.#end = offset + length;
    this.#length = length;
    this.#depth = this.#open = 0;
    const value = this.#read();
    if (this.#at !== this.#end) throw new RangeError(`${this.#end - this.#at} bytes follow the end of the value`);
    return value;
  }

  #read(): unknown {
    const at = this.#at;
    if (at >= this.#end) throw tooShort();
    const token = this.#memory[at]!;
    this.#at = at + 1;
    if (token < 0x80) return token;
    if (token < 0x90) return this.#map(token & 0x0f);
    if (token < 0xa0) return this.#array(token & 0x0f);
    if (token < 0xc0) return this.#text(token & 0x1f);
    if (token >= 0xe0) return token - 0x100;
    // The most common numbers here, the rest where it costs one more call.
    const data = this.#data;
    if (token === 0xcb && at + 9 <= this.#end) {
      this.#at = at + 9;
      return data.getFloat64(at + 1);
    }
    if (token === 0xcd && at + 3 <= this.#end) {
      this.#at = at + 3;
      return data.getUint16(at + 1);
    }
    if (token === 0xcc && at + 2 <= this.#end) {
      this.#at = at + 2;
      return this.#memory[at + 1];
    }
    if (token === 0xce && at + 5 <= this.#end) {
      this.#at = at + 5;
      return data.getUint32(at + 1);
    }
    return this.#long(token);
  }
  /** Skips `length` bytes; returns where they begin. */
  #skip(length: number): number {
    const at = this.#at;
    if (length > this.#end - at) throw tooShort();
    this.#at = at + length;
    return at;
  }
  #long(token: number): unknown {
    const data = this.#data;
    switch (token) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#bytes(this.#length8());
      case 0xc5:
        return this.#bytes(this.#length16());
      case 0xc6:
        return this.#bytes(this.#length32());
      case 0xc7:
        return this.#extension(this.#length8());
      case 0xc8:
        return this.#extension(this.#length16());
      case 0xc9:
        return this.#extension(this.#length32());
      case 0xca:
        return data.getFloat32(this.#skip(4));
      case 0xcb:
        return data.getFloat64(this.#skip(8));
      case 0xcc:
        return this.#length8();
      case 0xcd:
        return this.#length16();
      case 0xce:
        return this.#length32();
      case 0xcf:
        return data.getBigUint64(this.#skip(8));
      case 0xd0:
        return data.getInt8(this.#skip(1));
      case 0xd1:
        return data.getInt16(this.#skip(2));
      case 0xd2:
        return data.getInt32(this.#skip(4));
      case 0xd3:
        return data.getBigInt64(this.#skip(8));
      case 0xd4:
        return this.#extension(1);
      case 0xd5:
        return this.#extension(2);
      case 0xd6:
        return this.#extension(4);
      case 0xd7:
        return this.#extension(8);
      case 0xd8:
        return this.#extension(16);
      case 0xd9:
        return this.#text(this.#length8());
      case 0xda:
        return this.#text(this.#length16());
      case 0xdb:
        return this.#text(this.#length32());
      case 0xdc:
        return this.#array(this.#length16());
      case 0xdd:
        return this.#array(this.#length32());
      case 0xde:
        return this.#map(this.#length16());
      case 0xdf:
        return this.#map(this.#length32());
      default:
        throw new RangeError(`0x${token.toString(16)} is not a type byte of MessagePack`);
    }
  }
  #length8(): number {
    return this.#memory[this.#skip(1)]!;
  }
  #length16(): number {
    return this.#data.getUint16(this.#skip(2));
  }
  #length32(): number {
    return this.#data.getUint32(this.#skip(4));
  }
  #bytes(length: number): Uint8Array {
    const at = this.#skip(length);
    return this.#memory.slice(at, at + length);
  }
  #text(length: number): string {
    const start = this.#skip(length);
    if (length > LONGEST_CACHED || !texts.worthwhile) return this.#decoded(start, length);
    const text = texts.find(this.#data, start, length);
    return text ?? texts.keep(this.#data, start, length, this.#decoded(start, length));
  }
  #decoded(start: number, length: number): string {
    const text = length > SHORT ? undefined : ascii(this.#memory, start, length);
    return text ?? utf8Slice.call(this.#memory, start, start + length);
  }
  #enter(): void {
    if (++this.#depth > MAX_DEPTH) throw new RangeError(`the value is nested more than ${MAX_DEPTH} levels deep`);
  }
  #array(length: number): unknown[] {
    // Comparing with the rest is not enough: nested arrays could each claim it, and allocate for it.
    this.#open += length;
    if (length > this.#end - this.#at || this.#open > this.#length) throw tooShort();
    this.#enter();
    const array = new Array<unknown>(length);
    for (let i = 0; i < length; i++) array[i] = this.#read();
    this.#depth--;
    this.#open -= length;
    return array;
  }
  #map(count: number): unknown {
    this.#enter();
    const object: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = this.#key();
      if (typeof key !== 'string') return this.#realMap(object, key, count - i);
      if (key.charCodeAt(0) <= NINE) keepSparse(object, key, count);
      if (key === '__proto__') define(object, key, this.#read(), true);
      else object[key] = this.#read();
    }
    this.#depth--;
    return object;
  }
  #key(): unknown {
    const at = this.#at;
    const length = at < this.#end ? this.#memory[at]! - 0xa0 : -1;
    if (length < 0 || length >= 0x20) return this.#read();
    this.#at = at + 1;
    const start = this.#skip(length);
    const key = keys.find(this.#data, start, length);
    return key ?? keys.keep(this.#data, start, length, this.#decoded(start, length));
  }
  /** A key is not a string: from another language. */
  #realMap(before: object, key: unknown, left: number): Map<unknown, unknown> {
    const map = new Map<unknown, unknown>(Object.entries(before));
    map.set(key, this.#read());
    for (let i = 1; i < left; i++) {
      const next = this.#read();
      map.set(next, this.#read());
    }
    this.#depth--;
    return map;
  }

  #extension(length: number): unknown {
    const type = this.#length8();
    const start = this.#skip(length);
    switch (type) {
      case UNDEFINED:
        return undefined;
      case TIMESTAMP:
        return this.#date(start, length);
      case BIGINT:
        return this.#bigint(start, length);
      case VIEW:
        return this.#view(start, length);
      case MAP:
      case SET:
      case REGEXP:
      case ERROR:
        return this.#inside(type, start);
      default:
        throw new RangeError(`unknown extension type ${(type << 24) >> 24}`);
    }
  }
  #date(start: number, length: number): Date {
    const data = this.#data;
    if (length === 1) return new Date(Number.NaN);
    if (length === 4) return new Date(data.getUint32(start) * 1000);
    if (length === 8) {
      const high = data.getUint32(start);
      const seconds = (high & 3) * 2 ** 32 + data.getUint32(start + 4);
      return new Date(seconds * 1000 + (high >>> 2) / 1_000_000);
    }
    if (length !== 12) throw new RangeError(`a timestamp has ${length} bytes instead of 4, 8 or 12`);
    return new Date(Number(data.getBigInt64(start + 4)) * 1000 + data.getUint32(start) / 1_000_000);
  }
  #bigint(start: number, length: number): bigint {
    const digits = Buffer.from(this.#memory.buffer, this.#memory.byteOffset + start, length).toString('hex');
    return BigInt.asIntN(length * 8, BigInt(`0x${digits || '0'}`));
  }
  #view(start: number, length: number): unknown {
    if (length === 0) throw tooShort();
    const number = this.#memory[start]!;
    const { buffer } = this.#memory.slice(start + 1, start + length);
    if (number === ARRAY_BUFFER) return buffer;
    if (number === DATA_VIEW) return new DataView(buffer);
    const Class = viewClasses[number];
    if (Class === undefined) throw new RangeError(`this version of Node has no typed array of type ${number}`);
    return new Class(buffer);
  }
  /** Reads the content of an extension. It must end where the extension does. */
  #inside(type: number, start: number): unknown {
    this.#enter();
    const after = this.#end;
    const end = (this.#end = this.#at);
    this.#at = start;
    const value = this.#content(type);
    if (this.#at !== end) throw new RangeError(`bytes are left over in an extension of type ${type}`);
    this.#end = after;
    this.#depth--;
    return value;
  }
  #content(type: number): unknown {
    switch (type) {
      case MAP: {
        const map = new Map<unknown, unknown>();
        while (this.#at < this.#end) {
          const key = this.#read();
          map.set(key, this.#read());
        }
        return map;
      }
      case SET: {
        const set = new Set<unknown>();
        while (this.#at < this.#end) set.add(this.#read());
        return set;
      }
      case REGEXP: {
        const source = this.#string();
        return new RegExp(source, this.#string());
      }
      default:
        return this.#error();
    }
  }
  #string(): string {
    const value = this.#read();
    if (typeof value !== 'string') throw new TypeError('expected a string');
    return value;
  }
  #error(): Error {
    const name = this.#string();
    const Class = errorClasses.find((each) => each.name === name) ?? Error;
    const error = Object.setPrototypeOf(new Error(), Class.prototype) as Error;
    for (const enumerable of [false, true]) {
      const properties = this.#read();
      if (typeof properties !== 'object' || properties === null)
        throw new TypeError('an encoded error has no properties');
      for (const [key, value] of Object.entries(properties)) {
        if (key.charCodeAt(0) <= NINE) keepSparse(error, key, 0);
        define(error, key, value, enumerable);
      }
    }
    return error;
  }
}

const NINE = '9'.charCodeAt(0);
const FARTHEST = String(2 ** 32 - 2);
/**
 * V8 keeps properties that are indices as an array's elements, with room for those in between: 12 KB for `{ 1023: 0 }`. If a key is beyond
 * what the object could fill, an index far out makes V8 use a table, which it keeps.
 */
function keepSparse(object: object, key: string, count: number): void {
  if (!(Number(key) >= Math.max(64, count))) return;
  define(object, FARTHEST, undefined, true);
  Reflect.deleteProperty(object, FARTHEST);
}
function define(object: object, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(object, key, { value, enumerable, writable: true, configurable: true });
}
function tooShort(): RangeError {
  return new RangeError('the message ends in the middle of a value');
}
