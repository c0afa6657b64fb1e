/** Waiting for permits of a {@link Semaphore}: in the event loop, in a queue of its own, and blocking the thread. */

import { setTimeout as delay } from 'node:timers/promises';
import { checkOptions } from '../system/arguments.js';
import { mayGoOn, nextTurn } from '../system/cooperative-budget.js';
import { Deadline, type SyncWaitOptions, WAIT_OPTIONS, type WaitOptions } from '../system/deadline.js';
import { EINTR, ETIMEDOUT } from '../system/errno.js';
import { check } from '../system/errors.js';
import type { KeepAlive } from '../system/keep-alive.js';
import { native } from '../system/native.js';
import { layout, VALUE } from '../system/semaphore.js';
import { hasChanged, waitWordSync, watchWords } from '../system/word-wait.js';
import { Looking } from './looking.js';

/** Milliseconds between polls where the C library's layout is unknown, so that a futex wait is impossible. */
const POLL_INTERVAL_MS = 5;
/** The reason for ending a wait that is not needed any more. It reaches no caller. */
const LEFT = 'the wait has ended';

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

export class Permits {
  readonly #words: Int32Array;
  readonly #acquire: () => boolean;
  readonly #keepAlive: KeepAlive;
  readonly #waitQueue: Waiter[] = [];
  readonly #looking = new Looking();
  /** Ends the wait for the queue; undefined while the queue is empty. */
  #stop: AbortController | undefined;

  /** @param acquire takes a permit if there is one; throws if the semaphore cannot be used */
  constructor(words: Int32Array, acquire: () => boolean, keepAlive: KeepAlive) {
    this.#words = words;
    this.#acquire = acquire;
    this.#keepAlive = keepAlive;
  }

  /** Whether the queue is empty. */
  get idle(): boolean {
    return this.#waitQueue.length === 0;
  }
  async acquire(options: WaitOptions | undefined, what: string): Promise<void> {
    const deadline = new Deadline(`acquire a permit of ${what}`, options);
    if (deadline.signal?.aborted) throw deadline.signal.reason;
    if (!mayGoOn()) {
      await nextTurn();
      if (deadline.signal?.aborted) throw deadline.signal.reason;
    }
    if (this.#waitQueue.length === 0 && this.#acquire()) return;
    if (deadline.expired) throw deadline.error();
    return new Promise((resolve, reject) => {
      const callOff = deadline.onEnd((error) => {
        this.#waitQueue.splice(this.#waitQueue.indexOf(waiter), 1);
        if (this.#waitQueue.length === 0) this.#stop?.abort(LEFT);
        waiter.reject(error);
      });
      const waiter: Waiter = {
        resolve: () => {
          callOff();
          this.#keepAlive.end();
          resolve();
        },
        reject: (error) => {
          callOff();
          this.#keepAlive.end();
          reject(error);
        },
      };
      this.#keepAlive.begin();
      this.#waitQueue.push(waiter);
      if (this.#stop === undefined || this.#stop.signal.aborted) void this.#serve();
    });
  }
  acquireSync(options: SyncWaitOptions | undefined, what: string): void {
    const deadline = new Deadline(
      `acquire a permit of ${what}`,
      checkOptions('options', options, WAIT_OPTIONS) && { timeout: options?.timeout },
    );
    if (this.#acquire()) return;
    if (deadline.expired) throw deadline.error();
    if (!layout.known) {
      this.#blockInLibrary(deadline);
      return;
    }
    const looking = this.#looking;
    const words = this.#words;
    let taken = false;
    while (!taken && looking.until(() => Atomics.load(words, VALUE) !== 0)) taken = this.#acquire();
    looking.ended(taken);
    if (taken) return;
    this.#register(1);
    try {
      while (!(taken = this.#acquire())) waitWordSync(words, VALUE, 0, deadline);
    } finally {
      this.#register(-1);
      if (!taken) this.#passOn();
    }
  }
  /** Ends all waits with `error`. Call it before the memory is unmapped. */
  close(error: unknown): void {
    for (const waiter of this.#waitQueue.splice(0)) waiter.reject(error);
    this.#stop?.abort(LEFT);
  }

  /** Serves the queue until it is empty. */
  async #serve(): Promise<void> {
    const stop = new AbortController();
    this.#stop = stop;
    this.#register(1);
    let registered = true;
    // At the moment of the abort or error, not when the wait has ended: the memory may be unmapped right after.
    const leave = () => {
      if (!registered) return;
      registered = false;
      this.#register(-1);
      this.#passOn();
    };
    stop.signal.addEventListener('abort', leave);
    try {
      for (;;) {
        while (this.#waitQueue.length > 0 && this.#acquire()) this.#waitQueue.shift()!.resolve();
        if (this.#waitQueue.length === 0) break;
        if (layout.known) await this.#change(stop.signal, leave);
        else await delay(POLL_INTERVAL_MS, undefined, { signal: stop.signal, ref: false });
        if (stop.signal.aborted) return;
      }
    } catch (error) {
      if (stop.signal.aborted) return;
      for (const waiter of this.#waitQueue.splice(0)) waiter.reject(error);
    }
    this.#stop = undefined;
    leave();
  }
  /**
   * Resolves when there may be a permit, or `signal` aborts. Rejects when the memory is closed, after calling `leave` at that very moment.
   */
  #change(signal: AbortSignal, leave: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const place = { words: this.#words, index: VALUE, expected: 0 };
      if (hasChanged(place)) return resolve();
      const aborted = () => {
        cancel();
        resolve();
      };
      const cancel = watchWords([place], (error) => {
        signal.removeEventListener('abort', aborted);
        if (error === undefined) return resolve();
        leave();
        reject(error);
      });
      signal.addEventListener('abort', aborted, { once: true });
    });
  }
  #register(waiters: 1 | -1): void {
    if (layout.known) native.semRegister(this.#words, 0, waiters);
  }
  /** A C program's sem_post wakes one waiter. If that one does not take the permit, another one must be woken. */
  #passOn(): void {
    if (layout.known && this.#words.length > 0 && Atomics.load(this.#words, VALUE) !== 0)
      native.futexWake(this.#words, VALUE, 1);
  }
  #blockInLibrary(deadline: Deadline): void {
    for (;;) {
      const result = native.semTimedwait(this.#words, 0, deadline.block());
      if (result !== EINTR && result !== ETIMEDOUT) return void check(result, 'sem_timedwait');
    }
  }
}
