/**
 * Operations on a set of System V semaphores that wait in the event loop, each kind in a helper thread. Equal operations queue up, so that
 * a thousand of them need one thread, and are served in order. Different ones must not: one may be what another waits for.
 */

import type { Deadline } from '../system/deadline.js';
import { EAGAIN, EINTR } from '../system/errno.js';
import { SystemError } from '../system/errors.js';
import { HelperWait } from '../system/helper-wait.js';
import type { KeepAlive } from '../system/keep-alive.js';
import { native } from '../system/native.js';
import { operationError } from '../system/sysv-semaphore.js';
import { patient } from './sysv-operations.js';

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}
/** A queue of equal operations. */
interface LockWaitQueue {
  readonly words: Int16Array;
  readonly waiters: Waiter[];
  /** The thread that waits for the first one. */
  wait: HelperWait | undefined;
}

export class Waits {
  readonly #id: number;
  readonly #keepAlive: KeepAlive;
  readonly #lines = new Map<string, LockWaitQueue>();

  constructor(id: number, keepAlive: KeepAlive) {
    this.#id = id;
    this.#keepAlive = keepAlive;
  }
  /** Whether no call waits for the same, so that it may be tried at once. */
  free(words: Int16Array): boolean {
    return this.#lines.size === 0 || !this.#lines.has(words.join());
  }
  join(operations: Int16Array, deadline: Deadline): Promise<void> {
    const words = patient(operations.slice(), true);
    const name = words.join();
    return new Promise((resolve, reject) => {
      const line = this.#lines.get(name) ?? { words, waiters: [], wait: undefined };
      const callOff = deadline.onEnd((error) => this.#leave(name, line, waiter, error));
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
      this.#lines.set(name, line);
      this.#keepAlive.begin();
      line.waiters.push(waiter);
      if (line.wait === undefined) this.#serve(name, line);
    });
  }
  /** Ends all waits with `error`, except those whose operation was done before. */
  fail(error: unknown): void {
    for (const [name, line] of [...this.#lines]) {
      this.#recall(line);
      this.#lines.delete(name);
      for (const waiter of line.waiters.splice(0)) waiter.reject(error);
    }
  }

  /** Does what is possible now, and starts a thread to wait for the rest. */
  #serve(name: string, line: LockWaitQueue): void {
    while (line.waiters.length > 0) {
      let result = native.semtimedop(this.#id, patient(line.words, false), line.words.length / 3, 0);
      if (result === EINTR) continue;
      if (result === EAGAIN) {
        result = native.semOperateStart(this.#id, patient(line.words, true), line.words.length / 3);
        if (result >= 0) {
          line.wait = new HelperWait(result, (error) => this.#ended(name, line, error));
          return;
        }
        line.waiters.shift()!.reject(
          new SystemError(result, 'pthread_create', {
            hint: 'Each pending operation needs a thread and a file descriptor',
          }),
        );
      } else this.#settle(line, result);
    }
    this.#lines.delete(name);
  }
  #settle(line: LockWaitQueue, result: number): void {
    const waiter = line.waiters.shift()!;
    if (result >= 0) waiter.resolve();
    else waiter.reject(operationError(result, this.#id, line.words.length / 3));
  }
  #ended(name: string, line: LockWaitQueue, error: unknown): void {
    const result = native.semOperateFinish(line.wait!.leave(), error !== undefined);
    line.wait = undefined;
    if (result === EINTR) line.waiters.shift()!.reject(error);
    else this.#settle(line, result);
    this.#serve(name, line);
  }
  /** Interrupts the queue's thread. If it had done its operation, the first in the queue gets it. */
  #recall(line: LockWaitQueue): void {
    if (line.wait === undefined) return;
    const result = native.semOperateFinish(line.wait.leave(), true);
    line.wait = undefined;
    if (result !== EINTR) this.#settle(line, result);
  }
  #leave(name: string, line: LockWaitQueue, waiter: Waiter, error: unknown): void {
    // Without a next one, nobody would be left to get what the thread acquires.
    if (line.waiters.length === 1) this.#recall(line);
    const index = line.waiters.indexOf(waiter);
    if (index >= 0) {
      line.waiters.splice(index, 1);
      waiter.reject(error);
    }
    if (line.waiters.length === 0) this.#lines.delete(name);
  }
}
