/** System V semaphores: sets of counters that the kernel keeps under a number, and changes together in one step; svipc(7), semop(2). */

import { checkInteger, checkMode, checkOptions } from '../system/arguments.js';
import { mayGoOn, nextTurn } from '../system/cooperative-budget.js';
import { Deadline, type SyncWaitOptions, WAIT_OPTIONS, type WaitOptions } from '../system/deadline.js';
import { EAGAIN, EINTR, EINVAL } from '../system/errno.js';
import { ClosedError, invalidArgument, SystemError } from '../system/errors.js';
import { KeepAlive } from '../system/keep-alive.js';
import { constants, native } from '../system/native.js';
import { readOnly } from '../system/read-only.js';
import type { SysVKey } from '../system/sysv-key.js';
import {
  operationError,
  SEM_VALUE_LIMIT,
  type SysVSemaphoreStatus,
  semGet,
  semGetAll,
  semget,
  semRemove,
  semSetAll,
  semSetValue,
  semStat,
} from '../system/sysv-semaphore.js';
import { pack, patient, type SemaphoreOperation } from './sysv-operations.js';
import { Waits } from './sysv-waits.js';

export type { SemaphoreOperation, SysVSemaphoreStatus };

/** The state of one semaphore of a set. */
export interface SysVSemaphoreState {
  /** 0 to 32767. */
  value: number;
  /** The process that last changed it; 0 for none yet. */
  lastProcess: number;
  /** Threads that wait for it to grow. */
  waitingForMore: number;
  /** Threads that wait for it to be 0. */
  waitingForZero: number;
}

const CREATE_OPTIONS = { mode: true } as const;
/** How long {@link SysVSemaphore.open} waits for a set that is still being created, in milliseconds. */
const INITIALISE_TIMEOUT_MS = 200;
/** A set older than this, in milliseconds, is complete. The kernel's time has whole seconds. */
const INITIALIZING_MS = 2000;

/**
 * A set of System V semaphores. One operation can change several of them, and is done as a whole or waits as a whole. Each value is from 0
 * to 32767. The set stays until it is removed, or the machine restarts; `ipcs -s` lists it.
 *
 * When a process dies that took permits with `undo`, the kernel releases them, whatever killed it. Of the mechanisms here, only this one
 * and {@link FileLock} do that. Undo belongs to the process: the end of a Worker undoes nothing. A process that is killed while it waits
 * has taken nothing.
 *
 * @example
 * ```ts
 * import { SysVSemaphore } from 'vecino';
 *
 * const permits = SysVSemaphore.create('private', [3, 0]);
 * await permits.operate([
 *   { index: 0, delta: -1, undo: true },
 *   { index: 1, delta: +1, undo: true },
 * ]);
 * console.log(permits.values()); // [ 2, 1 ]
 * permits.remove();
 * ```
 */
export class SysVSemaphore implements Disposable {
  /** The kernel's id of the set, as `ipcs -s` shows it. */
  readonly id: number;
  /** The number of semaphores in the set. */
  readonly count: number;
  readonly #waits: Waits;
  readonly #keepAlive = new KeepAlive();
  #closed = false;

  private constructor(id: number, count: number) {
    this.id = id;
    this.count = count;
    readOnly(this, 'id', 'count');
    this.#waits = new Waits(id, this.#keepAlive);
  }

  /**
   * Creates a set with these values, one for each semaphore, with exactly these permission bits (default: 0600).
   *
   * @param key a number that all processes agree on (see `ftok`), or `'private'` for a set that is found only by its id
   * @throws SystemError `EEXIST` if the key is taken; `EINVAL`, `ENOSPC` beyond the limits of `kernel.sem`
   */
  static create(key: SysVKey, values: readonly number[], options: { mode?: number } = {}): SysVSemaphore {
    if (!Array.isArray(values)) throw invalidArgument('ERR_INVALID_ARG_TYPE', 'values', 'an array of numbers', values);
    if (values.length === 0 || values.length > 65535) {
      throw invalidArgument('ERR_OUT_OF_RANGE', 'values', 'an array of 1 to 65535 numbers', values);
    }
    const own = Array.from(values, (value, i) => checkInteger(`values[${i}]`, value, 0, SEM_VALUE_LIMIT));
    const mode = checkMode('options.mode', checkOptions('options', options, CREATE_OPTIONS)!.mode ?? 0o600);
    const id = semget(key, own.length, constants['IPC_CREAT']! | constants['IPC_EXCL']!, mode);
    const set = new SysVSemaphore(id, own.length);
    try {
      semSetAll(id, own);
      // A process that opens the set meanwhile sees by the time of the last semop(2) that it is not ready yet. So make one that changes
      // nothing.
      set.tryOperate(
        own[0] === 0
          ? [{ index: 0, delta: 0 }]
          : [
              { index: 0, delta: -1 },
              { index: 0, delta: 1 },
            ],
      );
    } catch (error) {
      semRemove(id);
      throw error;
    }
    return set;
  }
  /**
   * Opens an existing set by its key or its id.
   *
   * If a set is younger than two seconds and had no operation yet, its creator may still have to set its values. Then this blocks until
   * that is done, for at most 200 ms. Other programs may set values without any sign of it.
   *
   * @throws SystemError `ENOENT` if no set has that key, `EINVAL` if none has that id; `EACCES`
   */
  static open(key: number | { id: number }): SysVSemaphore {
    let id: number;
    if (typeof key === 'object' && key !== null) id = checkInteger('id', key.id, 0, 0x7fffffff);
    else if ((key as SysVKey) === 'private') {
      throw invalidArgument('ERR_INVALID_ARG_VALUE', 'key', 'a key or { id }', key);
    } else id = semget(key, 0);
    try {
      return new SysVSemaphore(id, whenReady(id).count);
    } catch (error) {
      if (!(error instanceof SystemError && error.code === 'EIDRM')) throw error;
      throw new SystemError(EINVAL, 'semctl', { path: `id ${id}`, hint: 'No set has that id' });
    }
  }

