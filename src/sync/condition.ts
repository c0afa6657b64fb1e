/**
 * A condition variable.
 *
 *     0 magic   4 count of notifications, times two; bit 0: there are sleepers
 *
 * A waiter sets bit 0 while it holds the mutex, and sleeps on that value. A notification adds two, clears the bit and, if it was set, wakes
 * all sleepers. {@link Condition.notifyOne} wakes all of them too: a single chosen waiter could be killed before it acts, and the
 * notification would be lost.
 */
import { Deadline, type SyncWaitOptions, type WaitOptions } from '../system/deadline.js';
import { ClosedError, CorruptError, invalidArgument } from '../system/errors.js';
import { futexWake } from '../system/futex.js';
import { KeepAlive } from '../system/keep-alive.js';
import { readOnly } from '../system/read-only.js';
import { waitWord, waitWordSync } from '../system/word-wait.js';
import { type Guard, type Guarded, LockGuard, notHeld } from './guard.js';
import { Looking } from './looking.js';
import { NAMED_OFFSET, type NamedOptions, openNamed, unlinkNamed } from './named.js';
import { checkPlace, type LockMemory, place } from './robust-lock.js';

const MAGIC = 0x76636364;
const SLEEPS = 1;
/** Milliseconds that acquiring the mutex again may take after the wait has failed. */
const REACQUIRE_TIMEOUT_MS = 1000;

/**
 * A condition variable: waits for a change of the data that a {@link Mutex} protects. As with every condition variable, a wait may end
 * without a notification, so wait in a loop that checks the data.
 *
 * Killing a waiter takes nothing away from the others. If the owner of the mutex dies meanwhile, the guard says so after the wait
 * ({@link Guard.ownerDied}).
 *
 * @example
 * ```ts
 * import { Condition, Mutex, SharedMemory } from 'vecino';
 *
 * using memory = SharedMemory.anonymous(4096);
 * const mutex = Mutex.create(memory, 0);
 * const changed = Condition.create(memory, 64);
 * const data = new Int32Array(memory.buffer, 128, 1);
 *
 * async function consumer(): Promise<void> {
 *   using guard = await mutex.lock();
 *   while (data[0] === 0) await changed.wait(guard);
 *   console.log('there is', data[0]); // there is 42
 * }
 * const done = consumer();
 * {
 *   using guard = await mutex.lock();
 *   data[0] = 42;
 *   changed.notifyOne();
 * }
 * await done;
 * ```
 */
export class Condition implements Disposable {
  /** Size in bytes. The offset must be a multiple of 8. */
  static readonly byteLength: number = 16;
  static {
    readOnly(Condition, 'byteLength');
  }

  readonly #memory: LockMemory;
  readonly #what: string;
  readonly #words: Int32Array;
  readonly #index: number;
  readonly #own: Disposable | undefined;
  readonly #keepAlive = new KeepAlive();
  readonly #looking = new Looking();
  #closed = false;

  private constructor(memory: LockMemory, offset: number, what: string, own?: Disposable) {
    this.#memory = memory;
    this.#what = what;
    this.#own = own;
    this.#words = new Int32Array(memory.buffer);
    this.#index = offset / 4 + 1;
  }

  /**
   * Creates a condition in memory that no process uses as one yet.
   *
   * @param offset bytes, a multiple of 8
   */
  static create(memory: LockMemory, offset = 0): Condition {
    const checked = checkPlace(memory, offset, Condition.byteLength);
    initialize(new Int32Array(checked.buffer), offset / 4);
    return new Condition(checked, offset, place('condition', checked, offset));
  }
  /**
   * Opens an existing condition.
   *
   * @throws CorruptError if there is none
   */
  static at(memory: LockMemory, offset = 0): Condition {
    const checked = checkPlace(memory, offset, Condition.byteLength);
    if (Atomics.load(new Int32Array(checked.buffer), offset / 4) !== MAGIC) {
      throw new CorruptError(`there is no ${place('condition', checked, offset)}. Create it with Condition.create()`);
    }
    return new Condition(checked, offset, place('condition', checked, offset));
  }
  /** Opens the condition of that name, and creates it on first use. It stays until {@link Condition.unlink}. */
  static named(name: string, options?: NamedOptions): Condition {
    const memory = openNamed('condition', name, Condition.byteLength, initialize, options);
    return new Condition(memory, NAMED_OFFSET, `condition '${name}'`, memory);
  }
  /** Removes a name. Returns false if it does not exist. A process that has the condition open keeps it. */
  static unlink(name: string): boolean {
    return unlinkNamed('condition', name);
  }

