/** Wakes the subscriptions that wait for a topic's messages, and repeats it where a wake-up failed. */
import { Waker } from '../../lock-free/broadcast-ring/waiter-table.js';
import type { Doorbell } from '../directory/doorbell.js';
import type { Participant } from '../directory/participant.js';

/** Milliseconds until a failed wake-up is repeated. */
const AGAIN_MS = 10;

export class Waking {
  readonly #waker: Waker;
  #again: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(participant: Participant, bell: Doorbell) {
    this.#waker = new Waker(participant, (seat) => bell.ring(seat));
  }
  /** After each message. */
  wake(): void {
    if (this.#waker.wake() || this.#closed) return;
    this.#again ??= setTimeout(() => this.#ringAgain(), AGAIN_MS).unref(); // our end wakes them too
  }
  /** @see Waker.appear */
  appear(): void {
    this.#waker.appear();
  }
  /** Before the memory is unmapped. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#again);
  }
  #ringAgain(): void {
    this.#again = undefined;
    this.wake();
  }
}
