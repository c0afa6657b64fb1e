/** A promise for an operation that waits, and what may end the wait: its result, an error, the time-out, the abort. */
import type { Deadline } from '../system/deadline.js';

/** setTimeout's longest delay. */
const LONGEST_TIMER = 0x7fffffff;

export class Pending<T> {
  readonly promise: Promise<T>;
  readonly #deadline: Deadline;
  readonly #expired: (error: unknown) => void;
  #settle!: { resolve(value: T): void; reject(error: unknown): void };
  #timer: NodeJS.Timeout | undefined;

  /** @param expired called with the error once time runs out or the signal is aborted; it must resolve or reject */
  constructor(deadline: Deadline, expired: (error: unknown) => void) {
    this.#deadline = deadline;
    this.#expired = expired;
    this.promise = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    deadline.signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (deadline.remaining() !== Number.POSITIVE_INFINITY) this.#startTimer();
  }
  resolve(value: T): void {
    this.#end();
    this.#settle.resolve(value);
  }
  reject(error: unknown): void {
    this.#end();
    this.#settle.reject(error);
  }
  #end(): void {
    clearTimeout(this.#timer);
    this.#deadline.signal?.removeEventListener('abort', this.#onAbort);
  }
  #startTimer(): void {
    this.#timer = setTimeout(
      () => {
        if (this.#deadline.expired) this.#expired(this.#deadline.error());
        else this.#startTimer();
      },
      Math.min(this.#deadline.remaining() + 1, LONGEST_TIMER),
    );
  }
  readonly #onAbort = () => this.#expired(this.#deadline.signal?.reason);
}

/** What the signal says already, before anything is tried. */
export function throwIfAborted(deadline: Deadline): void {
  if (deadline.signal?.aborted === true) throw deadline.signal.reason;
}

/**
 * Counts results that were had without waiting. A program that awaits nothing else would never let its event loop turn, so after
 * so many in one turn the next has to wait for the loop.
 */
export class Turn {
  static readonly #MOST = 128;
  #count = 0;
  /** Whether one more may be had in this turn. */
  take(): boolean {
    return this.#count++ < Turn.#MOST;
  }
  /** Whether there were too many. */
  get over(): boolean {
    return this.#count > Turn.#MOST;
  }
  /** Calls back in the loop's next turn. */
  next(callback: () => void): void {
    setImmediate(() => {
      this.#count = 0;
      callback();
    });
  }
}
