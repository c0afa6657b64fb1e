/** The codecs that need no library: bytes, text, JSON and V8's structured clone. */
import { deserialize, serialize } from 'node:v8';
import { checkBytes } from '../../system/arguments.js';
import { invalidArgument } from '../../system/errors.js';
import type { Coder } from './coder.js';
import { Scratch } from './scratch.js';
import { utf8Slice } from './utf8.js';

/** `Uint8Array`s as they are. What arrives is a copy. */
export class BytesCoder implements Coder<Uint8Array> {
  readonly name = 'bytes';
  readonly shared = true;
  encode(value: Uint8Array): Uint8Array {
    // The short way first: the check is a call or two.
    return value instanceof Uint8Array && value.length > 0 ? value : checkBytes('value', value);
  }
  decode(memory: Uint8Array, offset: number, length: number): Uint8Array {
    return memory.slice(offset, offset + length);
  }
}
/** Strings, as UTF-8. A lone surrogate becomes U+FFFD. */
export class TextCoder implements Coder<string> {
  readonly name: string = 'text';
  readonly shared = false;
  readonly #scratch = new Scratch();
  encode(value: string): Uint8Array {
    if (typeof value !== 'string') throw invalidArgument('ERR_INVALID_ARG_TYPE', 'value', 'a string', value);
    return this.#scratch.text(value);
  }
  decode(memory: Uint8Array, offset: number, length: number): string {
    return utf8Slice.call(memory, offset, offset + length);
  }
}
/** What `JSON.stringify` takes; a value that it leaves out (`undefined`, a function) is an error. */
export class JsonCoder implements Coder<unknown> {
  readonly name = 'json';
  readonly shared = false;
  readonly #text = new TextCoder();
  encode(value: unknown): Uint8Array {
    const text = JSON.stringify(value);
    if (text === undefined) throw invalidArgument('ERR_INVALID_ARG_VALUE', 'value', 'something that JSON has', value);
    return this.#text.encode(text);
  }
  decode(memory: Uint8Array, offset: number, length: number): unknown {
    return JSON.parse(this.#text.decode(memory, offset, length));
  }
}
/** V8's structured clone: `Map`, `Date`, `BigInt`, typed arrays, cycles. Both sides should run the same version of Node. */
export class StructuredCoder implements Coder<unknown> {
  readonly name = 'structured';
  readonly shared = false;
  encode(value: unknown): Uint8Array {
    return serialize(value);
  }
  decode(memory: Uint8Array, offset: number, length: number): unknown {
    // A copy of its own: typed arrays in the value are views of what they were read from.
    return deserialize(memory.slice(offset, offset + length));
  }
}
