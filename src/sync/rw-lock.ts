/**
 * A read-write lock that is robust against the death of readers and writers. The C library's pthread_rwlock_t is not: a killed reader locks
 * out writers for ever. So this is a layout of our own, made of robust words:
 *
 *     0 magic   4 a writer is inside   64 writers' lock (as a Mutex)   128 + 64·i, i < 64: one word for each reading thread
 *
 * A reader takes a free word, then checks for a writer; if there is one, it steps back. A writer takes the writers' lock, which stops new
 * readers, then waits until each reader's word is free. Both write first and check then, so at least one sees the other. The kernel frees
 * the word of a dead reader, which changed nothing, and wakes its waiters. The next owner, reader or writer, takes over the lock of a dead
 * writer, and learns of the death if the dead one was inside.
 */

import { Deadline, type SyncWaitOptions, type WaitOptions } from '../system/deadline.js';
import { EBUSY, EDEADLK, ENOTRECOVERABLE, EOWNERDEAD } from '../system/errno.js';
import { ClosedError, CorruptError, SystemError } from '../system/errors.js';
import { KeepAlive } from '../system/keep-alive.js';
import { readOnly } from '../system/read-only.js';
import { FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, ROBUST_KIND, threadId } from '../system/robust.js';
import type { AwaitedWord } from '../system/word-wait.js';
import { type Guard, type Guarded, LockGuard } from './guard.js';
import { type Attempt, finishSync, LockWaitQueue, type Obstacle } from './lock-wait-queue.js';
import { Looking } from './looking.js';
import { NAMED_OFFSET, type NamedOptions, openNamed, unlinkNamed } from './named.js';
import { MAX_READERS, passOn, READER_SLOTS_BYTES, ReaderSlots } from './reader-slots.js';
import { Contender, checkPlace, isTaken, type LockMemory, place, RobustLock } from './robust-lock.js';

const MAGIC = 0x76637277;
/** In bytes. */
const WRITERS = 64;
const READERS = 128;
/** In words, from the beginning. */
const WRITING = 1;
/** Of the writers' lock, in words from the beginning. */
const KIND = WRITERS / 4 + 4;
const OWNER = WRITERS / 4 + 2;
/** The owner's field of a lock that is not recoverable. */
const NOT_RECOVERABLE = 0x7ffffffe;

/**
 * A read-write lock between threads and processes: many readers or one writer. Writers go first: once one waits, new readers wait behind
 * it. A waiter that was passed over for some milliseconds is let in by the others.
 *
 * When a reader is killed, nothing is lost and nothing is reported. When a writer is killed, the next owner (a reader too, which is then
 * alone) finds {@link Guard.ownerDied} set; it must repair the data and call `markConsistent()`.
 *
 * At most 64 threads read at once, however many readers each has; others wait. A thread that reads cannot write before its readers are
 * done. A reader that asks again while a writer waits would wait for itself: do not nest them.
 *
 * @example
 * ```ts
 * import { RwLock } from 'vecino';
 *
 * using lock = RwLock.named('example-settings');
 * {
 *   using first = await lock.read();
 *   using second = await lock.read();
 *   console.log(lock.tryWrite()); // null
 * }
 * lock.writeSync().release();
 * RwLock.unlink('example-settings');
 * ```
 */
export class RwLock implements Disposable {
  /** Size in bytes. The offset must be a multiple of 8. */
  static readonly byteLength: number = READERS + READER_SLOTS_BYTES;
  static {
    readOnly(RwLock, 'byteLength');
  }

