/**
 * The messages in the shared memory of a queue, as one seat puts and takes them. Never waits; layout.ts explains why it is safe.
 *
 * Hostility: a process that can write to the memory can damage messages, but every word that is used as an index or a length is read once
 * and checked first.
 */
import { CorruptError } from '../../system/errors.js';
import { loadAfterStore as loadInOrder, publish } from '../ordering.js';
import { Generations } from './generations.js';
import { HAZARD_DEAD, HAZARD_INDEX, Hazards } from './hazards.js';
import {
  ATTEMPTS,
  FREE,
  HEADER,
  LENGTH,
  type Plan,
  PRIORITY,
  RETURNED,
  SENT,
  STATE,
  seatOf,
  stateWord,
  TAKEN,
  TYPE,
} from './layout.js';
import { ReadyIndex } from './ready-index.js';
import { Redelivery } from './redelivery.js';

/** How often other processes may be faster where the index has come round. */
const MAX_LOST_RACES = 1000;

export class Messages {
  readonly plan: Plan;
  readonly words: Int32Array;
  readonly indexes: readonly ReadyIndex[];
  readonly returned: Redelivery;
  readonly #bytes: Uint8Array;
  readonly #seat: number;
  readonly #hazards: Hazards;
  readonly #generations: Generations;
  readonly #states: number;
  readonly #slots: number;
  readonly #stride: number;
  readonly #capacity: number;
  /** Where the search for a free slot continues. */
  #cursor: number;
  /** From the last {@link take}: the state word by which we own it, and its header. */
  word = 0;
  length = 0;
  priority = 0;
  type = 0;
  attempt = 0;

  constructor(buffer: ArrayBuffer, plan: Plan, seat: number) {
    this.plan = plan;
    this.words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#seat = seat;
    this.#states = plan.states;
    this.#slots = plan.slots;
    this.#stride = plan.stride;
    this.#capacity = plan.capacity;
    const hazards = new Hazards(this.words, seat);
    this.#hazards = hazards;
    this.#generations = new Generations(this.words, plan, seat);
    this.indexes = Array.from(
      { length: plan.priorities },
      (_, priority) => new ReadyIndex(this.words, plan, priority, hazards),
    );
    this.returned = new Redelivery(this.words, plan, hazards);
    this.#cursor = Math.floor((plan.capacity * (seat & 7)) / 8);
  }

