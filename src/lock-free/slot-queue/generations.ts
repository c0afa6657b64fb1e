/**
 * The generations of the state words that a seat writes. They repeat after 2^21, which may be seconds. None is used that stands in the state
 * word of a slot, or that somebody is about to exchange (hazards.ts); whoever had the seat before may have written either.
 *
 * That is looked at for a block of generations at a time. What has none of them when we look gets none before we use it, as nobody else
 * writes words of our seat.
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

/** From one look to the next. */
export const BLOCK: number = 2 ** 16;

export class Generations {
  readonly #words: Int32Array;
  readonly #plan: Plan;
  readonly #seat: number;
  #last: number;
  /** The next one that is used already, or begins a block. */
  #stop: number;
  /** Of this block, from the highest down. */
  #used: number[] = [];
  #end: number;

  /** For whoever has the seat, as long as he has it. */
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
  /** Whoever has the seat next goes on there: not needed, but so they repeat as seldom as can be. */
  note(generation: number = this.#last): void {
    this.#words[GENERATIONS + this.#seat] = generation;
  }
  /** The first from this one on that is free. */
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
  /** A block, or what follows in it. */
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
