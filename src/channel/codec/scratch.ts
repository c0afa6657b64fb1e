/** Private memory that is used again for every message, so that none is allocated for each. */
import { utf8Write } from './utf8.js';

const SMALLEST = 4096;
/** What grew beyond this for one message is let go with the next. */
const LARGEST_KEPT: number = 2 ** 20;

export class Scratch {
  #memory = new Uint8Array(SMALLEST);
  /** The same memory in words. */
  words: Int32Array = new Int32Array(this.#memory.buffer);
  /** The last view that was handed out. The same object for the same length: who copies it often can prepare for that. */
  #view: Uint8Array = this.#memory.subarray(0, 0);

  /** At least `length` bytes, with whatever is in them. */
  room(length: number): Uint8Array<ArrayBuffer> {
    const kept = this.#memory.length;
    if (kept < length || (kept > LARGEST_KEPT && length <= LARGEST_KEPT)) this.#allocate(Math.max(SMALLEST, length));
    return this.#memory;
  }
  #allocate(length: number): void {
    this.#memory = new Uint8Array((length + 7) & ~7);
    this.words = new Int32Array(this.#memory.buffer);
  }
  /** The first `length` bytes. */
  view(length: number): Uint8Array {
    if (this.#view.length !== length || this.#view.buffer !== this.#memory.buffer)
      this.#view = this.#memory.subarray(0, length);
    return this.#view;
  }
  /** The bytes of a text, as UTF-8. */
  text(value: string): Uint8Array {
    const memory = this.room(value.length * 3);
    return this.view(utf8Write.call(memory, value, 0, memory.length));
  }
}
