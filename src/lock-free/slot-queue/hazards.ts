/**
 * Who is about to exchange which state word, so that nobody writes that word anew: hazard pointers (Michael, IEEE TPDS 2004).
 *
 * Generations repeat. Somebody who looks at a slot, is stopped, and goes on when its owner has written the same word into it once more,
 * for another message, would take that for what it has seen. So:
 *
 *     whoever is to exchange a word           whoever comes to a block of generations (generations.ts)
 *         loads it                                membarrier(2), on behalf of everybody
 *         says so here                            looks at what is said here, and at all state words
 *         loads it again                          uses none of the block that it has seen
 *         exchanges it
 *
 * If what is said comes too late to be seen, the second load comes behind the barrier. So either it finds another word, or the word stood in the
 * slot while the other looked at that. From the second load to the exchange the word is not written anew.
 *
 * To say it is a plain store to a cache line of one's own, and the barrier is on the other side, as in broadcast-ring/waiter-table.ts.
 * Where the kernel has no membarrier(2), `FENCES` asks everybody to make it himself.
 */
import { barriersReachUs } from '../../system/membarrier.js';
import { FENCES, HAZARD_STRIDE, HAZARDS } from './layout.js';

/** What somebody may be about to exchange at a time: a word of the index, of a message that was returned, of somebody dead. */
export const HAZARD_INDEX = 0;
export const HAZARD_RETURNED = 1;
export const HAZARD_DEAD = 2;
export const HAZARDS_PER_SEAT = 3;

export class Hazards {
  readonly #words: Int32Array;
  readonly #own: number;

  constructor(words: Int32Array, seat: number) {
    this.#words = words;
    this.#own = HAZARDS + seat * HAZARD_STRIDE;
    if (!barriersReachUs) Atomics.store(words, FENCES, 1);
  }
  /** Whether everybody makes barriers himself. */
  get fences(): boolean {
    return this.#words[FENCES] !== 0 || !barriersReachUs;
  }
  /** We are about to exchange `word`. Load it once more before. What was said stays: it keeps one generation from being used. */
  protect(which: number, word: number): void {
    const words = this.#words;
    if (this.fences) Atomics.store(words, this.#own + which, word);
    else words[this.#own + which] = word; // pairs with the barrier in Generations
  }
}
