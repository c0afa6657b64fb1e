/**
 * The order in which the messages of one priority were committed: a ring of entries, each the number of a slot.
 *
 *     entry  bit 31 … n round | n - 1 filled | n - 2 … 0 slot        for a ring of 2^n entries, which is twice as many as slots or more
 *
 * A position counts entries since the beginning (modulo 2^32); its entry is at `position & (size - 1)`, and its round is `position / size`.
 * An entry that is not filled and has the round of a position is free for that position; to clear it is to write the next round. So a
 * compare-and-exchange puts an entry at one position, or clears it, and at no other before 2^32 have passed, however long its process was
 * stopped before; and the positions are filled without gaps.
 *
 * `head` and `tail` are hints, written only now and then, so that their cache lines do not travel with every message: every entry before
 * `head` is consumed, every one before `tail` was filled once. A process's own values may be a little newer. A hint is exchanged for a
 * later one, so it never goes back, and lags behind by some entries. Where a hint is invalid, the entries decide.
 */
import { CorruptError } from '../../system/errors.js';
import { loadAfterStore as loadInOrder } from '../ordering.js';
import { HAZARD_INDEX, type Hazards } from './hazards.js';
import { HINT_STRIDE, HINTS, type Plan, POSITION, SENT, STATE, TAIL_HINT, TYPE } from './layout.js';

/** No position in use is so far from a hint. */
const FAR = 2 ** 30;
/** A hint is written when it is so many positions behind. */
const POSITIONS_PER_HINT = 32;

export class ReadyIndex {
  readonly #words: Int32Array;
  readonly #hazards: Hazards;
  readonly #head: number;
  readonly #tail: number;
  readonly #ring: number;
  readonly #size: number;
  readonly #mask: number;
  readonly #shift: number;
  readonly #filled: number;
  readonly #slots: number;
  readonly #rounds: number;
  /** A round that is so far "ahead" is behind. */
  readonly #behind: number;
  readonly #states: number;
  readonly #types: number;
  readonly #positions: number;
  readonly #stride: number;
  readonly #capacity: number;
  readonly #maxSteps: number;
  /** Our own values: hints as well. */
  #ownHead: number;
  #ownTail: number;
  /** The hints, as last read. */
  #headSeen: number;
  #tailSeen: number;
  /** From the last {@link find}, or the entry that blocks {@link put}. */
  position = 0;
  entry = 0;
  slot = 0;
  /** The slot's state word. */
  word = 0;

  constructor(words: Int32Array, plan: Plan, priority: number, hazards: Hazards) {
    this.#words = words;
    this.#hazards = hazards;
    this.#head = HINTS + priority * HINT_STRIDE;
    this.#tail = this.#head + TAIL_HINT;
    this.#size = plan.ringSize;
    this.#ring = plan.rings + priority * plan.ringSize;
    this.#mask = plan.ringSize - 1;
    this.#shift = Math.log2(plan.ringSize);
    this.#filled = plan.ringSize >> 1;
    this.#slots = this.#filled - 1;
    this.#rounds = 2 ** (32 - this.#shift) - 1;
    this.#behind = 2 ** (31 - this.#shift);
    this.#states = plan.states;
    this.#types = plan.slots + TYPE;
    this.#positions = plan.slots + POSITION;
    this.#stride = plan.stride;
    this.#capacity = plan.capacity;
    this.#maxSteps = 4 * plan.ringSize + 1000;
    this.#ownHead = this.#headSeen = words[this.#head]!;
    this.#ownTail = this.#tailSeen = words[this.#tail]!;
  }

