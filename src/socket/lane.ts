/**
 * One direction of one socket: the operations that wait, served in the order in which they were asked for. Only the first
 * touches the descriptor, so that nothing overtakes, and one that is aborted has taken nothing.
 */
import type { Deadline } from '../system/deadline.js';
import { constants } from '../system/native.js';
import { pollOne } from '../system/poll.js';
import { READABLE, type Readiness, type Waiter, WRITABLE } from '../system/readiness.js';
import type { Handle } from './handle.js';

/** What an attempt answers that the kernel told to come again. */
export const AGAIN: unique symbol = Symbol('again');

export interface Task<T> {
  /** Tries, without blocking. */
  attempt(): T | typeof AGAIN;
  /** The error that a time-out, abort or close becomes: what was half done is told in it. */
  interrupted?(error: unknown): unknown;
  /** It is over, whichever way. */
  over?(): void;
  /** The descriptor to wait on instead of the lane's. */
  readonly elsewhere?: Handle | undefined;
}
/** An operation that waits, between those before and after it. */
class Entry {
  readonly task: Task<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Of the time-out and the abort. */
  forget: (() => void) | undefined;
  before: Entry | undefined;
  after: Entry | undefined;
  constructor(task: Task<unknown>, resolve: (value: unknown) => void, reject: (error: unknown) => void) {
    this.task = task;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** setTimeout's longest delay. */
const LONGEST_TIMER = 0x7fffffff;
const POLL = { [READABLE]: constants['POLLIN']!, [WRITABLE]: constants['POLLOUT']! };

const ROUND = 128;
let streak = 0;
/**
 * Operations that succeed at once settle their promises before the event loop turns; a program that awaits nothing else would
 * never see a timer or another socket again. Every so often one has to wait for the loop.
 */
export function mustRest(): boolean {
  if (++streak < ROUND) return false;
  streak = 0;
  return true;
}

export class Lane implements Waiter {
  readonly events: number;
  readonly #handle: Handle;
  #first: Entry | undefined;
  #last: Entry | undefined;
  /** What was asked to tell when to go on. */
  #waiting: Readiness | NodeJS.Immediate | undefined;

  constructor(handle: Handle, events: number) {
    this.#handle = handle;
    this.events = events;
  }
  /** Nothing waits: who comes now may try at once. */
  get idle(): boolean {
    return this.#first === undefined;
  }
  /** Puts a task in the row. With `rest`, it is tried when the event loop has turned. */
  add<T>(task: Task<T>, deadline?: Deadline, rest = false): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const entry = new Entry(task, resolve as (value: unknown) => void, reject);
      if (deadline !== undefined) this.#limit(entry, deadline);
      entry.before = this.#last;
      if (this.#last === undefined) this.#first = entry;
      else this.#last.after = entry;
      this.#last = entry;
      if (rest && this.#waiting === undefined) this.#waiting = setImmediate(() => this.settle());
      else this.#wait();
    });
  }
  /** Serves who waits, blocking the thread: the Sync voice comes after those that were here first. */
  finish(deadline: Deadline): void {
    if (this.idle) return;
    this.#stop();
    try {
      for (;;) {
        this.#serve();
        if (this.#first === undefined) return;
        const { elsewhere } = this.#first.task;
        pollOne((elsewhere ?? this.#handle).open(), POLL[this.events]!, deadline);
      }
    } finally {
      this.#wait();
    }
  }
  /** Ends every wait. */
  fail(error: unknown): void {
    this.#stop();
    for (let entry = this.#first; entry !== undefined; entry = this.#first) {
      this.#remove(entry);
      entry.reject(entry.task.interrupted?.(error) ?? error);
    }
  }

  /** The kernel says that it is worth trying. */
  settle(error?: unknown): void {
    this.#waiting = undefined;
    if (error !== undefined) this.fail(error);
    this.#serve();
    this.#wait();
  }
  #serve(): void {
    for (let entry = this.#first; entry !== undefined; entry = this.#first) {
      let result: unknown;
      try {
        result = entry.task.attempt();
      } catch (error) {
        this.#remove(entry);
        entry.reject(error);
        continue;
      }
      if (result === AGAIN) return;
      this.#remove(entry);
      entry.resolve(result);
    }
  }
  #wait(): void {
    if (this.#waiting !== undefined || this.#first === undefined) return;
    try {
      const readiness = (this.#first.task.elsewhere ?? this.#handle).readiness;
      readiness.notify(this);
      this.#waiting = readiness;
    } catch (error) {
      this.fail(error);
    }
  }
  #stop(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) return;
    if ('cancel' in waiting) waiting.cancel(this);
    else clearImmediate(waiting);
  }
  #remove(entry: Entry): void {
    if (entry.before === undefined) this.#first = entry.after;
    else entry.before.after = entry.after;
    if (entry.after === undefined) this.#last = entry.before;
    else entry.after.before = entry.before;
    entry.forget?.();
    entry.task.over?.();
  }
  #interrupt(entry: Entry, error: unknown): void {
    const first = this.#first === entry;
    if (first) this.#stop(); // what it waited on may be of its own, and end with it
    this.#remove(entry);
    entry.reject(entry.task.interrupted?.(error) ?? error);
    if (first) this.#wait();
  }
  #limit(entry: Entry, deadline: Deadline): void {
    const { signal } = deadline;
    let timer: NodeJS.Timeout | undefined;
    const onAbort = () => this.#interrupt(entry, signal?.reason);
    const onTimer = () => {
      const left = deadline.remaining();
      if (left > 0) timer = setTimeout(onTimer, Math.min(left + 1, LONGEST_TIMER));
      else this.#interrupt(entry, deadline.error());
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    const left = deadline.remaining();
    if (left !== Number.POSITIVE_INFINITY) timer = setTimeout(onTimer, Math.min(left, LONGEST_TIMER));
    entry.forget = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
  }
}