  /**
   * Does all of these operations in one step, or waits until they are possible together, without blocking the event loop. A possible
   * operation is done at once, past calls that wait for something else. Equal operations of this object are done in the order of the calls.
   * If a time-out or abort comes just after the kernel has done it, it is too late: the operation was made, and the promise resolves.
   *
   * @throws SystemError `EIDRM` if the set is removed (also meanwhile), `ERANGE` if a value would exceed 32767, `E2BIG` beyond SEMOPM
   * operations, `EACCES`
   */
  async operate(operations: readonly SemaphoreOperation[], options?: WaitOptions): Promise<void> {
    const deadline = new Deadline(`operation on semaphore set ${this.id}`, options);
    const words = pack(operations, this.count);
    if (deadline.signal?.aborted) throw deadline.signal.reason;
    this.#checkOpen();
    if (!mayGoOn()) {
      await nextTurn();
      this.#checkOpen();
      if (deadline.signal?.aborted) throw deadline.signal.reason;
    }
    if (this.#waits.free(words) && this.#attempt(words)) return;
    if (deadline.expired) throw deadline.error();
    return this.#waits.join(words, deadline);
  }
  /** Does all of these operations if that is possible at once. Otherwise it does none and returns false. */
  tryOperate(operations: readonly SemaphoreOperation[]): boolean {
    const words = pack(operations, this.count);
    this.#checkOpen();
    return this.#waits.free(words) && this.#attempt(words);
  }
  /** As {@link SysVSemaphore.operate}, but blocks the thread. */
  operateSync(operations: readonly SemaphoreOperation[], options?: SyncWaitOptions): void {
    const deadline = new Deadline(
      `operation on semaphore set ${this.id}`,
      checkOptions('options', options, WAIT_OPTIONS) && { timeout: options?.timeout },
    );
    const words = pack(operations, this.count);
    this.#checkOpen();
    if (this.#attempt(words)) return;
    patient(words, true);
    for (;;) {
      const result = native.semtimedop(this.id, words, words.length / 3, deadline.block());
      if (result >= 0) return;
      if (result !== EAGAIN && result !== EINTR) throw operationError(result, this.id, words.length / 3);
    }
  }

  /** The values of the set, all of the same moment. */
  values(): number[] {
    this.#checkOpen();
    return semGetAll(this.id, this.count);
  }
  /** Sets one value, and clears the undo adjustments of all processes for it. A waiter for it continues if it can. */
  setValue(index: number, value: number): void {
    checkInteger('index', index, 0, this.count - 1);
    checkInteger('value', value, 0, SEM_VALUE_LIMIT);
    this.#checkOpen();
    semSetValue(this.id, index, value);
  }
  /** The state of one semaphore. Its numbers may be of different moments. */
  state(index: number): SysVSemaphoreState {
    checkInteger('index', index, 0, this.count - 1);
    this.#checkOpen();
    return {
      value: semGet(this.id, index, 'GETVAL'),
      lastProcess: semGet(this.id, index, 'GETPID'),
      waitingForMore: semGet(this.id, index, 'GETNCNT'),
      waitingForZero: semGet(this.id, index, 'GETZCNT'),
    };
  }
  /** Owner, mode and times of the set. */
  status(): SysVSemaphoreStatus {
    this.#checkOpen();
    return semStat(this.id);
  }
  /**
   * Removes the set; all waiters fail with `EIDRM`. Returns false if it was removed already. Allowed to its creator, its owner and root.
   */
  remove(): boolean {
    return semRemove(this.id);
  }
  /** Pending waits keep the program running. This is the default. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /** Pending waits, now and later, do not keep the program running. */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /** Closes this object; the set stays. Pending operations end with {@link ClosedError}. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waits.fail(this.#closedError());
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** False if it would have to wait. */
  #attempt(words: Int16Array): boolean {
    patient(words, false);
    for (;;) {
      const result = native.semtimedop(this.id, words, words.length / 3, 0);
      if (result >= 0) return true;
      if (result === EAGAIN) return false;
      if (result !== EINTR) throw operationError(result, this.id, words.length / 3);
    }
  }
  #checkOpen(): void {
    if (this.#closed) throw this.#closedError();
  }
  #closedError(): ClosedError {
    return new ClosedError(`semaphore set ${this.id}`);
  }
}

/** The status of a set once it is ready, as far as that is known. */
function whenReady(id: number): SysVSemaphoreStatus {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const deadline = performance.now() + INITIALISE_TIMEOUT_MS;
  for (;;) {
    const status = semStat(id);
    const age = Date.now() - status.lastChange.getTime();
    if (status.lastOperation !== null || age > INITIALIZING_MS || performance.now() > deadline) return status;
    Atomics.wait(pause, 0, 0, 1);
  }
}
