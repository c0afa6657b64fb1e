/** `{ utf8: N }`: text in at most N bytes, padded with NUL. */
import { invalidArgument } from '../system/errors.js';
import { Field } from './layout-field.js';
import type { Memory } from './layout-memory.js';

/** Up to this length a loop over characters, and over words to clear, is faster than a call into native code. */
const MAX_LOOP_CHARACTERS = 32;
const LONG = 256;
const encoder = new TextEncoder();
/** The bytes of a short text. A peer may be changing the memory, so each byte is read once: what was checked is what is used. */
const copy = new Uint8Array(MAX_LOOP_CHARACTERS);

export class TextField extends Field {
  constructor(label: string, size: number) {
    super(label, 'utf8', { size, alignment: 1 });
  }
  /** Up to the first NUL or the end of the field. Bytes that are not UTF-8 are read as U+FFFD. */
  read(memory: Memory, at: number): string {
    const { bytes } = memory;
    const { size } = this;
    memory.checkOpen(); // a typed array would return undefined
    const limit = Math.min(size, MAX_LOOP_CHARACTERS);
    let length = 0;
    let bits = 0;
    for (; length < limit; length++) {
      const byte = bytes[at + length]!;
      if (byte === 0) break;
      copy[length] = byte;
      bits |= byte;
    }
    if (bits < 0x80 && (length < limit || size <= MAX_LOOP_CHARACTERS)) return ascii(length);
    return decode(bytes.slice(at, at + size));
  }
  /** Refuses text that would not read back the same: too long, with a NUL, or with a lone surrogate. */
  write(memory: Memory, at: number, value: unknown): void {
    if (typeof value !== 'string') throw this.wrongType('a string', value);
    if (value.length > this.size) throw this.#tooLong(value);
    if (value.length > MAX_LOOP_CHARACTERS || !isPlain(value)) this.#writeEncoded(memory, at, value);
    else this.#writePlain(memory, at, value);
  }
  #writePlain(memory: Memory, at: number, value: string): void {
    const { bytes, data } = memory;
    const { size } = this;
    const { length } = value;
    memory.checkOpen();
    let i = 0;
    for (; i < length; i++) bytes[at + i] = value.charCodeAt(i);
    if (size - i > LONG) {
      bytes.fill(0, at + i, at + size);
      return;
    }
    for (; i <= size - 8; i += 8) data.setFloat64(at + i, 0);
    for (; i < size; i++) bytes[at + i] = 0;
  }
  #writeEncoded(memory: Memory, at: number, value: string): void {
    if (value.includes('\0')) {
      throw invalidArgument('ERR_INVALID_ARG_VALUE', this.label, 'text without NUL, which ends a C string', value);
    }
    if (/\p{Surrogate}/u.test(value)) {
      throw invalidArgument('ERR_INVALID_ARG_VALUE', this.label, 'text without lone surrogates', value);
    }
    const encoded = encoder.encode(value);
    if (encoded.length > this.size) throw this.#tooLong(value);
    memory.checkOpen();
    memory.bytes.set(encoded, at);
    memory.bytes.fill(0, at + encoded.length, at + this.size);
  }
  #tooLong(value: string): Error {
    return this.outOfRange(`text of at most ${this.size} bytes in UTF-8`, value);
  }
}

/** Whether it is ASCII without NUL. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0 || code >= 0x80) return false;
  }
  return true;
}
const { fromCharCode } = String;
/** The first `length` bytes of {@link copy}; a call for eight characters costs little more than one for one. */
function ascii(length: number): string {
  const c = copy;
  let text = '';
  let i = 0;
  for (; i <= length - 8; i += 8) {
    text += fromCharCode(c[i]!, c[i + 1]!, c[i + 2]!, c[i + 3]!, c[i + 4]!, c[i + 5]!, c[i + 6]!, c[i + 7]!);
  }
  switch (length - i) {
    case 0:
      return text;
    case 1:
      return text + fromCharCode(c[i]!);
    case 2:
      return text + fromCharCode(c[i]!, c[i + 1]!);
    case 3:
      return text + fromCharCode(c[i]!, c[i + 1]!, c[i + 2]!);
    case 4:
      return text + fromCharCode(c[i]!, c[i + 1]!, c[i + 2]!, c[i + 3]!);
    case 5:
      return text + fromCharCode(c[i]!, c[i + 1]!, c[i + 2]!, c[i + 3]!, c[i + 4]!);
    case 6:
      return text + fromCharCode(c[i]!, c[i + 1]!, c[i + 2]!, c[i + 3]!, c[i + 4]!, c[i + 5]!);
    default:
      return text + fromCharCode(c[i]!, c[i + 1]!, c[i + 2]!, c[i + 3]!, c[i + 4]!, c[i + 5]!, c[i + 6]!);
  }
}
/** `bytes` are private: the decoder reads them twice and must see the same. */
function decode(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(bytes.buffer, 0, end < 0 ? bytes.length : end).toString('utf8');
}
