/**
 * Which process is about to exchange which state word, so that no process writes that word again: hazard pointers (Michael, IEEE TPDS
 * 2004).
 *
 * Generations repeat. A process that reads a slot, is stopped, and continues when the slot's owner has written the same word into it again,
 * for another message, would take it for the one that it has read. So:
 *
 *     a process that will exchange a word     a process that begins a block of generations (generations.ts)
 *         loads it                                membarrier(2), on behalf of all
 *         announces it here                       reads the announcements here, and all state words
 *         loads it again                          uses no generation of the block that it has seen
 *         exchanges it
 *
 * If the announcement comes too late to be seen, the second load comes behind the barrier. So either it finds another word, or the word was
 * in the slot while the other process read that. From the second load to the exchange the word is not written again.
 *
 * The announcement is a plain store to a cache line of our own, and the barrier is on the other side, as in broadcast-ring/waiter-table.ts.
 * Where the kernel has no membarrier(2), `FENCES` asks each process to issue the barrier itself. Not covered: a process that read FENCES
 * just before it was set may do without a barrier that once. This takes processes of which some have membarrier(2) and some do not.
 */
import { barriersReachUs } from '../../system/membarrier.js';
import { FENCES, HAZARD_STRIDE, HAZARDS } from './layout.js';

/** What a process may be about to exchange at the same time: a word of the index, of a redelivered message, of a dead process. */
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
  /** Whether each process issues barriers itself. */
  get fences(): boolean {
    return this.#words[FENCES] !== 0 || !barriersReachUs;
  }
  /** We are about to exchange `word`. Load it once more before that. The announcement stays: it keeps one generation from being used. */
  protect(which: number, word: number): void {
    const words = this.#words;
    if (this.fences) Atomics.store(words, this.#own + which, word);
    else words[this.#own + which] = word; // pairs with the barrier in Generations
  }
}
