/**
 * The generations of the state words that a seat writes. They repeat after 2^21, which may be seconds. A generation is skipped if it is in
 * the state word of a slot, or in a word that a process is about to exchange (hazards.ts); an earlier owner of the seat may have written
 * either.
 *
 * That is checked for a block of generations at a time. A generation that is unused at the check stays unused until we use it, because no
 * other process writes words of our seat.
 */

import { barrier } from '../../system/membarrier.js';
import { SEATS } from '../seats.js';
import { HAZARDS_PER_SEAT } from './hazards.js';
import {
  FREE,
  GENERATION_MASK,
  GENERATION_SHIFT,
  GENERATIONS,
  HAZARD_STRIDE,
  HAZARDS,
  HIGHEST_SEAT,
  type Plan,
  STATE,
  seatOf,
} from './layout.js';

/** Generations from one check to the next. */
export const BLOCK: number = 2 ** 16;

export class Generations {
  readonly #words: Int32Array;
  readonly #plan: Plan;
  readonly #seat: number;
  #last: number;
  /** The next one that is in use, or begins a block. */
  #stop: number;
  /** Those of this block that are in use, from the highest down. */
  #used: number[] = [];
  #end: number;

  /** For the owner of the seat, while it owns it. */
  constructor(words: Int32Array, plan: Plan, seat: number) {
    this.#words = words;
    this.#plan = plan;
    this.#seat = seat;
    this.#last = words[GENERATIONS + seat]! & GENERATION_MASK;
    this.#end = this.#stop = (this.#last + 1) & GENERATION_MASK;
    this.#last = (this.#free(this.#stop) - 1) & GENERATION_MASK;
  }
  next(): number {
    const next = (this.#last + 1) & GENERATION_MASK;
    this.#last = next === this.#stop ? this.#free(next) : next;
    return this.#last;
  }
  /** The next owner of the seat continues there: not necessary, but so generations repeat as seldom as possible. */
  note(generation: number = this.#last): void {
    this.#words[GENERATIONS + this.#seat] = generation;
  }
  /** The first free one from this one on. */
  #free(generation: number): number {
    for (;;) {
      if (generation === this.#end) this.#begin(generation);
      while (this.#used.length > 0 && this.#used.at(-1)! < generation) this.#used.pop();
      const used = this.#used.at(-1) ?? this.#end;
      if (used !== generation) {
        this.#stop = used;
        return generation;
      }
      generation = (generation + 1) & GENERATION_MASK;
    }
  }
  /** Checks a block, or the rest of one. */
  #begin(from: number): void {
    const words = this.#words;
    const last = from | (BLOCK - 1);
    this.#end = (last + 1) & GENERATION_MASK;
    this.note(last);
    const used: number[] = [];
    const add = (word: number) => {
      const generation = word >>> GENERATION_SHIFT;
      if ((word & STATE) !== FREE && seatOf(word) === this.#seat && generation >= from && generation <= last)
        used.push(generation);
    };
    barrier(); // pairs with Hazards.protect
    const seats = Math.min(words[HIGHEST_SEAT]! >>> 0, SEATS);
    for (let seat = 0; seat < seats; seat++) {
      for (let look = 0; look < HAZARDS_PER_SEAT; look++) add(words[HAZARDS + seat * HAZARD_STRIDE + look]!);
    }
    const { states, capacity } = this.#plan;
    for (let slot = 0; slot < capacity; slot++) add(words[states + slot]!);
    this.#used = used.sort((one, other) => other - one);
  }
}
