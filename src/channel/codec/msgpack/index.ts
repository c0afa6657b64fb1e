/** MessagePack: the default codec. */
import type { Coder } from '../coder.js';
import { Refusal } from '../refusal.js';
import { MsgpackDecoder } from './decoder.js';
import { MsgpackEncoder } from './encoder.js';

/** Nearly all data of JavaScript, see docs/codecs.md; it refuses what it cannot carry. Any MessagePack library reads it. */
export class MsgpackCoder implements Coder<unknown> {
  readonly name = 'msgpack';
  readonly shared = false;
  readonly #encoder = new MsgpackEncoder();
  readonly #decoder = new MsgpackDecoder();

  encode(value: unknown): Uint8Array {
    try {
      return this.#encoder.encode(value);
    } catch (error) {
      throw error instanceof Refusal ? error.toError(this.name, value) : error;
    }
  }
  decode(memory: Uint8Array, offset: number, length: number): unknown {
    return this.#decoder.decode(memory, offset, length);
  }
}
