/** A `pthread_mutex_t` in shared memory: process-shared, robust, error-checking. */

import { Deadline, type SyncWaitOptions, type WaitOptions } from '../system/deadline.js';
import { EBUSY, EDEADLK, EOWNERDEAD } from '../system/errno.js';
import { ClosedError, CorruptError } from '../system/errors.js';
import { KeepAlive } from '../system/keep-alive.js';
import { readOnly } from '../system/read-only.js';
import { ROBUST_BYTES, ROBUST_KIND } from '../system/robust.js';
import { type Guard, type Guarded, LockGuard, notHeld } from './guard.js';
import { type Attempt, LockWaitQueue } from './lock-wait-queue.js';
import { KIND, whyNot } from './mutex-kind.js';
import { NAMED_OFFSET, type NamedOptions, openNamed, unlinkNamed } from './named.js';
import { Contender, checkPlace, type LockMemory, place, RobustLock } from './robust-lock.js';

/**
 * A mutex: a lock that one thread of one process holds at a time. It is a `pthread_mutex_t` of the C library (glibc), so C programs can use
 * it with `pthread_mutex_lock`. It is robust: when its owner is killed, the kernel releases it, and the next owner sees
 * {@link Guard.ownerDied}.
 *
 * It belongs to the JavaScript thread that acquired it. Within a thread, the asynchronous calls form a queue: tasks get the lock in the
 * order in which they asked. The synchronous calls fail with `EDEADLK` when their own thread holds the mutex, because they would wait for
 * ever.
 *
 * Without contention, acquire and release make no system call. Waiting tasks need no thread (Linux 6.7; see `docs/locks-and-death.md`).
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
  /** Size in bytes: the size of a `pthread_mutex_t`. The offset must be a multiple of 8. */
  static readonly byteLength: number = ROBUST_BYTES;
  static {
    readOnly(Mutex, 'byteLength');
  }

  readonly #lock: RobustLock;
  readonly #own: Disposable | undefined;
  readonly #keepAlive = new KeepAlive();
  readonly #waitQueue = new LockWaitQueue(this.#keepAlive);
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
   * Creates a mutex in memory that no process uses as one yet.
   *
   * @param offset bytes, a multiple of 8
   */
  static create(memory: LockMemory, offset = 0): Mutex {
    const checked = checkPlace(memory, offset, Mutex.byteLength);
    initialize(new Int32Array(checked.buffer), offset / 4);
    return new Mutex(checked, offset, place('mutex', checked, offset));
  }
  /**
   * Opens an existing mutex, made by {@link Mutex.create} or by a C program with `pthread_mutexattr_setpshared` and
   * `pthread_mutexattr_setrobust`, of any type, and without a priority protocol.
   *
   * @throws CorruptError if there is no mutex of that kind
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
   * Opens the mutex of that name, and creates it on first use; processes that race get the same one. It stays until {@link Mutex.unlink}.
   *
   * @throws CorruptError if the name belongs to something that is not a mutex
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
  /** Removes a name. Returns false if it does not exist. A process that has the mutex open keeps it. */
  static unlink(name: string): boolean {
    return unlinkNamed('mutex', name);
  }

  /**
   * Waits for the mutex, without blocking the event loop.
   *
   * @throws TimeoutError, or the signal's reason: then it is not held
   * @throws SystemError `ENOTRECOVERABLE` after an owner died and the next one did not repair the data; see {@link Guard.markConsistent}
   * @throws CorruptError if the mutex was overwritten
   */
  async lock(options?: WaitOptions): Promise<Guard> {
    return this.#lockBy(new Deadline(`lock ${this.#lock.what}`, options));
  }
  /** Acquires the mutex if it is free. Returns null if it is not, also if this thread holds it. */
  tryLock(): Guard | null {
    if (this.#closed || !this.#lock.open) this.#use();
    const result = this.#held ? EBUSY : this.#acquire();
    return result === EBUSY || result === EDEADLK ? null : this.#guard(result);
  }
  /**
   * As {@link Mutex.lock}, but blocks the thread.
   *
   * @throws SystemError `EDEADLK` if this thread holds it
   */
  lockSync(options?: SyncWaitOptions): Guard {
    return new LockGuard(this.#guarded, this.enterSync(options));
  }
  /**
   * As {@link Mutex.lockSync}, but without a guard object; release it with {@link Mutex.exit}. For hot paths: a guard costs some ten
   * nanoseconds and its garbage collection.
   *
   * @returns whether the previous owner died: repair the data, then call {@link Mutex.markConsistent}
   */
  enterSync(options?: SyncWaitOptions): boolean {
    return this.#enter(options === undefined ? undefined : new Deadline(`lock ${this.#lock.what}`, options));
  }
  /** Releases what {@link Mutex.enterSync} acquired. */
  exit(): void {
    if (!this.#held) throw notHeld();
    this.#release();
  }
  /** As {@link Guard.markConsistent}, for {@link Mutex.enterSync}. */
  markConsistent(): void {
    if (!this.#held) throw notHeld();
    this.#lock.markConsistent();
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
  /** Closes this object; the mutex stays. If it is held, its guard can still release it. Idempotent. */
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
      // Held by another task of this thread: its release nudges the queue.
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
  /** Whether the previous owner died; throws if it was not acquired. */
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
    void this.#lock.memory.buffer; // throws if the memory is closed or was truncated
  }
}

/** As pthread_mutex_init does. */
function initialize(words: Int32Array, index: number): void {
  words.fill(0, index, index + ROBUST_BYTES / 4);
  Atomics.store(words, index + KIND, ROBUST_KIND);
}