  /**
   * Sends at most `messageSize` bytes. False: there is no room among the next `looks` slots. All slots are a thousand loads, of words that
   * consumers are writing: too much for a caller that checks again anyway before sleeping.
   */
  put(payload: Uint8Array, priority: number, type: number, looks: number = this.#capacity): boolean {
    const slot = this.#allocate(Math.min(looks, this.#capacity));
    if (slot < 0) return false;
    const words = this.words;
    const header = this.#slots + slot * this.#stride;
    const { length } = payload;
    words[header + LENGTH] = length;
    words[header + PRIORITY] = priority;
    words[header + TYPE] = type;
    words[header + ATTEMPTS] = 0;
    this.#bytes.set(payload, (header << 2) + HEADER);
    const index = this.indexes[priority]!;
    try {
      for (let tries = this.plan.ringSize + MAX_LOST_RACES; !index.put(slot); tries--) {
        if (tries === 0) throw damaged('the ready index stays inconsistent');
        this.#evict(index);
      }
    } catch (error) {
      Atomics.store(words, this.#states + slot, FREE);
      throw error;
    }
    return true;
  }
  /** Takes the next message, of one of `types` if they are given. Returns its slot, with {@link word}, {@link length} and so on, or -1. */
  take(types: readonly number[] | undefined): number {
    const { indexes, returned } = this;
    if (returned.any) return this.#takeReturned(types);
    for (let priority = indexes.length - 1; priority >= 0; priority--) {
      const index = indexes[priority]!;
      while (index.looksFilled && index.find(types)) {
        if (this.#claim(index.slot, index.word)) return this.#taken(index, priority);
      }
    }
    return -1;
  }
  /** Includes redelivered messages, at their positions. */
  #takeReturned(types: readonly number[] | undefined): number {
    const { indexes, returned } = this;
    for (let priority = indexes.length - 1; priority >= 0; priority--) {
      const index = indexes[priority]!;
      for (;;) {
        const back = returned.find(priority, types);
        if (!index.find(types)) {
          if (!back) break;
        } else if (!back || ((returned.position - index.position) | 0) > 0) {
          if (this.#claim(index.slot, index.word)) return this.#taken(index, priority);
          continue;
        }
        const { slot } = returned;
        if (!this.#claim(slot, returned.word)) continue;
        returned.remove(slot);
        this.#read(slot, priority);
        return slot;
      }
    }
    return -1;
  }
  /** Frees a slot that we took. No other process changes its word, so a store is enough; it pairs with the exchange in #allocate. */
  acknowledge(slot: number, word: number): void {
    const { words } = this;
    const at = this.#states + slot;
    if (words[at] !== word) throw notOurs();
    // A process that announces a sleep before it looks for a free slot issues the barrier for us (waiter-table.ts).
    if (this.#hazards.fences) Atomics.store(words, at, FREE);
    else publish(words, at, FREE);
  }
  /** Returns a message that we took, to be taken again at its position. */
  redeliver(slot: number, word: number): void {
    if (this.words[this.#states + slot] !== word) throw notOurs();
    this.returned.add(slot);
    Atomics.store(this.words, this.#states + slot, this.#word(RETURNED));
  }
  /** Where the payload of a slot begins, in bytes. */
  offsetOf(slot: number): number {
    return ((this.#slots + slot * this.#stride) << 2) + HEADER;
  }
  /** Calls `visit` with every slot that `seat` owns, or has sent. */
  eachOf(seat: number, visit: (slot: number, word: number) => void): void {
    for (let slot = 0; slot < this.#capacity; slot++) {
      const word = Atomics.load(this.words, this.#states + slot);
      const state = word & STATE;
      if ((state === SENT || state === TAKEN) && seatOf(word) === seat) visit(slot, word);
    }
  }
  /** Calls `visit` with every slot that `seat` has taken. */
  eachTakenBy(seat: number, visit: (slot: number, word: number) => void): void {
    this.eachOf(seat, (slot, word) => {
      if ((word & STATE) === TAKEN) visit(slot, word);
    });
  }
  /** Announces that we are about to {@link free} or {@link adopt} a slot; false if its word has changed. */
  expects(slot: number, word: number): boolean {
    this.#hazards.protect(HAZARD_DEAD, word);
    return Atomics.load(this.words, this.#states + slot) === word;
  }
  /** Frees a slot whose owner, by its word, is dead and has not committed it. */
  free(slot: number, word: number): boolean {
    return Atomics.compareExchange(this.words, this.#states + slot, word, FREE) === word;
  }
  /** Takes over a slot whose owner, by its word, is dead. Returns our word for it, 0 if another process has taken it. */
  adopt(slot: number, word: number): number {
    return this.#claim(slot, word) ? this.word : 0;
  }
  /**
   * Counts messages that can be taken, and messages that are taken. By plain loads, in one pass over the words. A message that is just
   * being sent counts as ready, even if its sender has died and no process has noticed yet.
   */
  count(): { ready: number; inFlight: number } {
    const { words } = this;
    let inFlight = 0;
    let ready = 0;
    for (let index = this.#states, end = index + this.#capacity; index < end; index++) {
      const state = words[index]!;
      ready += state & 1; // SENT or RETURNED
      inFlight += (state >> 1) & ~state & 1; // TAKEN
    }
    return { ready, inFlight };
  }
  /** Whether there is a free slot, by a quick check. */
  get looksFree(): boolean {
    return loadInOrder(this.words, this.#states + this.#cursor) === FREE;
  }
  /** Whether there may be a message, by a quick check. */
  get looksReady(): boolean {
    if (this.returned.any) return true;
    for (const index of this.indexes) if (index.looksFilled) return true;
    return false;
  }
  /** So that the next owner of this seat can continue with words that no process has seen. */
  noteGeneration(): void {
    this.#generations.note();
  }

  #word(state: number): number {
    return stateWord(state, this.#seat, this.#generations.next());
  }
  #allocate(looks: number): number {
    const { words } = this;
    const states = this.#states;
    const capacity = this.#capacity;
    let slot = this.#cursor;
    for (let left = looks; left > 0; left--) {
      if (
        loadInOrder(words, states + slot) === FREE &&
        Atomics.compareExchange(words, states + slot, FREE, this.#word(SENT)) === FREE
      ) {
        this.#cursor = slot + 1 === capacity ? 0 : slot + 1;
        return slot;
      }
      slot = slot + 1 === capacity ? 0 : slot + 1;
    }
    return -1;
  }
  #claim(slot: number, word: number): boolean {
    const mine = this.#word(TAKEN);
    if (Atomics.compareExchange(this.words, this.#states + slot, word, mine) !== word) return false;
    this.word = mine;
    return true;
  }
  /** What follows when a message of the index was claimed. */
  #taken(index: ReadyIndex, priority: number): number {
    const { slot, position } = index;
    index.clear(position, index.entry);
    this.#read(slot, priority);
    return slot;
  }
  #read(slot: number, priority: number): void {
    const { words } = this;
    const header = this.#slots + slot * this.#stride;
    const length = words[header + LENGTH]!;
    const attempt = words[header + ATTEMPTS]! + 1;
    if (length < 0 || length > this.plan.messageSize) throw damaged(`invalid message length ${length}`);
    if (attempt < 1 || attempt > 0x7fffffff) throw damaged('invalid attempt count');
    words[header + ATTEMPTS] = attempt;
    this.length = length;
    this.attempt = attempt;
    this.priority = priority;
    this.type = words[header + TYPE]!;
  }
  /** The index has come round to an old entry: its message is redelivered, or another process has it already. */
  #evict(index: ReadyIndex): void {
    const { words } = this;
    const { slot, position, entry } = index;
    const word = Atomics.load(words, this.#states + slot);
    this.#hazards.protect(HAZARD_INDEX, word);
    if (Atomics.load(words, this.#states + slot) !== word) return;
    if (!index.isNear(position) || !index.has(position, entry)) return;
    if ((word & STATE) === SENT) {
      if (!this.#claim(slot, word)) return;
      index.clear(position, entry);
      this.redeliver(slot, this.word);
    } else index.clear(position, entry); // for its owner, which may be stopped or killed before doing it
  }
}
function notOurs(): CorruptError {
  return damaged('a message that this process holds was taken');
}
function damaged(what: string): CorruptError {
  return new CorruptError(`corrupt queue: ${what}. Unlink it if no process uses it`);
}