  /**
   * Commits the message in a slot; writes its position there first. False: the oldest entry blocks it, with {@link position}, {@link entry}
   * and {@link slot}.
   */
  put(slot: number): boolean {
    const words = this.#words;
    const positionAt = this.#positions + slot * this.#stride;
    let position = this.#end();
    for (let steps = this.#maxSteps; steps > 0; steps--) {
      const index = this.#ring + (position & this.#mask);
      const round = position >>> this.#shift;
      const free = round << this.#shift;
      let found = words[index]!;
      if (found === free) {
        words[positionAt] = position;
        found = Atomics.compareExchange(words, index, free, free | this.#filled | slot); // pairs with the load in find
        if (found === free) {
          const next = (position + 1) | 0;
          this.#ownTail = next;
          const seen = this.#tailSeen;
          if (((next - seen) | 0) >= POSITIONS_PER_HINT) Atomics.compareExchange(words, this.#tail, seen, next);
          return true;
        }
      }
      const ahead = ((found >>> this.#shift) - round) & this.#rounds;
      if (ahead <= 1) position = (position + 1) | 0;
      else if (ahead < this.#behind) position = (position + Math.imul(ahead - 1, this.#size)) | 0;
      else if (ahead === this.#rounds && (found & this.#filled) !== 0) {
        this.position = (position - this.#size) | 0;
        this.entry = found;
        this.slot = this.#slotOf(found);
        return false;
      } else position = this.#rightTail();
    }
    throw this.#damaged();
  }
  /**
   * Finds the oldest entry whose message is still there, of one of `types` if they are given: {@link slot}, {@link word}, {@link position}
   * and {@link entry}. Exchange the word to take it.
   */
  find(types: readonly number[] | undefined): boolean {
    const words = this.#words;
    let position = this.#start();
    let over = true;
    for (let steps = this.#maxSteps; steps > 0; steps--) {
      const index = this.#ring + (position & this.#mask);
      const entry = loadInOrder(words, index); // pairs with the exchange in put
      const round = position >>> this.#shift;
      const ahead = ((entry >>> this.#shift) - round) & this.#rounds;
      if (ahead === 0) {
        if ((entry & this.#filled) === 0) return false;
        const slot = entry & this.#slots;
        if (slot >= this.#capacity) throw this.#damaged();
        const word = loadInOrder(words, this.#states + slot);
        if ((word & STATE) === SENT) {
          // Both are unchanged, the entry checked after the word: so the state is the one of this entry's message, until it is exchanged.
          this.#hazards.protect(HAZARD_INDEX, word);
          if (loadInOrder(words, this.#states + slot) !== word || loadInOrder(words, index) !== entry) continue;
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
      else if (ahead < this.#behind) {
        // A newer round implies that all older entries are consumed: the process that filled this one found that of the previous round so.
        const rounds = (entry & this.#filled) !== 0 ? ahead - 1 : ahead - 2;
        position = (position + Math.imul(rounds, this.#size) + 1) | 0;
      } else if (ahead === this.#rounds && (entry & this.#filled) !== 0) {
        return false; // the ring is full, and this is its end
      } else position = this.#rightHead();
      if (over) this.#ownHead = position;
    }
    throw this.#damaged();
  }
  /** Clears the entry of {@link position}, unless it is cleared already. */
  clear(position: number, entry: number): void {
    Atomics.compareExchange(
      this.#words,
      this.#ring + (position & this.#mask),
      entry,
      ((entry & ~this.#mask) + this.#size) | 0,
    );
    if (this.#ownHead === position) this.#ownHead = (position + 1) | 0;
    const seen = this.#headSeen;
    if (((this.#ownHead - seen) | 0) >= POSITIONS_PER_HINT)
      Atomics.compareExchange(this.#words, this.#head, seen, this.#ownHead);
  }
  /**
   * Whether a position is in use, and not an old one: false if we were stopped on the way to it. Check it after reading the entry, and
   * trust it if the entry is still there.
   */
  isNear(position: number): boolean {
    return (position - loadInOrder(this.#words, this.#head) + FAR) >>> 0 <= 2 * FAR;
  }
  /** Whether an entry is still where it was. */
  has(position: number, entry: number): boolean {
    return Atomics.load(this.#words, this.#ring + (position & this.#mask)) === entry;
  }
  /** Calls `visit` with every filled entry, in no order. */
  each(visit: (slot: number, position: number, entry: number) => void): void {
    for (let at = 0; at < this.#size; at++) {
      const entry = Atomics.load(this.#words, this.#ring + at);
      if ((entry & this.#filled) === 0) continue;
      const slot = entry & this.#slots;
      if (slot < this.#capacity) visit(slot, (entry & ~this.#mask) | at, entry);
    }
  }
  /** A check of a few nanoseconds, which is not always right: there seems to be an entry. */
  get looksFilled(): boolean {
    const head = this.#later(this.#words[this.#head]!);
    const entry = loadInOrder(this.#words, this.#ring + (head & this.#mask));
    return (entry & ~this.#slots) !== (head & ~this.#mask);
  }
  /** Where a search begins: every earlier entry is consumed. */
  #start(): number {
    const hint = this.#words[this.#head]!;
    this.#headSeen = hint;
    return this.#later(hint);
  }
  /** The hint, or our own value. */
  #later(hint: number): number {
    const own = this.#ownHead;
    return (own - hint) >>> 0 <= FAR ? own : hint; // a farther one is outdated
  }
  /** Where the free entries begin: every earlier entry was filled. */
  #end(): number {
    const own = this.#ownTail;
    const hint = this.#words[this.#tail]!;
    this.#tailSeen = hint;
    return (own - hint) >>> 0 <= FAR ? own : hint;
  }
  /** The head, where our value is invalid: we were stopped and the hint is newer, or the hint is damaged. */
  #rightHead(): number {
    const words = this.#words;
    const seen = this.#headSeen;
    const hint = Atomics.load(words, this.#head);
    this.#headSeen = hint;
    if (hint !== seen || this.#ownHead !== hint) return (this.#ownHead = hint);
    const head = (this.#findTail() - this.#size) | 0;
    Atomics.compareExchange(words, this.#head, hint, head);
    return (this.#ownHead = head);
  }
  #rightTail(): number {
    const words = this.#words;
    const seen = this.#tailSeen;
    const hint = Atomics.load(words, this.#tail);
    this.#tailSeen = hint;
    if (hint !== seen || this.#ownTail !== hint) return (this.#ownTail = hint);
    const tail = this.#findTail();
    Atomics.compareExchange(words, this.#tail, hint, tail);
    return (this.#ownTail = tail);
  }
  /** The tail by the entries: those before it were filled once more than those from it on. */
  #findTail(): number {
    const fills = (at: number) => {
      const entry = Atomics.load(this.#words, this.#ring + at);
      return ((entry >>> this.#shift) + ((entry & this.#filled) === 0 ? 0 : 1)) & this.#rounds;
    };
    for (let tries = 0; tries < 100; tries++) {
      const most = fills(0);
      let at = 1;
      while (at < this.#size && fills(at) === most) at++;
      const tail = (((most - 1) & this.#rounds) << this.#shift) + at;
      while (at < this.#size && fills(at) === ((most - 1) & this.#rounds)) at++;
      if (at === this.#size) return tail | 0; // otherwise another process has put one meanwhile
    }
    throw this.#damaged();
  }
  #slotOf(entry: number): number {
    const slot = entry & this.#slots;
    if (slot < this.#capacity) return slot;
    throw this.#damaged();
  }
  #damaged(): CorruptError {
    return new CorruptError('corrupt queue: invalid entry in the ready index. Unlink it if no process uses it');
  }
}