  readonly #memory: LockMemory;
  readonly #what: string;
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #writers: RobustLock;
  readonly #readers: ReaderSlots;
  readonly #own: Disposable | undefined;
  readonly #keepAlive = new KeepAlive();
  readonly #waitQueue = new LockWaitQueue(this.#keepAlive);
  readonly #readLooking = new Looking();
  readonly #writeLooking = new Looking();
  readonly #readGuarded: Guarded = { release: () => this.#endRead(), markConsistent() {} };
  readonly #writeGuarded: Guarded = {
    release: () => this.#endWrite(),
    markConsistent: () => {
      this.#writers.markConsistent();
      this.#repaired = true;
    },
  };
  /** Read guards in this thread, which share a slot. */
  #reading = 0;
  #slot: RobustLock | undefined;
  /** This thread holds it for writing. */
  #writing = false;
  /** For a writer: the data of a dead predecessor is repaired, or there was none. */
  #repaired = true;
  #closed = false;

  private constructor(memory: LockMemory, offset: number, what: string, own?: Disposable) {
    this.#memory = memory;
    this.#what = what;
    this.#own = own;
    this.#words = new Int32Array(memory.buffer);
    this.#base = offset / 4;
    this.#writers = new RobustLock(memory, offset + WRITERS, what);
    this.#readers = new ReaderSlots(memory, offset + READERS, what);
  }

  /**
   * Creates a lock in memory that no process uses as one yet.
   *
   * @param offset bytes, a multiple of 8
   */
  static create(memory: LockMemory, offset = 0): RwLock {
    const checked = checkPlace(memory, offset, RwLock.byteLength);
    initialize(new Int32Array(checked.buffer), offset / 4);
    return new RwLock(checked, offset, place('rwlock', checked, offset));
  }
  /**
   * Opens an existing lock.
   *
   * @throws CorruptError if there is none
   */
  static at(memory: LockMemory, offset = 0): RwLock {
    const checked = checkPlace(memory, offset, RwLock.byteLength);
    const words = new Int32Array(checked.buffer, offset, RwLock.byteLength / 4);
    if (Atomics.load(words, 0) !== MAGIC || words[KIND] !== ROBUST_KIND) {
      throw new CorruptError(`there is no ${place('rwlock', checked, offset)}. Create it with RwLock.create()`);
    }
    return new RwLock(checked, offset, place('rwlock', checked, offset));
  }
  /** Opens the lock of that name, and creates it on first use. It stays until {@link RwLock.unlink}. */
  static named(name: string, options?: NamedOptions): RwLock {
    const memory = openNamed('rwlock', name, RwLock.byteLength, initialize, options);
    try {
      return new RwLock(memory, NAMED_OFFSET, `rwlock '${name}'`, memory);
    } catch (error) {
      memory.close();
      throw error;
    }
  }
  /** Removes a name. Returns false if it does not exist. A process that has the lock open keeps it. */
  static unlink(name: string): boolean {
    return unlinkNamed('rwlock', name);
  }

  /** Waits until there is no writer, without blocking the event loop. Errors as for {@link Mutex.lock}. */
  async read(options?: WaitOptions): Promise<Guard> {
    const deadline = new Deadline(`read-lock ${this.#what}`, options);
    return this.#join(this.#readAttempt(deadline.remaining()), deadline);
  }
  /** Waits until there is no reader or writer, without blocking the event loop. Errors as for {@link Mutex.lock}. */
  async write(options?: WaitOptions): Promise<Guard> {
    const deadline = new Deadline(`write-lock ${this.#what}`, options);
    return this.#join(this.#writeAttempt(deadline.remaining()), deadline);
  }
  /** Returns null if there is a writer, inside or waiting. */
  tryRead(): Guard | null {
    return this.#quickRead() ?? this.#once(this.#readAttempt(0));
  }
  /** Returns null if there is a reader or writer. */
  tryWrite(): Guard | null {
    return this.#once(this.#writeAttempt(0));
  }
  /**
   * As {@link RwLock.read}, but blocks the thread.
   *
   * @throws SystemError `EDEADLK` if this thread writes
   */
  readSync(options?: SyncWaitOptions): Guard {
    const given = options === undefined ? undefined : new Deadline(`read-lock ${this.#what}`, options);
    const guard = this.#quickRead();
    if (guard !== undefined) return guard;
    const deadline = given ?? new Deadline(`read-lock ${this.#what}`);
    return this.#block(this.#readAttempt(deadline.remaining()), deadline, this.#readLooking);
  }
  /**
   * As {@link RwLock.write}, but blocks the thread.
   *
   * @throws SystemError `EDEADLK` if this thread reads or writes
   */
  writeSync(options?: SyncWaitOptions): Guard {
    const deadline = new Deadline(`write-lock ${this.#what}`, options);
    return this.#block(this.#writeAttempt(deadline.remaining()), deadline, this.#writeLooking);
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
  /** Closes this object; the lock stays. If it is held, its guards can still release it. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waitQueue.close(new ClosedError(this.#what));
    this.#forget();
    this.#own?.[Symbol.dispose]();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  async #join(attempt: Attempt<Guard>, deadline: Deadline): Promise<Guard> {
    deadline.signal?.throwIfAborted();
    this.#use();
    if (this.#waitQueue.mayTry()) {
      const guard = attempt.try();
      if (guard !== undefined) return guard;
    }
    return this.#waitQueue.join(attempt, deadline);
  }
  #once(attempt: Attempt<Guard>): Guard | null {
    this.#use();
    const guard = attempt.try();
    if (guard === undefined) attempt.abandon();
    return guard ?? null;
  }
  #block(attempt: Attempt<Guard>, deadline: Deadline, looking: Looking): Guard {
    this.#use();
    return finishSync(attempt, deadline, looking, (places) => {
      const own = threadId();
      const mine = places.length === 0 || places.some(({ expected }) => (expected & FUTEX_TID_MASK) === own);
      if (!mine) return undefined;
      return new SystemError(EDEADLK, 'lock', {
        path: this.#what,
        hint: 'This thread holds the lock already: release it first',
      });
    });
  }
  #use(): void {
    if (this.#closed) throw new ClosedError(this.#what);
    void this.#memory.buffer; // throws if the memory is closed or was truncated
  }

  // ---- reading

  /** The guard of a reader that meets no obstacle. */
  #quickRead(): Guard | undefined {
    const free = !this.#closed && this.#writers.open && !this.#writing && this.#words[this.#writers.index] === 0;
    return free && this.#beginRead() ? new LockGuard(this.#readGuarded, false) : undefined;
  }
  #readAttempt(timeLeft: number): Attempt<Guard> {
    const contender = new Contender(this.#writers, timeLeft);
    let full = false;
    /** What it slept on because all slots were taken. */
    let slots: readonly AwaitedWord[] = [];
    return {
      try: () => {
        full = false;
        passOn(slots);
        slots = [];
        if (this.#writing) return undefined;
        let guard: Guard | undefined;
        const result = contender.try(() => {
          const word = Atomics.load(this.#words, this.#writers.index);
          if (isTaken(word)) return EBUSY;
          if ((word & FUTEX_OWNER_DIED) !== 0) {
            guard = this.#recover();
            if (guard !== undefined) return 0;
          }
          if (!this.#beginRead()) {
            full = !isTaken(Atomics.load(this.#words, this.#writers.index));
            if (full) contender.passOn();
            return EBUSY;
          }
          contender.passOn();
          guard = new LockGuard(this.#readGuarded, false);
          return 0;
        });
        return result === 0 ? guard : undefined;
      },
      obstacle: (): Obstacle => {
        if (this.#writing) return { places: [] };
        if (!full) return contender.obstacle();
        slots = this.#readers.await();
        return { places: slots.length === MAX_READERS ? slots : [elsewhere(this.#words, this.#base)] };
      },
      abandon: () => {
        contender.leave();
        return undefined;
      },
    };
  }
  /** After a writer's death: the guard of the reader that must repair, or undefined if the writer had not begun. */
  #recover(): Guard | undefined {
    const result = this.#writers.acquire();
    if (result === EOWNERDEAD && this.#wasWriting()) return this.#beginWrite(true);
    if (result === EOWNERDEAD) this.#writers.markConsistent();
    if (result === EOWNERDEAD || result === 0) this.#writers.release();
    else if (result !== EBUSY) throw this.#writers.error(result);
    return undefined;
  }
  /** False: a writer came in between, or all slots are taken. */
  #beginRead(): boolean {
    if (this.#reading > 0) {
      this.#reading++;
      return true;
    }
    const slot = this.#readers.acquire();
    if (slot === undefined) return false;
    // One load decides: a second one could see the next writer where the first one saw none yet.
    if ((Atomics.load(this.#words, this.#writers.index) & ~FUTEX_WAITERS) !== 0) {
      slot.release(); // wakes the writer, should it have seen us
      return false;
    }
    // After that load, not before: a thread that releases without repair marks the lock first, and releases it then. The mark stays.
    if (Atomics.load(this.#words, this.#base + OWNER) === NOT_RECOVERABLE) {
      slot.release();
      throw this.#writers.error(ENOTRECOVERABLE);
    }
    this.#slot = slot;
    this.#reading = 1;
    return true;
  }
  #endRead(): void {
    if (--this.#reading > 0) return;
    const slot = this.#slot!;
    this.#slot = undefined;
    this.#end(slot.release(), slot);
  }

  // ---- writing

  #writeAttempt(timeLeft: number): Attempt<Guard> {
    const contender = new Contender(this.#writers, timeLeft);
    /** Whether we hold the writers' lock, so that readers must leave. */
    let inside = false;
    let died = false;
    /** What it slept on because there are readers. */
    let slots: readonly AwaitedWord[] = [];
    return {
      try: () => {
        passOn(slots);
        slots = [];
        if (this.#writing) return undefined;
        if (!inside) {
          const result = contender.try();
          if (result === EBUSY || result === EDEADLK) return undefined;
          if (result !== 0 && result !== EOWNERDEAD) throw this.#writers.error(result);
          inside = true;
          died = result === EOWNERDEAD && this.#wasWriting();
          if (result === EOWNERDEAD && !died) this.#writers.markConsistent();
        }
        // A dead writer was inside, so remaining readers are about to step back.
        if (!died && this.#anyoneReads()) return undefined;
        Atomics.store(this.#words, this.#base + WRITING, 1);
        inside = false;
        return this.#beginWrite(died);
      },
      obstacle: (): Obstacle => {
        if (this.#writing) return { places: [] };
        if (!inside) return contender.obstacle();
        if (this.#reading > 0) return { places: [] }; // its end nudges the queue
        slots = this.#readers.await().slice(0, 1);
        return { places: slots.length === 0 ? [elsewhere(this.#words, this.#base)] : slots };
      },
      abandon: () => {
        contender.leave();
        if (inside) this.#writers.release();
        inside = false;
        return undefined;
      },
    };
  }
  /** Whether the writer that died was inside. */
  #wasWriting(): boolean {
    return Atomics.load(this.#words, this.#base + WRITING) !== 0;
  }
  #beginWrite(died: boolean): Guard {
    this.#writing = true;
    this.#repaired = !died;
    return new LockGuard(this.#writeGuarded, died);
  }
  #anyoneReads(): boolean {
    if (this.#words.length === 0) throw this.#writers.error(0); // the memory was closed meanwhile
    return this.#readers.inUse;
  }
  #endWrite(): void {
    this.#writing = false;
    // Not after a death that was not repaired: if we are killed before we have released it, the next owner must learn of it again.
    if (this.#repaired) {
      // Closed memory has no words any more, but it stays mapped while the lock is held.
      if (this.#words.length !== 0) Atomics.store(this.#words, this.#base + WRITING, 0);
      else this.#writers.store(4 * WRITING - WRITERS, 0);
    }
    this.#end(this.#writers.release(), this.#writers);
  }

  #end(result: number, lock: RobustLock): void {
    if (this.#closed) this.#forget();
    this.#waitQueue.nudge();
    if (result !== 0) throw lock.error(result);
  }
  #forget(): void {
    if (this.#reading > 0 || this.#writing) return;
    this.#writers.close();
    this.#readers.close();
  }
}

/** A word that has changed already: try again at once. */
function elsewhere(words: Int32Array, index: number): AwaitedWord {
  return { words, index, expected: ~Atomics.load(words, index) };
}
function initialize(words: Int32Array, index: number): void {
  words.fill(0, index, index + RwLock.byteLength / 4);
  words[index + KIND] = ROBUST_KIND;
  Atomics.store(words, index, MAGIC);
}
