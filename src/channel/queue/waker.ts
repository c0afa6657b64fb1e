/**
 * Chooses which waiters to wake after a send, a free slot or a redelivery. For a message it wakes two consumers, in case one of them cannot
 * run. Producers are woken when more than one slot is free, unless they have waited for long. waiter-table.ts describes how.
 */

import type { Messages } from '../../lock-free/slot-queue/messages.js';
import { type Choose, WaiterTable } from '../../lock-free/slot-queue/waiter-table.js';
import { SEAT_OWN, SEAT_OWN_WORDS } from '../directory/control-file.js';
import type { Participant } from '../directory/participant.js';

/** How many waiters are woken at a time. */
const WAITERS_AT_A_TIME = 2;
/** Milliseconds after which all are woken if those two have not taken it: both processes may be stopped. */
const WAKE_ALL_AFTER_MS = 50;
/** The most freed slots that a consumer gathers before it wakes a producer. Each wake-up also costs a barrier (waiter-table.ts). */
const MAX_GATHERED_SLOTS = 256;
const ALL = Number.POSITIVE_INFINITY;

export class Waker {
  readonly #participant: Participant;
  readonly #messages: Messages;
  readonly #consumers: WaiterTable;
  readonly #producers: WaiterTable;
  readonly #gather: number;
  /** Slots freed since a producer was woken, while one was asleep. */
  #freed = 0;
  #again: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(participant: Participant, messages: Messages, consumers: WaiterTable, producers: WaiterTable) {
    this.#participant = participant;
    this.#messages = messages;
    this.#consumers = consumers;
    this.#producers = producers;
    this.#gather = Math.max(1, Math.min(MAX_GATHERED_SLOTS, messages.plan.capacity >> 2));
  }
  /** There is a message of this type: wakes two consumers that take all types, and one that asks for this type. */
  message(type: number): void {
    const { words } = this.#participant;
    this.#wake(this.#consumers, WAITERS_AT_A_TIME, (seat) => {
      const own = this.#participant.wordOf(seat) + SEAT_OWN;
      const count = words[own]!;
      if (count <= 0 || count >= SEAT_OWN_WORDS) return 'count';
      for (let i = 1; i <= count; i++) if (words[own + i] === type) return 'wake';
      return 'leave';
    });
    if (this.#consumers.some) this.#lookAgain();
  }
  /** A slot is free, and a producer sleeps: it is woken when there is room for more than one message, unless it is eager. */
  room(): void {
    if (++this.#freed >= this.#gather || WaiterTable.isEager(this.#producers.summary)) this.flush();
  }
  /** No more room will come soon: wakes producers for what was gathered. */
  flush(): void {
    if (this.#freed === 0) return;
    const count = this.#freed + 1; // one more, in case the first cannot run
    this.#freed = 0;
    this.#wake(this.#producers, count);
    if (this.#producers.some) this.#lookAgain();
  }
  /** Messages were redelivered or slots freed, perhaps several. */
  all(messages: boolean, room: boolean): void {
    if (messages) this.#wake(this.#consumers, ALL);
    if (room) this.#wake(this.#producers, ALL);
  }
  /**
   * A waiter that may have been woken for something leaves it to others. `room`: it was woken for room. Which slot is free is not known
   * then, and the one that is checked otherwise says too little.
   */
  passOn(room: boolean): void {
    if (this.#consumers.some && this.#messages.looksReady) this.#wake(this.#consumers, WAITERS_AT_A_TIME);
    if (this.#producers.some && (room || this.#messages.looksFree)) this.#wake(this.#producers, WAITERS_AT_A_TIME);
  }
  /** Before this thread blocks: repeats failed wake-ups. True: some still fail. */
  ringAgain(): boolean {
    if (!this.#unheard) return false;
    this.#allWhoCould();
    return this.#unheard;
  }
  get #unheard(): boolean {
    return this.#consumers.unheard || this.#producers.unheard;
  }
  /** Before the memory is unmapped. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#again);
  }
  #wake(waiters: WaiterTable, most: number, choose?: Choose): void {
    waiters.wake(most, choose);
    if (waiters.unheard) this.#lookAgain();
  }
  /** Wakes the waiters that still sleep a while later, although they could continue. */
  #lookAgain(): void {
    if (this.#closed) return;
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      this.#allWhoCould();
    }, WAKE_ALL_AFTER_MS).unref();
  }
  #allWhoCould(): void {
    const ready = this.#messages.looksReady;
    if (!ready) this.#consumers.unheard = false; // another consumer has taken it
    this.all(ready, true);
  }
}
