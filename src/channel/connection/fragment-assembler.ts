/**
 * Assembles a message from fragments. The first one begins with the length of the whole; the fragments must make exactly that. If the last
 * one is missing, the sender gave up, and the fragments are dropped when the next message begins.
 */
import type { RingConsumer } from '../../lock-free/ring/consumer.js';
import { FIRST_FRAGMENT, LAST_FRAGMENT } from '../../lock-free/ring/layout.js';

/** Before the first fragment: the length of the whole, and 4 bytes unused. */
export const PREFIX = 8;
/** Fragments are an eighth of the ring, except the last. Much smaller or empty ones would be work without end. A shift of the capacity. */
const MIN_FRAGMENT_SHIFT = 6;
export class FragmentAssembler {
  readonly #ring: RingConsumer;
  readonly #takes: number;
  #whole: Uint8Array | undefined;
  #filled = 0;

  /** @param takes the longest message, in bytes */
  constructor(ring: RingConsumer, takes: number) {
    this.#ring = ring;
    this.#takes = takes;
  }
  /** Adds the record of `length` bytes at `offset`. Returns the message if it was the last; a text if it is invalid. */
  add(offset: number, length: number, kind: number): Uint8Array | string | undefined {
    const { bytes, words, capacity } = this.#ring;
    let from = offset;
    if (kind === FIRST_FRAGMENT) {
      const total = length < PREFIX ? 0 : words[offset >> 2]! >>> 0;
      if (total < length - PREFIX + 1) return `fragments of a message of ${total} bytes`;
      if (total > this.#takes)
        return `fragments of a message of ${total} bytes, more than the ${this.#takes} that are accepted`;
      this.#whole = new Uint8Array(total); // an unfinished one was given up
      this.#filled = 0;
      from += PREFIX;
    }
    const whole = this.#whole;
    const count = offset + length - from;
    if (count < (kind === LAST_FRAGMENT ? 1 : capacity >> MIN_FRAGMENT_SHIFT)) return `a fragment of ${count} bytes`;
    if (whole === undefined || this.#filled + count > whole.length) return 'a fragment that belongs to no message';
    whole.set(bytes.subarray(from, from + count), this.#filled);
    this.#filled += count;
    if (kind !== LAST_FRAGMENT) return undefined;
    if (this.#filled !== whole.length) return 'the last fragment of an incomplete message';
    this.#whole = undefined;
    return whole;
  }
  giveUp(): void {
    this.#whole = undefined;
  }
}
