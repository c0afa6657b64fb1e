/**
 * Messages that are not in the ready index any more, and must be taken again: rejected, of a dead consumer, or so old that the index has
 * come round to their entry. A bit for each slot, and a word that says whether there may be any.
 *
 * The bit is set before the slot becomes RETURNED and cleared after it was taken, both by the slot's owner, so it is never missing.
 */
import { loadAfterStore as loadInOrder } from '../ordering.js';
import { HAZARD_RETURNED, type Hazards } from './hazards.js';
import { type Plan, POSITION, PRIORITY, RETURNED, RETURNED_HINT, STATE, TYPE } from './layout.js';

export class Redelivery {
  readonly #words: Int32Array;
  readonly #plan: Plan;
  readonly #hazards: Hazards;
  /** From the last {@link find}. */
  slot = 0;
  word = 0;
  position = 0;

  constructor(words: Int32Array, plan: Plan, hazards: Hazards) {
    this.#words = words;
    this.#plan = plan;
    this.#hazards = hazards;
  }
  get any(): boolean {
    return (loadInOrder(this.#words, RETURNED_HINT) & 1) !== 0; // pairs with the exchange in add, behind the store of a sleeper's ticket
  }
  /** Call it before the slot becomes RETURNED. */
  add(slot: number): void {
    Atomics.or(this.#words, this.#plan.returned + (slot >> 5), 1 << (slot & 31));
    let hint = Atomics.load(this.#words, RETURNED_HINT);
    for (;;) {
      const found = Atomics.compareExchange(this.#words, RETURNED_HINT, hint, (hint + 2) | 1);
      if (found === hint) return;
      hint = found;
    }
  }
  /** Call it after it was taken. */
  remove(slot: number): void {
    Atomics.and(this.#words, this.#plan.returned + (slot >> 5), ~(1 << (slot & 31)));
  }
  /** The first of a priority in the order of commit, of `types` if they are given. Exchange the word to take it. */
  find(priority: number, types: readonly number[] | undefined): boolean {
    for (;;) {
      if (!this.#look(priority, types)) return false;
      this.#hazards.protect(HAZARD_RETURNED, this.word);
      // Still there, and from now on until it is exchanged; what was read before may belong to another message with that word.
      if (Atomics.load(this.#words, this.#plan.states + this.slot) !== this.word) continue;
      if (this.#isWanted(this.slot, priority, types) && this.#positionOf(this.slot) === this.position) return true;
    }
  }
  #isWanted(slot: number, priority: number, types: readonly number[] | undefined): boolean {
    const { slots, stride } = this.#plan;
    const header = slots + slot * stride;
    if (this.#words[header + PRIORITY] !== priority) return false;
    return types === undefined || types.includes(this.#words[header + TYPE]!);
  }
  #positionOf(slot: number): number {
    return this.#words[this.#plan.slots + slot * this.#plan.stride + POSITION]!;
  }
  #look(priority: number, types: readonly number[] | undefined): boolean {
    const { returned, capacity, states } = this.#plan;
    const words = this.#words;
    const hint = Atomics.load(words, RETURNED_HINT);
    let found = false;
    let none = true;
    for (let from = 0; from < capacity; from += 32) {
      const bits = Atomics.load(words, returned + (from >> 5));
      if (bits === 0) continue;
      none = false;
      for (let left = bits; left !== 0; left &= left - 1) {
        const slot = from + 31 - Math.clz32(left & -left);
        if (slot >= capacity) break;
        const word = loadInOrder(words, states + slot);
        if ((word & STATE) !== RETURNED) continue;
        if (!this.#isWanted(slot, priority, types)) continue;
        const position = this.#positionOf(slot);
        if (found && ((position - this.position) | 0) >= 0) continue;
        found = true;
        this.slot = slot;
        this.word = word;
        this.position = position;
      }
    }
    // A process that has added one since has changed the hint.
    if (none) Atomics.compareExchange(words, RETURNED_HINT, hint, hint & ~1);
    return found;
  }
}
