/**
 * Whom one who has sent, freed or given back something wakes: two consumers for a message, so that it does not wait for one who
 * cannot run; producers for more than one free slot at a time, unless they have waited for long. How, waiter-table.ts tells.
 */

import type { Messages } from '../../lock-free/slot-queue/messages.js';
import { type Choose, WaiterTable } from '../../lock-free/slot-queue/waiter-table.js';
import { SEAT_OWN, SEAT_OWN_WORDS } from '../directory/control-file.js';
import type { Participant } from '../directory/participant.js';

/** How many waiters are woken at a time. */
const WAITERS_AT_A_TIME = 2;
/** Milliseconds after which all are woken if those two have not taken it: both may be stopped. */
const WAKE_ALL_AFTER_MS = 50;
/** Freed slots that a consumer gathers before it wakes a producer, at most. Each wake-up costs a barrier besides (waiter-table.ts). */
const MAX_GATHERED_SLOTS = 256;
const ALL = Number.POSITIVE_INFINITY;

export class Waker {
  readonly #participant: Participant;
  readonly #messages: Messages;
  readonly #consumers: WaiterTable;
  readonly #producers: WaiterTable;
  readonly #gather: number;
  /** Slots freed since a producer was woken, while there was one asleep. */
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
  /** There is a message of this type: wakes two of those who take all, and who asks for it. */
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
    const count = this.#freed + 1; // one more, should the first be one who cannot run
    this.#freed = 0;
    this.#wake(this.#producers, count);
    if (this.#producers.some) this.#lookAgain();
  }
  /** Messages came back, slots were freed, more than one perhaps. */
  all(messages: boolean, room: boolean): void {
    if (messages) this.#wake(this.#consumers, ALL);
    if (room) this.#wake(this.#producers, ALL);
  }
  /** Somebody who was perhaps woken for something leaves it to others. */
  passOn(): void {
    if (this.#consumers.some && this.#messages.looksReady) this.#wake(this.#consumers, WAITERS_AT_A_TIME);
    if (this.#producers.some && this.#messages.looksFree) this.#wake(this.#producers, WAITERS_AT_A_TIME);
  }
  /** Before this thread blocks: whoever could not be woken. True: there is still somebody. */
  ringAgain(): boolean {
    if (!this.#unheard) return false;
    this.#allWhoCould();
    return this.#unheard;
  }
  get #unheard(): boolean {
    return this.#consumers.unheard || this.#producers.unheard;
  }
  /** Before the memory goes. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#again);
  }
  #wake(waiters: WaiterTable, most: number, choose?: Choose): void {
    waiters.wake(most, choose);
    if (waiters.unheard) this.#lookAgain();
  }
  /** Whoever still sleeps a while later, and could go on, is woken. */
  #lookAgain(): void {
    if (this.#closed) return;
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      this.#allWhoCould();
    }, WAKE_ALL_AFTER_MS).unref();
  }
  #allWhoCould(): void {
    const ready = this.#messages.looksReady;
    if (!ready) this.#consumers.unheard = false; // somebody else has taken it
    this.all(ready, true);
  }
}
