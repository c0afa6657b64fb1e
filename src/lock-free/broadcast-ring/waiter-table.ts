/**
 * Who sleeps and how publishers wake them, for any number on both sides.
 *
 *     of each seat         SLEEPS     odd: its owner sleeps, and this is the number of that sleep; even: awake, or woken
 *     of the topic's seat  ANNOUNCED  changes whenever a subscriber goes to sleep
 *                          TICKETS    numbers of sleeps, each given once
 *                          GENERATION changes whenever a ring has a new writer
 *                          FENCES     1: a subscriber's barriers do not reach other processes
 *
 * A sleeper stores its number, changes ANNOUNCED, polls all rings once more, and waits for its bell. A publisher, after storing its `tail`,
 * compares ANNOUNCED with the value at its last scan: one load per message, however many subscribe. If it has changed, there may be a
 * sleeper: the publisher rings all whose number is odd.
 *
 * Between its store of `tail` and its load of ANNOUNCED a publisher would need a barrier per message, which on x86-64 costs more than the
 * message: it waits until the readers' processors have given up the line of `tail`. So the sleeper issues it for both, by membarrier(2),
 * between its change and its last poll. A process whose kernel does not allow that says so in FENCES, for all publishers or for itself.
 * Not covered: a publisher whose `tail` has not left its store buffer between the store of FENCES and the last poll of the same
 * subscriber. Opening a subscription and going to sleep takes many system calls; a store buffer empties within a microsecond.
 *
 * No wake-up is lost: either the sleeper's change comes first, or the publisher's tail. So either the publisher sees the change, or the
 * sleeper the record. No publisher hides a sleeper from another: each compares for itself, and a number is made even only AFTER its bell
 * was rung, by exchanging exactly that number. So a publisher that is killed in the middle has at worst rung once too often, or not rung
 * everyone. Its death itself wakes the rest (channel/directory/exit-watcher.ts), which poll again. If a bell cannot be rung now, its owner
 * stays marked as asleep, and is rung with the next message, or soon.
 */

import { barrier, barriersReachUs } from '../../system/membarrier.js';
import { loadAfterStore } from '../ordering.js';
import { SEAT_OWN, SEAT_SLEEPS, SEATS } from '../seats.js';

/** The seat without an owner, whose words are the topic's. */
export const TOPIC_SEAT: number = SEATS - 1;
const ANNOUNCED = SEAT_OWN;
const TICKETS = SEAT_OWN + 1;
const GENERATION = SEAT_OWN + 2;
const FENCES = SEAT_OWN + 3;
/** A store to it is a barrier. */
const fence = new Int32Array(1);

/** Where the words are, and our seat. */
export interface Seats {
  readonly words: Int32Array;
  readonly seat: number;
  /** The first word of a seat. */
  wordOf(seat: number): number;
}

/** A sleeper's side. */
export class WaiterEntry {
  readonly #words: Int32Array;
  readonly #seat: number;
  readonly #topic: number;
  #ticket = 0;
  #asleep = false;

  constructor(seats: Seats) {
    this.#words = seats.words;
    this.#seat = seats.wordOf(seats.seat) + SEAT_SLEEPS;
    this.#topic = seats.wordOf(TOPIC_SEAT);
    if (!barriersReachUs) Atomics.store(this.#words, this.#topic + FENCES, 1);
  }
  /** Announces that this side is about to wait for its bell. Poll once more after that, before you wait. */
  announce(): void {
    // A reused number could be taken for asleep by a publisher that was about to make it even then.
    this.#ticket = Atomics.add(this.#words, this.#topic + TICKETS, 2) | 1;
    this.#asleep = true;
    Atomics.store(this.#words, this.#seat, this.#ticket);
    Atomics.add(this.#words, this.#topic + ANNOUNCED, 1); // pairs with the load in Waker.wake
    barrier();
  }
  /** Takes the announcement back. True: the bell was rung meanwhile. */
  awake(): boolean {
    if (!this.#asleep) return false;
    this.#asleep = false;
    const rung = this.#words[this.#seat] !== this.#ticket;
    Atomics.store(this.#words, this.#seat, (this.#ticket + 1) | 0);
    return rung;
  }
  /** What {@link Waker.appear} changes. */
  get generation(): number {
    return Atomics.load(this.#words, this.#topic + GENERATION);
  }
}

/** A publisher's side. */
export class Waker {
  readonly #seats: Seats;
  readonly #ring: (seat: number) => boolean | undefined;
  readonly #words: Int32Array;
  readonly #announced: number;
  readonly #fences: number;
  readonly #sleeps: number;
  /** Words from one seat to the next. */
  readonly #step: number;
  #seen: number;

  /** @param ring wakes a seat; false if it has no owner, undefined if it failed for now */
  constructor(seats: Seats, ring: (seat: number) => boolean | undefined) {
    this.#seats = seats;
    this.#ring = ring;
    this.#words = seats.words;
    this.#announced = seats.wordOf(TOPIC_SEAT) + ANNOUNCED;
    this.#fences = seats.wordOf(TOPIC_SEAT) + FENCES;
    this.#sleeps = seats.wordOf(0) + SEAT_SLEEPS;
    this.#step = seats.wordOf(1) - seats.wordOf(0);
    this.#seen = (this.#words[this.#announced]! - 1) | 0; // earlier sleepers were not checked
  }
  /** Wakes the sleepers. Call it after each store of a tail. False: a wake-up failed; call it again soon. */
  wake(): boolean {
    if (!barriersReachUs || this.#words[this.#fences] !== 0) Atomics.store(fence, 0, 0);
    const announced = loadAfterStore(this.#words, this.#announced);
    return announced === this.#seen || this.#lookAround(announced);
  }
  /** Announces that a ring has a (new) writer. Call it before the writer publishes. */
  appear(): void {
    Atomics.add(this.#words, this.#seats.wordOf(TOPIC_SEAT) + GENERATION, 1);
  }
  #lookAround(announced: number): boolean {
    const words = this.#words;
    let all = true;
    for (let seat = 0, index = this.#sleeps; seat < TOPIC_SEAT; seat++, index += this.#step) {
      const ticket = words[index]!;
      if ((ticket & 1) === 0) continue;
      // False: its owner is dead, and needs no wake-up.
      if (this.#ring(seat) === undefined) {
        all = false;
        continue;
      }
      Atomics.compareExchange(words, index, ticket, (ticket + 1) | 0);
    }
    if (all) this.#seen = announced;
    return all;
  }
}
