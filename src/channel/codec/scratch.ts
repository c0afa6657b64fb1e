/** Private memory that is reused for every message, so that none is allocated per message. */
import { utf8Write } from './utf8.js';

const MIN_BYTES = 4096;
/** Memory that grew beyond this for one message is freed with the next. */
export const LARGEST_KEPT: number = 2 ** 20;

/** Views of fewer bytes than this are kept: messages of one kind have few lengths. */
const MAX_VIEWS = 512;

export class Views {
  readonly #views: (Uint8Array | undefined)[] = [];
  readonly #memory: Uint8Array<ArrayBuffer>;
  constructor(memory: Uint8Array<ArrayBuffer>) {
    this.#memory = memory;
  }
  /** The first `length` bytes. */
  of(length: number): Uint8Array {
    if (length >= MAX_VIEWS) return new Uint8Array(this.#memory.buffer, this.#memory.byteOffset, length);
    return (this.#views[length] ??= new Uint8Array(this.#memory.buffer, this.#memory.byteOffset, length));
  }
}

export class Scratch {
  #memory: Uint8Array<ArrayBuffer> = new Uint8Array(MIN_BYTES);
  /** The same memory in words. */
  words: Int32Array = new Int32Array(this.#memory.buffer);
  #views = new Views(this.#memory);

  /** At least `length` bytes, with whatever is in them. */
  room(length: number): Uint8Array<ArrayBuffer> {
    const kept = this.#memory.length;
    if (kept < length || (kept > LARGEST_KEPT && length <= LARGEST_KEPT)) this.#allocate(Math.max(MIN_BYTES, length));
    return this.#memory;
  }
  #allocate(length: number): void {
    this.#memory = new Uint8Array((length + 7) & ~7);
    this.words = new Int32Array(this.#memory.buffer);
    this.#views = new Views(this.#memory);
  }
  /** The first `length` bytes. */
  view(length: number): Uint8Array {
    return this.#views.of(length);
  }
  /** The bytes of a text, as UTF-8. */
  text(value: string): Uint8Array {
    const memory = this.room(value.length * 3);
    return this.view(utf8Write.call(memory, value, 0, memory.length));
  }
}
