/**
 * The order in which the messages of one priority were committed: a ring of entries, each the number of a slot.
 *
 *     entry  bit 31 … 17 round | 16 filled | 15 … 0 slot
 *
 * A position counts entries since the beginning (modulo 2^32); its entry is at `position & (size - 1)`, and its round is `position / size`
 * (modulo 2^15). An entry that is not filled and has the round of a position is free for that position; to clear it is to write
 * the next round. So a compare-and-exchange puts an entry at one position and no other, and the positions are filled without gaps.
 *
 * `head` and `tail` are hints, written only now and then, so that their cache lines do not travel with every message: every entry before
 * `head` is over, every one before `tail` was filled once. What a process knows itself may be a little newer. A hint is exchanged for a
 * later one, so it never goes back, and lags behind by some entries, never by rounds of rounds: that is how the upper bits of a position,
 * which no entry has, are known to somebody who comes anew, or was stopped for long. Where a hint cannot be right the entries tell.
 */
import { CorruptError } from '../../system/errors.js';
import { loadAfterStore as loadInOrder } from '../ring/ordering.js';
import { HINT_STRIDE, HINTS, type Plan, SENT, STATE, TAIL_HINT, TYPE } from './layout.js';
import { LOOK_INDEX, type Looks } from './looks.js';

const FILLED = 0x10000;
const SLOT = 0xffff;
const ROUND_SHIFT = 17;
const ROUND = 1 << ROUND_SHIFT;
const ROUNDS = 0x7fff;
/** Rounds that are so far "ahead" are behind. */
const BEHIND = 0x4000;
/** A hint is written when it is so many positions behind. */
const NOW_AND_THEN = 32;

export class ReadyIndex {
  readonly #words: Int32Array;
  readonly #looks: Looks;
  readonly #head: number;
  readonly #tail: number;
  readonly #ring: number;
  readonly #size: number;
  readonly #mask: number;
  readonly #shift: number;
  readonly #states: number;
  readonly #types: number;
  readonly #stride: number;
  readonly #capacity: number;
  readonly #patience: number;
  /** From one position with an entry's round to the next, less 1. */
  readonly #cycle: number;
  /** No position in use is so far from a hint: it is one of another cycle. */
  readonly #far: number;
  /** What we know ourselves: hints as well. */
  #ownHead: number;
  #ownTail: number;
  /** The hints, as we saw them last. */
  #headSeen: number;
  #tailSeen: number;
  /** Of the last {@link find}, and of what was in the way of {@link put}. */
  position = 0;
  entry = 0;
  slot = 0;
  /** The slot's state word. */
  word = 0;

  constructor(words: Int32Array, plan: Plan, priority: number, looks: Looks) {
    this.#words = words;
    this.#looks = looks;
    this.#head = HINTS + priority * HINT_STRIDE;
    this.#tail = this.#head + TAIL_HINT;
    this.#size = plan.ringSize;
    this.#ring = plan.rings + priority * plan.ringSize;
    this.#mask = plan.ringSize - 1;
    this.#shift = Math.log2(plan.ringSize);
    this.#states = plan.states;
    this.#types = plan.slots + TYPE;
    this.#stride = plan.stride;
    this.#capacity = plan.capacity;
    this.#patience = 4 * plan.ringSize + 1000;
    this.#cycle = (ROUNDS + 1) * plan.ringSize - 1;
    this.#far = (BEHIND / 2) * plan.ringSize;
    this.#ownHead = this.#headSeen = words[this.#head]!;
    this.#ownTail = this.#tailSeen = words[this.#tail]!;
  }

