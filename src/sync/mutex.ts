/** A `pthread_mutex_t` in shared memory: process-shared, robust, error-checking. */

import { Deadline, type SyncWaitOptions, type WaitOptions } from '../system/deadline.js';
import { EBUSY, EDEADLK, EOWNERDEAD } from '../system/errno.js';
import { ClosedError, CorruptError } from '../system/errors.js';
import { KeepAlive } from '../system/keep-alive.js';
import { readOnly } from '../system/read-only.js';
import { ROBUST_BYTES, ROBUST_KIND } from '../system/robust.js';
import { type Guard, type Guarded, LockGuard, notHeld } from './guard.js';
import { KIND, whyNot } from './mutex-kind.js';
import { NAMED_OFFSET, type NamedOptions, openNamed, unlinkNamed } from './named.js';
import { Contender, checkPlace, type LockMemory, place, RobustLock } from './robust-lock.js';
import { type Attempt, WaitQueue } from './wait-queue.js';

/**
 * A lock that one thread of one process holds at a time: a `pthread_mutex_t` of the C library (glibc), so that C programs take
 * part with `pthread_mutex_lock`. Robust: when its owner is killed, the kernel frees it, and the next owner learns of it by
 * {@link Guard.ownerDied}.
 *
 * It belongs to the JavaScript thread that took it. Within a thread the asynchronous voice is a queue: tasks get it in the order they
 * asked. The synchronous voice fails with `EDEADLK` when its own thread holds the mutex, for it would wait for ever.
 *
 * Uncontended, taking and giving back is no system call. Tasks that wait cost no thread (Linux 6.7; see `docs/locks-and-death.md`).
 *
 * @example
 * ```ts
 * import { Mutex } from 'vecino';
 *
 * using mutex = Mutex.named('example-refresh');
 * {
 *   using guard = await mutex.lock({ timeout: 5000 });
 *   if (guard.ownerDied) guard.markConsistent(); // after repairing what it protects
 *   console.log('mine'); // mine
 * }
 * Mutex.unlink('example-refresh');
 * ```
 */
export class Mutex implements Disposable {
  /** Bytes that it takes: the size of a `pthread_mutex_t`. Its offset must be a multiple of 8. */
  static readonly byteLength: number = ROBUST_BYTES;
  static {
    readOnly(Mutex, 'byteLength');
  }

