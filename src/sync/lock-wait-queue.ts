/**
 * The tasks of this thread that wait for one lock, served in order. Only the first one waits in the kernel.
 *
 * So a thread is one sleeper for the other processes, however many of its tasks wait, and a release that wakes all sleepers wakes one per
 * thread. A task that times out or is aborted leaves with nothing done, because an attempt is synchronous.
 */
import { afterTurn, loopTurned, mayGoOn } from '../system/cooperative-budget.js';
import type { Deadline } from '../system/deadline.js';
import { TimeoutError } from '../system/errors.js';
import type { KeepAlive } from '../system/keep-alive.js';
import { type AwaitedWord, hasChanged, waitWordsSync, watchWords } from '../system/word-wait.js';
import type { Looking } from './looking.js';

/** What keeps an attempt from succeeding. */
export interface Obstacle {
  /** Try again when one of these words changes; if there are none, only after {@link LockWaitQueue.nudge}. */
  places: readonly AwaitedWord[];
  /** Milliseconds after which to try again anyway. */
  limit?: number;
}
/** How one task acquires a lock. */
export interface Attempt<T> {
  /** One try; undefined: not yet. */
  try(): T | undefined;
  /** After a failed try. */
  obstacle(): Obstacle;
  /** It leaves, with nothing done. If it was granted meanwhile, this returns what it got. */
  abandon(): T | undefined;
}
interface Entry {
  readonly attempt: Attempt<unknown>;
  resolve(value: unknown): void;
  reject(error: unknown): void;
  callOff(): void;
}

/**
 * The blocking mode: tries until it succeeds, and blocks the thread in between.
 *
 * @param deadlock the error, if only this thread itself could end the wait
 */
export function finishSync<T>(
  attempt: Attempt<T>,
  deadline: Deadline,
  looking: Looking,
  deadlock: (places: readonly AwaitedWord[]) => unknown,
): T {
  try {
    for (;;) {
      const value = attempt.try();
      if (value !== undefined) {
        looking.ended(true);
        return value;
      }
      const { places, limit } = attempt.obstacle();
      if (places.some(hasChanged)) {
        if (deadline.expired) throw deadline.error(); // another process keeps changing it
        continue;
      }
      const error = deadlock(places);
      if (error !== undefined) throw error;
      if (!deadline.expired && looking.until(() => places.some(hasChanged))) continue;
      looking.sleeps();
      waitWordsSync(places, deadline, limit);
    }
  } catch (error) {
    looking.ended(false);
    const value = attempt.abandon();
    if (value !== undefined) return value;
    throw error;
  }
}

export class LockWaitQueue {
  readonly #keepAlive: KeepAlive;
  readonly #entries: Entry[] = [];
  /** Set while {@link LockWaitQueue.#serve} runs or is about to. */
  #serving = false;
  /** Ends the wait of the first task; undefined while it does not wait. */
  #stop: (() => void) | undefined;
  /** The turn of the event loop after which {@link LockWaitQueue.#serve} continues. */
  #turn: NodeJS.Immediate | undefined;

  constructor(keepAlive: KeepAlive) {
    this.#keepAlive = keepAlive;
  }
  /**
   * Whether a newcomer may try at once: the queue is empty, and not too many calls have succeeded without waiting. Otherwise a lock that is
   * always free would keep the program in its microtasks, and no timer or socket would ever be served.
   */
  mayTry(): boolean {
    return this.#entries.length === 0 && mayGoOn();
  }
  /** Resolves with what the attempt gets, or rejects with what it throws. */
  join<T>(attempt: Attempt<T>, deadline: Deadline): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (deadline.signal?.aborted) return reject(deadline.signal.reason);
      const entry: Entry = { attempt, resolve: resolve as (value: unknown) => void, reject, callOff() {} };
      this.#keepAlive.begin();
      if (this.#entries.push(entry) === 1) this.#serve();
      if (!this.#entries.includes(entry)) return; // served at once
      entry.callOff = deadline.onEnd((error) => {
        if (error instanceof TimeoutError) this.#serveLate(entry);
        if (!this.#entries.includes(entry)) return; // served after all
        this.#leave(entry, error);
        this.#serve();
      });
    });
  }
  /** The lock has become free, as far as this thread knows: the first one tries. */
  nudge(): void {
    if (this.#entries.length === 0) return;
    this.#stop?.();
    this.#serve();
  }

  /** Ends every wait with the error. */
  close(error: unknown): void {
    for (const entry of [...this.#entries]) this.#leave(entry, error);
  }

  #leave(entry: Entry, error: unknown): void {
    this.#remove(entry);
    let value: unknown;
    try {
      value = entry.attempt.abandon();
    } catch {
      // The first error counts.
    }
    if (value === undefined) entry.reject(error);
    else entry.resolve(value);
  }
  /** The time of an entry is up: it may not have had its one try yet (timers come before immediates), or the event loop is late. */
  #serveLate(entry: Entry): void {
    if (this.#turn !== undefined) {
      clearImmediate(this.#turn);
      this.#turn = undefined;
      this.#serving = false;
      loopTurned();
    } else if (this.#entries[0] === entry) this.#stop?.();
    this.#serve();
  }
  #remove(entry: Entry): void {
    const index = this.#entries.indexOf(entry);
    if (index >= 0) {
      this.#entries.splice(index, 1);
      this.#keepAlive.end();
    }
    entry.callOff();
    if (index === 0) this.#stop?.();
  }
  #serve(): void {
    if (this.#serving || this.#stop !== undefined) return;
    this.#serving = true;
    for (let entry = this.#entries[0]; entry !== undefined; entry = this.#entries[0]) {
      if (!mayGoOn()) {
        this.#turn = afterTurn(() => {
          this.#turn = undefined;
          this.#serving = false;
          this.#serve();
        });
        return;
      }
      try {
        const value = entry.attempt.try();
        if (value === undefined) {
          const { places, limit } = entry.attempt.obstacle();
          if (places.some(hasChanged)) continue;
          this.#sleep(entry, places, limit);
          break;
        }
        this.#remove(entry);
        entry.resolve(value);
      } catch (error) {
        this.#leave(entry, error);
      }
    }
    this.#serving = false;
  }
  #sleep(entry: Entry, places: readonly AwaitedWord[], limit: number | undefined): void {
    const wake = (error?: unknown) => {
      loopTurned();
      this.#stop?.();
      if (error !== undefined) this.#leave(entry, error);
      this.#serve();
    };
    const timer = limit === undefined ? undefined : setTimeout(() => wake(), limit).unref();
    const cancel = places.length === 0 ? undefined : watchWords(places, wake);
    this.#stop = () => {
      this.#stop = undefined;
      clearTimeout(timer);
      cancel?.();
    };
  }
}