  /** Commits the message in a slot. False: the oldest entry is in the way, with {@link position}, {@link entry} and {@link slot}. */
  put(slot: number): boolean {
    const words = this.#words;
    let position = this.#end();
    for (let steps = this.#patience; steps > 0; steps--) {
      const index = this.#ring + (position & this.#mask);
      const round = (position >>> this.#shift) & ROUNDS;
      const free = round << ROUND_SHIFT;
      let found = words[index]!;
      if (found === free) {
        found = Atomics.compareExchange(words, index, free, free | FILLED | slot); // pairs with the load in find
        if (found === free) {
          const next = (position + 1) | 0;
          this.#ownTail = next;
          const seen = this.#tailSeen;
          if (((next - seen) | 0) >= NOW_AND_THEN) Atomics.compareExchange(words, this.#tail, seen, next);
          return true;
        }
      }
      const ahead = ((found >>> ROUND_SHIFT) - round) & ROUNDS;
      if (ahead <= 1) position = (position + 1) | 0;
      else if (ahead < BEHIND) position = (position + Math.imul(ahead - 1, this.#size)) | 0;
      else if (ahead === ROUNDS && (found & FILLED) !== 0) {
        this.position = (position - this.#size) | 0;
        this.entry = found;
        this.slot = this.#slotOf(found);
        return false;
      } else position = this.#rightTail();
    }
    throw this.#damaged();
  }
  /**
   * Finds the oldest entry whose message is still there, of one of `types` if they are given: {@link slot}, {@link word},
   * {@link position} and {@link entry}. To take it is to exchange the word.
   */
  find(types: readonly number[] | undefined): boolean {
    const words = this.#words;
    let position = this.#start();
    let over = true;
    for (let steps = this.#patience; steps > 0; steps--) {
      const index = this.#ring + (position & this.#mask);
      const entry = loadInOrder(words, index); // pairs with the exchange in put
      const round = (position >>> this.#shift) & ROUNDS;
      const ahead = ((entry >>> ROUND_SHIFT) - round) & ROUNDS;
      if (ahead === 0) {
        if ((entry & FILLED) === 0) return false;
        const slot = entry & SLOT;
        if (slot >= this.#capacity) throw this.#damaged();
        const word = loadInOrder(words, this.#states + slot);
        if ((word & STATE) === SENT) {
          // Both still there, the entry after the word: so that is the state of this entry's message, until it is exchanged.
          this.#looks.say(LOOK_INDEX, word);
          if (Atomics.load(words, this.#states + slot) !== word || loadInOrder(words, index) !== entry) continue;
          if (!this.isNear(position)) {
            position = this.#start();
            continue;
          }
          if (types === undefined || types.includes(words[this.#types + slot * this.#stride]!)) {
            this.position = position;
            this.entry = entry;
            this.slot = slot;
            this.word = word;
            return true;
          }
          over = false;
        }
        // Otherwise it is taken, and the entry about to be cleared.
        position = (position + 1) | 0;
      } else if (ahead === 1) position = (position + 1) | 0;
      else if (ahead < BEHIND) {
        // Whoever filled this last has found the entry of a round before over, and with it all that are older; no more is known.
        const rounds = (entry & FILLED) !== 0 ? ahead - 1 : ahead - 2;
        position = (position + Math.imul(rounds, this.#size) + 1) | 0;
      } else if (ahead === ROUNDS && (entry & FILLED) !== 0) {
        return false; // the ring is full, and this is its end
      } else position = this.#rightHead();
      if (over) this.#ownHead = position;
    }
    throw this.#damaged();
  }
  /** Clears the entry of {@link position}; nothing if somebody has. */
  clear(position: number, entry: number): void {
    Atomics.compareExchange(
      this.#words,
      this.#ring + (position & this.#mask),
      entry,
      ((entry & ~(ROUND - 1)) + ROUND) | 0,
    );
    if (this.#ownHead === position) this.#ownHead = (position + 1) | 0;
    const seen = this.#headSeen;
    if (((this.#ownHead - seen) | 0) >= NOW_AND_THEN)
      Atomics.compareExchange(this.#words, this.#head, seen, this.#ownHead);
  }
  /**
   * Whether a position is that of its entry, and not one with the same round long ago: false if we were stopped on the way to it. Ask it
   * after having seen the entry, and believe it if the entry was there still.
   */
  isNear(position: number): boolean {
    return (position - loadInOrder(this.#words, this.#head) + this.#far) >>> 0 <= 2 * this.#far;
  }
  /** Whether an entry is still where it was. */
  has(position: number, entry: number): boolean {
    return Atomics.load(this.#words, this.#ring + (position & this.#mask)) === entry;
  }
  /** Calls `visit` with every filled entry, in no order. */
  each(visit: (slot: number, position: number, entry: number) => void): void {
    const head = this.#start();
    for (let at = 0; at < this.#size; at++) {
      const entry = Atomics.load(this.#words, this.#ring + at);
      if ((entry & FILLED) === 0) continue;
      // Of the positions that have this round, the one nearest to the head.
      const ahead = (((entry >>> ROUND_SHIFT) - (head >>> this.#shift)) << ROUND_SHIFT) >> ROUND_SHIFT;
      const round = (head >>> this.#shift) + ahead;
      const slot = entry & SLOT;
      if (slot < this.#capacity) visit(slot, (round << this.#shift) | at | 0, entry);
    }
  }
  /** Something seems to be there: a look of a few nanoseconds, which is not always right. */
  get looksFilled(): boolean {
    const head = this.#later(this.#words[this.#head]!);
    const entry = loadInOrder(this.#words, this.#ring + (head & this.#mask));
    return entry >>> 16 !== ((head >>> this.#shift) & ROUNDS) << 1;
  }
  /** Where a search begins: every entry before is over. */
  #start(): number {
    const hint = this.#words[this.#head]!;
    this.#headSeen = hint;
    return this.#later(hint);
  }
  /** The hint, or what we know ourselves. */
  #later(hint: number): number {
    const own = this.#ownHead;
    return (own - hint) >>> 0 <= this.#far ? own : hint; // what is farther was right long ago
  }
  /** Where the free entries begin: every entry before was filled. */
  #end(): number {
    const own = this.#ownTail;
    const hint = this.#words[this.#tail]!;
    this.#tailSeen = hint;
    return (own - hint) >>> 0 <= this.#far ? own : hint;
  }
  /** The head, where what we took for it cannot be: we were stopped on the way and the hint is newer, or the hint is damaged. */
  #rightHead(): number {
    const words = this.#words;
    const seen = this.#headSeen;
    const hint = Atomics.load(words, this.#head);
    this.#headSeen = hint;
    if (hint !== seen || this.#ownHead !== hint) return (this.#ownHead = hint);
    const head = this.#notBefore(hint, this.#findTail() - this.#size);
    Atomics.compareExchange(words, this.#head, hint, head);
    return (this.#ownHead = head);
  }
  #rightTail(): number {
    const words = this.#words;
    const seen = this.#tailSeen;
    const hint = Atomics.load(words, this.#tail);
    this.#tailSeen = hint;
    if (hint !== seen || this.#ownTail !== hint) return (this.#ownTail = hint);
    const tail = this.#notBefore(hint, this.#findTail());
    Atomics.compareExchange(words, this.#tail, hint, tail);
    return (this.#ownTail = tail);
  }
  /** The first position from a hint on that an entry tells from others as it does `position`. */
  #notBefore(hint: number, position: number): number {
    return (hint + ((position - hint) & this.#cycle)) | 0;
  }
  /** The tail by the entries, modulo their cycle: those before it were filled once more than those from it on. */
  #findTail(): number {
    const fills = (at: number) => {
      const entry = Atomics.load(this.#words, this.#ring + at);
      return ((entry >>> ROUND_SHIFT) + ((entry >>> 16) & 1)) & ROUNDS;
    };
    for (let tries = 0; tries < 100; tries++) {
      const most = fills(0);
      let at = 1;
      while (at < this.#size && fills(at) === most) at++;
      const tail = (((most - 1) & ROUNDS) << this.#shift) + at;
      while (at < this.#size && fills(at) === ((most - 1) & ROUNDS)) at++;
      if (at === this.#size) return tail | 0; // otherwise somebody has put one in meanwhile
    }
    throw this.#damaged();
  }
  #slotOf(entry: number): number {
    const slot = entry & SLOT;
    if (slot < this.#capacity) return slot;
    throw this.#damaged();
  }
  #damaged(): CorruptError {
    return new CorruptError('the index of a queue has entries that cannot be: somebody has damaged it');
  }
}
