/**
 * The waiter table: for consumers that wait for messages, and again for producers that wait for room.
 *
 * A sleeper stores a ticket, announces in the summary that there may be a sleeper, polls once more, and sleeps. A process that has
 * something for a sleeper checks the summary after publishing it: one of the two sees the other. It rings first and then exchanges the
 * ticket for 0. So if it is stopped or killed in between, or the bell cannot be rung, the next process rings again.
 *
 * A ticket is a number of the whole queue, given to one sleep: the exchange may come late, when the seat belongs to another process, and
 * then it must find another ticket there. Otherwise it would cancel a sleep without a wake-up.
 *
 * A message is published by an exchange. Room is published by a plain store (Messages.acknowledge), which would need a barrier before the
 * check, for each message: a process that sleeps for room issues it for both, by membarrier(2), before it polls once more. Where the kernel
 * has none, `FENCES` (hazards.ts) makes each process issue its own.
 *
 * The summary's bit 0 says that there may be a sleeper. A process that finds none clears it, if the word has not changed since: each new
 * sleeper changes it, after its ticket.
 */

import { barrier } from '../../system/membarrier.js';
import { loadAfterStore } from '../ordering.js';
import { SEATS } from '../seats.js';
import { HIGHEST_SEAT, LAST_TICKET } from './layout.js';

const SOME = 1;
/** A producer wants every slot that becomes free, at once. */
const EAGER = 2;
const CHANGE = 4;

/** For a sleeping seat: whether it is woken, and whether it counts. */
export type Choose = (seat: number) => 'count' | 'wake' | 'leave';

export class WaiterTable {
  readonly #words: Int32Array;
  readonly #summary: number;
  readonly #tickets: number;
  readonly #seat: number;
  readonly #ring: (seat: number) => boolean | undefined;
  readonly #barrier: boolean;
  #announced = false;
  /** Where the search for a sleeper begins: round robin. */
  #turn = 0;

  /** A bell could not be rung in the last {@link wake}: call it again soon. */
  unheard = false;

  /**
   * @param ring wakes a seat; false if it has no owner, undefined if it failed for now
   * @param barrier what they wait for is published by a plain store
   */
  constructor(
    words: Int32Array,
    summary: number,
    tickets: number,
    seat: number,
    ring: (seat: number) => boolean | undefined,
    barrier = false,
  ) {
    this.#words = words;
    this.#summary = summary;
    this.#tickets = tickets;
    this.#seat = seat;
    this.#ring = ring;
    this.#barrier = barrier;
    Atomics.store(words, tickets + seat, 0); // of a predecessor
  }
  /** Announces that we are about to sleep. Poll once more before sleeping. */
  announce(eager = false): void {
    const words = this.#words;
    this.#announced = true;
    Atomics.store(words, this.#tickets + this.#seat, this.#newTicket());
    let summary = Atomics.load(words, this.#summary);
    for (;;) {
      const next = (summary + CHANGE) | SOME | (eager ? EAGER : 0);
      const found = Atomics.compareExchange(words, this.#summary, summary, next); // pairs with the load of the waker
      if (found === summary) break;
      summary = found;
    }
    if (this.#barrier) barrier(); // pairs with the store in Messages.acknowledge
  }
  /** We are awake. True: we were woken, or are about to be, so the bell was rung. */
  withdraw(): boolean {
    const announced = this.#announced;
    this.#announced = false;
    if (this.#words[this.#tickets + this.#seat] === 0) return announced;
    Atomics.store(this.#words, this.#tickets + this.#seat, 0);
    return false;
  }
  /**
   * The summary; read it after an atomic store or exchange, unless the sleepers issue a barrier. If bit 0 is set, there may be a sleeper to
   * {@link wake}.
   */
  get summary(): number {
    return loadAfterStore(this.#words, this.#summary);
  }
  get some(): boolean {
    return (loadAfterStore(this.#words, this.#summary) & SOME) !== 0;
  }
  /** Wakes up to `most` sleepers. `choose` is called for each: whether it is woken, and whether it counts. */
  wake(most: number, choose?: Choose): number {
    const words = this.#words;
    this.unheard = false;
    const summary = Atomics.load(words, this.#summary);
    if ((summary & SOME) === 0) return 0;
    const count = Math.min(Math.max(words[HIGHEST_SEAT]!, 1), SEATS);
    let woken = 0;
    let left = 0;
    this.#turn = (this.#turn + 1) % count;
    for (let i = 0; i < count; i++) {
      const seat = (this.#turn + i) % count;
      const ticket = Atomics.load(words, this.#tickets + seat);
      if (ticket === 0) continue;
      const choice = choose?.(seat) ?? 'count';
      if (choice === 'leave' || (choice === 'count' && woken >= most)) {
        left++;
        continue;
      }
      const there = this.#ring(seat);
      if (there === undefined) {
        this.unheard = true;
        left++;
        continue;
      }
      Atomics.compareExchange(words, this.#tickets + seat, ticket, 0);
      if (there && choice === 'count') woken++;
    }
    if (left === 0) Atomics.compareExchange(words, this.#summary, summary, summary & ~(SOME | EAGER));
    return woken;
  }
  /** Not 0, which means awake. */
  #newTicket(): number {
    const last = this.#summary + LAST_TICKET;
    return (Atomics.add(this.#words, last, 1) + 1) | 0 || (Atomics.add(this.#words, last, 1) + 1) | 0;
  }
  static isEager(summary: number): boolean {
    return (summary & EAGER) !== 0;
  }
}