  readonly #lock: RobustLock;
  readonly #own: Disposable | undefined;
  readonly #keepAlive = new KeepAlive();
  readonly #waitQueue = new WaitQueue(this.#keepAlive);
  readonly #guarded: Guarded = {
    release: () => this.#release(),
    markConsistent: () => this.#lock.markConsistent(),
    relock: async (deadline) => {
      const guard = await this.#lockBy(deadline);
      return guard.ownerDied;
    },
    relockSync: (deadline) => this.#enter(deadline),
  };
  /** Held through this object. */
  #held = false;
  #closed = false;

  private constructor(memory: LockMemory, offset: number, what: string, own?: Disposable) {
    this.#own = own;
    this.#lock = new RobustLock(memory, offset, what);
  }

  /**
   * Makes a mutex in memory that nobody uses as one yet.
   *
   * @param offset bytes, a multiple of 8
   */
  static create(memory: LockMemory, offset = 0): Mutex {
    const checked = checkPlace(memory, offset, Mutex.byteLength);
    initialize(new Int32Array(checked.buffer), offset / 4);
    return new Mutex(checked, offset, place('mutex', checked, offset));
  }
  /**
   * The mutex that is there, made by {@link Mutex.create} or by a C program with `pthread_mutexattr_setpshared` and
   * `pthread_mutexattr_setrobust`, of any type, and without a priority protocol.
   *
   * @throws CorruptError if there is none of that kind
   */
  static at(memory: LockMemory, offset = 0): Mutex {
    const checked = checkPlace(memory, offset, Mutex.byteLength);
    const kind = Atomics.load(new Int32Array(checked.buffer), offset / 4 + KIND);
    const why = whyNot(kind);
    if (why !== undefined) {
      throw new CorruptError(
        `there is no process-shared, robust ${place('mutex', checked, offset)} (kind ${kind}). ${why}`,
      );
    }
    return new Mutex(checked, offset, place('mutex', checked, offset));
  }
  /**
   * The mutex of that name, made on first use: processes that race to make it agree. It stays until {@link Mutex.unlink}.
   *
   * @throws CorruptError if what has the name is no mutex
   */
  static named(name: string, options?: NamedOptions): Mutex {
    const memory = openNamed('mutex', name, Mutex.byteLength, initialize, options);
    try {
      return new Mutex(memory, NAMED_OFFSET, `mutex '${name}'`, memory);
    } catch (error) {
      memory.close();
      throw error;
    }
  }
  /** Removes a name; false if there was none. Who has the mutex goes on with it. */
  static unlink(name: string): boolean {
    return unlinkNamed('mutex', name);
  }

  /**
   * Waits for the mutex without blocking the event loop.
   *
   * @throws TimeoutError, or the signal's reason: then it is not held
   * @throws SystemError `ENOTRECOVERABLE` after an owner died and the next one did not repair; see {@link Guard.markConsistent}
   * @throws CorruptError if it was overwritten by something that is no mutex
   */
  async lock(options?: WaitOptions): Promise<Guard> {
    return this.#lockBy(new Deadline(`lock ${this.#lock.what}`, options));
  }
  /** Takes it if it is free: null if it is not, also if this thread holds it. */
  tryLock(): Guard | null {
    if (this.#closed || !this.#lock.open) this.#use();
    const result = this.#held ? EBUSY : this.#acquire();
    return result === EBUSY || result === EDEADLK ? null : this.#guard(result);
  }
  /**
   * Waits for the mutex, blocking the thread.
   *
   * @throws SystemError `EDEADLK` if this thread holds it
   */
  lockSync(options?: SyncWaitOptions): Guard {
    return new LockGuard(this.#guarded, this.enterSync(options));
  }
  /**
   * {@link Mutex.lockSync} without an object for the guard; {@link Mutex.exit} gives it back. For hot paths: a guard costs some
   * ten nanoseconds and its collection.
   *
   * @returns whether the previous owner died: repair, then {@link Mutex.markConsistent}
   */
  enterSync(options?: SyncWaitOptions): boolean {
    return this.#enter(options === undefined ? undefined : new Deadline(`lock ${this.#lock.what}`, options));
  }
  /** Gives back what {@link Mutex.enterSync} took. */
  exit(): void {
    if (!this.#held) throw notHeld();
    this.#release();
  }
  /** See {@link Guard.markConsistent}; for {@link Mutex.enterSync}. */
  markConsistent(): void {
    if (!this.#held) throw notHeld();
    this.#lock.markConsistent();
  }
  /** What waits here keeps the program running: so it is unless {@link unref} was called. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /** What waits here, now or later, does not keep the program running. */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /** Ends the use of this object; the mutex stays. If it is held, its guard can still release it. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waitQueue.close(new ClosedError(this.#lock.what));
    if (!this.#held) this.#lock.close();
    this.#own?.[Symbol.dispose]();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  async #lockBy(deadline: Deadline): Promise<Guard> {
    deadline.signal?.throwIfAborted();
    if (!this.#held && this.#lock.open && this.#waitQueue.mayTry()) {
      const result = this.#acquire();
      if (result !== EBUSY && result !== EDEADLK) return this.#guard(result);
    }
    this.#use();
    return this.#waitQueue.join(this.#attempt(deadline), deadline);
  }
  #attempt(deadline: Deadline): Attempt<Guard> {
    const contender = new Contender(this.#lock, deadline.remaining());
    return {
      try: () => {
        const result = this.#held ? EBUSY : contender.try();
        if (result === EBUSY || result === EDEADLK) return undefined;
        this.#held = result === 0 || result === EOWNERDEAD;
        return this.#guard(result);
      },
      // Held by another task of this thread: its release nudges the line.
      obstacle: () => (this.#held ? { places: [] } : contender.obstacle()),
      abandon: () => {
        contender.leave();
        return undefined;
      },
    };
  }
  #enter(deadline: Deadline | undefined): boolean {
    if (this.#lock.open) {
      const result = this.#acquire();
      if (result === 0) return false;
      if (result !== EBUSY) return this.#owned(result);
    }
    this.#use();
    return this.#enterSlowly(deadline ?? new Deadline(`lock ${this.#lock.what}`));
  }
  #acquire(): number {
    const result = this.#lock.acquire();
    if (result === 0 || result === EOWNERDEAD) this.#held = true;
    return result;
  }
  #guard(result: number): Guard {
    return new LockGuard(this.#guarded, this.#owned(result));
  }
  /** Whether the previous owner died; throws if it was not taken. */
  #owned(result: number): boolean {
    if (result === 0) return false;
    if (result === EOWNERDEAD) return true;
    this.#use();
    throw this.#lock.error(result);
  }
  #enterSlowly(deadline: Deadline): boolean {
    const contender = new Contender(this.#lock, deadline.remaining());
    try {
      for (;;) {
        const result = contender.try();
        if (result === 0 || result === EOWNERDEAD) {
          this.#held = true;
          this.#lock.looking.ended(true);
          return result === EOWNERDEAD;
        }
        if (result !== EBUSY) throw this.#lock.error(result);
        if (!contender.block(deadline) && deadline.expired) throw deadline.error();
      }
    } finally {
      this.#lock.looking.ended(false);
      contender.leave();
    }
  }
  #release(): void {
    this.#held = false;
    const result = this.#lock.release();
    if (this.#closed) this.#lock.close();
    this.#waitQueue.nudge();
    if (result !== 0) throw this.#lock.error(result);
  }
  #use(): void {
    if (this.#closed) throw new ClosedError(this.#lock.what);
    void this.#lock.memory.buffer; // throws if it is closed, or was truncated
  }
}

/** As pthread_mutex_init does. */
function initialize(words: Int32Array, index: number): void {
  words.fill(0, index, index + ROBUST_BYTES / 4);
  Atomics.store(words, index + KIND, ROBUST_KIND);
}
