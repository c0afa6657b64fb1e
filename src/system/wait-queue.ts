/**
 * The tasks that wait for one descriptor, served in order.
 *
 * The first one tries again each time the descriptor is ready; the others wait behind it. A task that times out or is aborted leaves the
 * queue with nothing done, because an attempt is one synchronous call: either it has a result, which is passed on at once, or it has
 * changed nothing.
 */

import { afterTurn, loopTurned, mayGoOn } from './cooperative-budget.js';
import type { Deadline } from './deadline.js';
import { ClosedError, TimeoutError } from './errors.js';
import type { KeepAlive } from './keep-alive.js';
import { constants } from './native.js';
import { pollOne } from './poll.js';
import { READABLE, Readiness, type Waiter, WRITABLE } from './readiness.js';

/** An operation that may have to wait. */
export interface Task<T> {
  /** Tries, without blocking. `undefined`: not yet. */
  attempt(): T | undefined;
  /** Replaces `attempt` after a turn that was given to the event loop without a wait. */
  attemptAfresh?(): T | undefined;
  /** The error for a time-out, an abort or a close: it can say what was half done. */
  interrupted?(error: unknown): unknown;
  /** It has left the queue, in whatever way. */
  over?(): void;
  /** What to wait for instead of the queue's descriptor. */
  readonly elsewhere?: { readonly fd: number; readonly readiness: Readiness } | undefined;
}
/** A task in the queue, between its neighbours. */
class Entry {
  readonly task: Task<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Cancels the watch for time-out and abort. */
  callOff: (() => void) | undefined;
  before: Entry | undefined;
  after: Entry | undefined;
  /** It has left the queue: an attempt may run code that closes it. */
  over = false;
  constructor(task: Task<unknown>, resolve: (value: unknown) => void, reject: (error: unknown) => void) {
    this.task = task;
    this.resolve = resolve;
    this.reject = reject;
  }
}

export class WaitQueue implements Waiter {
  /** @internal what to be told of */
  readonly events: number;
  readonly #fd: number;
  readonly #what: string;
  readonly #readiness: Readiness;
  readonly #keepAlive: KeepAlive;
  #first: Entry | undefined;
  #last: Entry | undefined;
  /** What will report when the first task should try again. */
  #waiting: Readiness | NodeJS.Immediate | undefined;
  /** The next task to join waits for a turn of the event loop, not for the descriptor. Until then no task may try. */
  #rests = false;

