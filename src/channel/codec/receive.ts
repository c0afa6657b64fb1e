/** Decodes messages in shared memory. */

import { copyOut, MAX_LOOP_BYTES } from '../../lock-free/copy-out.js';
import type { Decoder } from './coder.js';
import { Scratch } from './scratch.js';

/** Decodes messages in memory that other processes can write to: copied to private memory first, unless the coder does not need that. */
export class SharedDecoder<T> {
  readonly #coder: Decoder<T>;
  readonly #memory: Uint8Array;
  readonly #words: Int32Array;
  readonly #scratch = new Scratch();

  /** @param memory the whole mapping; messages begin at multiples of 8 */
  constructor(coder: Decoder<T>, memory: ArrayBuffer) {
    this.#coder = coder;
    this.#memory = new Uint8Array(memory);
    this.#words = new Int32Array(memory, 0, memory.byteLength >> 2);
  }
  decode(offset: number, length: number): T {
    if (this.#coder.shared) return this.#coder.decode(this.#memory, offset, length);
    const scratch = this.#scratch.room(length + 3);
    if (length <= MAX_LOOP_BYTES) copyOut(this.#words, offset >> 2, this.#scratch.words, length);
    else scratch.set(this.#memory.subarray(offset, offset + length));
    return this.#coder.decode(scratch, 0, length);
  }
}