  /**
   * Releases the mutex of `guard` and waits for the next notification, in one step. Then it acquires the mutex again. Does not block the
   * event loop.
   *
   * When it rejects, it also acquires the mutex again first, if that is possible within a second; see `guard.held`.
   *
   * @param guard a held guard of a {@link Mutex}
   * @throws TimeoutError, or the signal's reason
   */
  async wait(guard: Guard, options?: WaitOptions): Promise<void> {
    const deadline = new Deadline(`wait for ${this.#what}`, options);
    const held = this.#held(guard);
    deadline.signal?.throwIfAborted();
    const expected = this.#announce();
    const lock = giveUp(held);
    let failure: { error: unknown } | undefined;
    try {
      while (this.#is(expected)) await waitWord(this.#words, this.#index, expected, deadline, this.#keepAlive);
      held.renew(lock, await lock.relock!(deadline));
    } catch (error) {
      failure = { error };
    }
    if (failure === undefined) return;
    try {
      held.renew(lock, await lock.relock!(new Deadline(`wait for ${this.#what}`, { timeout: REACQUIRE_TIMEOUT_MS })));
    } catch {
      // The first error counts; the guard says that it holds nothing.
    }
    throw failure.error;
  }
  /** As {@link Condition.wait}, but blocks the thread. */
  waitSync(guard: Guard, options?: SyncWaitOptions): void {
    const deadline = new Deadline(`wait for ${this.#what}`, options);
    const held = this.#held(guard);
    const expected = this.#announce();
    const lock = giveUp(held);
    let failure: { error: unknown } | undefined;
    try {
      const found = !deadline.expired && this.#looking.until(() => !this.#is(expected));
      this.#looking.ended(found);
      while (this.#is(expected)) waitWordSync(this.#words, this.#index, expected, deadline);
      held.renew(lock, lock.relockSync!(deadline));
    } catch (error) {
      failure = { error };
    }
    if (failure === undefined) return;
    try {
      held.renew(lock, lock.relockSync!(new Deadline(`wait for ${this.#what}`, { timeout: REACQUIRE_TIMEOUT_MS })));
    } catch {
      // As above.
    }
    throw failure.error;
  }
  /** Ends at least one wait, if there is any; it may end others too. Makes no system call if there is no waiter. */
  notifyOne(): void {
    this.#notify();
  }
  /** Ends all waits that have begun. Makes no system call if there is no waiter. */
  notifyAll(): void {
    this.#notify();
  }
  /** A wait for a notification keeps the program running. This is the default. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /**
   * A wait for a notification, now or later, does not keep the program running. Acquiring the mutex again follows the setting of the mutex.
   */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /** Closes this object; the condition stays. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#own?.[Symbol.dispose]();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  #notify(): void {
    this.#use();
    let seen = Atomics.load(this.#words, this.#index);
    for (;;) {
      const found = Atomics.compareExchange(this.#words, this.#index, seen, ((seen & ~SLEEPS) + 2) | 0);
      if (found === seen) break;
      seen = found;
    }
    if ((seen & SLEEPS) !== 0) futexWake(this.#words, this.#index, 0x7fffffff);
  }
  /** The word while nothing has changed, with the bit that announces a sleeper. */
  #announce(): number {
    return Atomics.or(this.#words, this.#index, SLEEPS) | SLEEPS;
  }
  /** Not if the memory is closed: then relock() reports it. */
  #is(expected: number): boolean {
    return this.#words.length !== 0 && Atomics.load(this.#words, this.#index) === expected;
  }
  #held(guard: Guard): LockGuard {
    this.#use();
    if (!(guard instanceof LockGuard)) {
      throw invalidArgument('ERR_INVALID_ARG_TYPE', 'guard', 'the guard of a Mutex', guard);
    }
    if (guard.lock === undefined) throw notHeld();
    if (guard.lock.relock === undefined) {
      throw invalidArgument('ERR_INVALID_ARG_VALUE', 'guard', 'the guard of a Mutex, not of a RwLock', guard);
    }
    return guard;
  }
  #use(): void {
    if (this.#closed) throw new ClosedError(this.#what);
    void this.#memory.buffer; // throws if the memory is closed or was truncated
  }
}

function giveUp(guard: LockGuard): Guarded {
  const lock = guard.lock!;
  guard.release();
  return lock;
}
function initialize(words: Int32Array, index: number): void {
  words[index + 1] = 0;
  Atomics.store(words, index, MAGIC);
}