  /**
   * @param what the owner of `fd`, for errors
   * @param keepAlive the owner's
   */
  constructor(fd: number, what: string, direction: 'readable' | 'writable', keepAlive: KeepAlive) {
    this.#fd = fd;
    this.#what = what;
    this.events = direction === 'readable' ? READABLE : WRITABLE;
    this.#readiness = new Readiness(fd, what);
    this.#keepAlive = keepAlive;
  }
  /** Whether the queue is empty, so that a newcomer may try for itself. */
  get idle(): boolean {
    return this.#first === undefined;
  }
  /**
   * Whether an asynchronous operation may try at once: the queue is empty, and not too many in a row have succeeded that way. Otherwise
   * results that are always there would keep the program in its microtasks, and no timer or socket would ever be served.
   */
  mayTry(): boolean {
    if (this.#first !== undefined || this.#rests) return false;
    if (mayGoOn()) return true;
    this.#rests = true;
    return false;
  }
  /** Resolves with the task's first result, or rejects with its error. */
  join<T>(task: Task<T> | (() => T | undefined), deadline?: Deadline): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (deadline?.signal?.aborted) return reject(deadline.signal.reason);
      const wanted = typeof task === 'function' ? { attempt: task } : task;
      const entry = new Entry(wanted, resolve as (value: unknown) => void, reject);
      entry.callOff = deadline?.onEnd((error) => this.#interrupt(entry, error));
      entry.before = this.#last;
      if (this.#last === undefined) this.#first = entry;
      else this.#last.after = entry;
      this.#last = entry;
      this.#keepAlive.begin();
      if (this.#rests && this.#waiting === undefined) this.#tryNext();
      else this.#wait();
      this.#rests = false;
    });
  }
  /**
   * Serves the whole queue, blocking the thread; a blocking call waits behind it. `block` replaces the poll(2) for the queue's descriptor.
   */
  finishSync(deadline: Deadline, block?: () => void): void {
    if (this.idle) return;
    const events = constants[this.events === READABLE ? 'POLLIN' : 'POLLOUT']!;
    this.#stop();
    try {
      for (;;) {
        this.#serve();
        if (this.#first === undefined) return;
        if (block !== undefined) block();
        else pollOne(this.#first.task.elsewhere?.fd ?? this.#fd, events, deadline);
      }
    } finally {
      this.#wait();
    }
  }
  /** Tries again now: what the tasks wait for may have come in another way than by the descriptor. */
  retry(): void {
    if (this.#first === undefined) return;
    this.#stop();
    this.#serve();
    this.#wait();
  }
  /** Ends every wait with `error`. Others may join afterwards. */
  dismiss(error: unknown): void {
    this.#fail(error);
  }
  /** Ends every wait with {@link ClosedError}. Call it before the descriptor is closed. */
  close(): void {
    this.#fail(new ClosedError(this.#what));
    this.#readiness.close();
  }

  /** @internal The descriptor is ready, or the event loop has turned. */
  settle(error?: unknown): void {
    this.#waiting = undefined;
    loopTurned();
    if (error !== undefined) this.#fail(error);
    this.#serve();
    this.#wait();
  }
  #serve(afresh = false): void {
    for (let entry = this.#first; entry !== undefined; entry = this.#first) {
      const { task } = entry;
      let value: unknown;
      try {
        value = afresh && task.attemptAfresh !== undefined ? task.attemptAfresh() : task.attempt();
      } catch (error) {
        this.#remove(entry);
        entry.reject(error);
        continue;
      }
      if (value === undefined) return;
      this.#remove(entry);
      entry.resolve(value);
    }
  }
  /** Waits for the event that lets the first task continue. */
  #wait(): void {
    if (this.#waiting !== undefined || this.#first === undefined) return;
    try {
      const readiness = this.#first.task.elsewhere?.readiness ?? this.#readiness;
      readiness.notify(this);
      this.#waiting = readiness;
    } catch (error) {
      this.#fail(error); // the descriptor cannot be waited for, which each task has to learn
    }
  }
  #stop(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting instanceof Readiness) waiting.cancel(this);
    else if (waiting !== undefined) clearImmediate(waiting);
  }
  #remove(entry: Entry): void {
    if (entry.over) return;
    entry.over = true;
    if (entry.before === undefined) this.#first = entry.after;
    else entry.before.after = entry.after;
    if (entry.after === undefined) this.#last = entry.before;
    else entry.after.before = entry.before;
    this.#keepAlive.end();
    entry.callOff?.();
    entry.task.over?.();
  }
  #interrupt(entry: Entry, error: unknown): void {
    const first = this.#first === entry;
    if (first) this.#stop(); // it may wait for something of its own, which ends with it
    if (first && error instanceof TimeoutError) {
      this.#serve(); // it may not have had its one try yet, or the event loop is late
      if (this.#first !== entry) {
        this.#wait();
        return;
      }
    }
    this.#remove(entry);
    entry.reject(entry.task.interrupted?.(error) ?? error);
    if (first && this.#first !== undefined) this.#tryNext();
  }
  /**
   * The first task tries after a turn of the event loop: nothing was polled on its behalf, and its result may be there although that of the
   * previous task was not. A bell, unlike a pipe, would not say so.
   */
  #tryNext(): void {
    this.#waiting = afterTurn(() => {
      this.#waiting = undefined;
      this.#serve(true);
      this.#wait();
    });
  }
  #fail(error: unknown): void {
    this.#stop();
    for (let entry = this.#first; entry !== undefined; entry = this.#first) {
      this.#remove(entry);
      entry.reject(entry.task.interrupted?.(error) ?? error);
    }
  }
}
