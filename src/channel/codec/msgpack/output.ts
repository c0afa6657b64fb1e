/** MessagePack's tokens, and what needs no look within: numbers, texts, times, bytes; written to memory that grows. */
import { refuseProperties } from '../kinds.js';
import { Refusal } from '../refusal.js';
import { LARGEST_KEPT, Views } from '../scratch.js';
import { isWellFormed, utf8Write } from '../utf8.js';
import { BIGINT, TIMESTAMP, VIEW } from './format.js';

const SMALLEST = 8192;
/** Room that is there before each value: enough for whatever has a length that is known. */
const SLACK = 32;
/** Characters up to which a loop beats the call into native code. */
const SHORT = 32;

export class MsgpackOutput {
  protected memory: Buffer<ArrayBuffer> = Buffer.alloc(SMALLEST);
  protected data = dataOf(this.memory);
  protected views = new Views(this.memory);
  protected at = 0;
  /** Up to here {@link SLACK} is left. */
  protected limit = SMALLEST - SLACK;
  /** All of it, until more is written. */
  protected written(): Uint8Array {
    return this.views.of(this.at);
  }
  /** Lets memory go that one long value has needed. */
  protected forget(): void {
    if (this.memory.length > LARGEST_KEPT) this.take(Buffer.alloc(SMALLEST));
  }
  protected take(memory: Buffer<ArrayBuffer>): void {
    this.memory = memory;
    this.data = dataOf(memory);
    this.views = new Views(memory);
    this.limit = memory.length - SLACK;
  }
  protected grow(length: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.memory.length * 2, this.at + length + 2 * SLACK));
    larger.set(this.memory.subarray(0, this.at));
    this.take(larger);
  }
  /** Makes room for `length` bytes and {@link SLACK}. */
  protected room(length: number): void {
    if (this.at + length > this.limit) this.grow(length);
  }
  protected number(value: number): void {
    const memory = this.memory;
    const at = this.at;
    if (value >>> 0 === value && (value !== 0 || 1 / value > 0)) {
      if (value < 0x80) {
        memory[at] = value;
        this.at = at + 1;
      } else if (value < 0x100) {
        memory[at] = 0xcc;
        memory[at + 1] = value;
        this.at = at + 2;
      } else if (value < 0x10000) {
        memory[at] = 0xcd;
        memory[at + 1] = value >> 8;
        memory[at + 2] = value;
        this.at = at + 3;
      } else {
        memory[at] = 0xce;
        this.data.setUint32(at + 1, value);
        this.at = at + 5;
      }
    } else if (value >> 0 === value && value !== 0) {
      if (value >= -0x20) {
        memory[at] = value;
        this.at = at + 1;
      } else if (value >= -0x80) {
        memory[at] = 0xd0;
        memory[at + 1] = value;
        this.at = at + 2;
      } else if (value >= -0x8000) {
        memory[at] = 0xd1;
        memory[at + 1] = value >> 8;
        memory[at + 2] = value;
        this.at = at + 3;
      } else {
        memory[at] = 0xd2;
        this.data.setInt32(at + 1, value);
        this.at = at + 5;
      }
    } else {
      memory[at] = 0xcb;
      this.data.setFloat64(at + 1, value);
      this.at = at + 9;
    }
  }
  protected text(value: string): void {
    const { length } = value;
    if (length >= SHORT) {
      this.longText(value);
      return;
    }
    this.room(length);
    const memory = this.memory;
    const start = this.at;
    let at = start + 1;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code >= 0x80) {
        this.longText(value);
        return;
      }
      memory[at++] = code;
    }
    memory[start] = 0xa0 | length;
    this.at = at;
  }
  protected longText(value: string): void {
    this.room(value.length * 3);
    const memory = this.memory;
    // As long as the header of a text of that many bytes; one with others than ASCII may need a longer one.
    const guess = textHeader(value.length);
    const start = this.at + guess;
    const written = utf8Write.call(memory, value, start, memory.length - start);
    if (written !== value.length && !isWellFormed.call(value)) {
      throw new Refusal('it contains a lone surrogate, which UTF-8 cannot encode');
    }
    const header = textHeader(written);
    if (header !== guess) memory.copyWithin(this.at + header, start, start + written);
    if (header === 1) memory[this.at] = 0xa0 | written;
    else this.sized(0xd9, written);
    this.at += written + (header === 1 ? 1 : 0);
  }
  /** A token for 8 bits of length, the next for 16, the one after that for 32. */
  protected sized(token: number, length: number): void {
    const memory = this.memory;
    if (length < 0x100) {
      memory[this.at++] = token;
      memory[this.at++] = length;
    } else if (length < 0x10000) {
      memory[this.at++] = token + 1;
      memory[this.at++] = length >> 8;
      memory[this.at++] = length;
    } else {
      memory[this.at] = token + 2;
      this.data.setUint32(this.at + 1, length);
      this.at += 5;
    }
  }
  protected fixed(token: number, type: number): void {
    this.memory[this.at++] = token;
    this.memory[this.at++] = type;
  }
  /** Has no token for 8 bits of length. */
  protected longArray(length: number): void {
    if (length < 0x10000) {
      this.memory[this.at++] = 0xdc;
      this.memory[this.at++] = length >> 8;
      this.memory[this.at++] = length;
    } else {
      this.memory[this.at] = 0xdd;
      this.data.setUint32(this.at + 1, length);
      this.at += 5;
    }
  }
  /** The header takes more than the byte that was left for it. */
  protected longMap(start: number, count: number): void {
    this.room(4);
    const more = count < 0x10000 ? 2 : 4;
    this.memory.copyWithin(start + 1 + more, start + 1, this.at);
    this.memory[start] = more === 2 ? 0xde : 0xdf;
    if (more === 2) this.data.setUint16(start + 1, count);
    else this.data.setUint32(start + 1, count);
    this.at += more;
  }
  protected bigint(value: bigint): void {
    if (BigInt.asIntN(64, value) === value) {
      this.memory[this.at] = 0xd3;
      this.data.setBigInt64(this.at + 1, value);
      this.at += 9;
    } else if (BigInt.asUintN(64, value) === value) {
      this.memory[this.at] = 0xcf;
      this.data.setBigUint64(this.at + 1, value);
      this.at += 9;
    } else {
      const positive = value < 0n ? ~value : value;
      let digits = positive.toString(16);
      if (digits.length % 2 === 1) digits = `0${digits}`;
      else if (digits >= '8') digits = `00${digits}`; // the highest bit is the sign
      const bytes = Buffer.from(digits, 'hex');
      if (value < 0n) for (let i = 0; i < bytes.length; i++) bytes[i] = ~bytes[i]!;
      this.extension(BIGINT, bytes);
    }
  }
  protected extension(type: number, bytes: Uint8Array): void {
    this.room(bytes.length);
    this.sized(0xc7, bytes.length);
    this.memory[this.at++] = type;
    this.memory.set(bytes, this.at);
    this.at += bytes.length;
  }
  protected date(value: Date): void {
    refuseProperties(value, 'a Date');
    const time = value.getTime();
    const data = this.data;
    const at = this.at;
    if (Number.isNaN(time)) {
      this.fixed(0xd4, TIMESTAMP);
      this.memory[this.at++] = 0xff; // not a length that the specification knows
      return;
    }
    const seconds = Math.floor(time / 1000);
    const nanoseconds = (time - seconds * 1000) * 1_000_000;
    if (seconds >= 0 && seconds <= 0xffffffff) {
      if (nanoseconds === 0) {
        this.fixed(0xd6, TIMESTAMP);
        data.setUint32(at + 2, seconds);
        this.at = at + 6;
      } else {
        this.fixed(0xd7, TIMESTAMP);
        data.setUint32(at + 2, nanoseconds * 4);
        data.setUint32(at + 6, seconds);
        this.at = at + 10;
      }
    } else {
      this.sized(0xc7, 12);
      this.memory[this.at++] = TIMESTAMP;
      data.setUint32(at + 3, nanoseconds);
      data.setBigInt64(at + 7, BigInt(seconds));
      this.at = at + 15;
    }
  }
  /** Leaves room for the header of an extension whose length is known once it is written; gives where it begins. */
  protected begin(): number {
    const start = this.at;
    this.at += 6;
    return start;
  }
  protected end(start: number, type: number): void {
    this.memory[start] = 0xc9;
    this.data.setUint32(start + 1, this.at - start - 6);
    this.memory[start + 5] = type;
  }
  protected raw(elements: number, bytes: Uint8Array): void {
    this.room(bytes.length);
    this.sized(0xc7, bytes.length + 1);
    this.fixed(VIEW, elements);
    this.memory.set(bytes, this.at);
    this.at += bytes.length;
  }
}

function dataOf(memory: Buffer<ArrayBuffer>): DataView {
  return new DataView(memory.buffer, memory.byteOffset, memory.length);
}
/** Bytes of the header of a text. */
function textHeader(length: number): number {
  return length < 0x20 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : 5;
}
