/**
 * A robust lock word in shared memory, and how to acquire it, for `Mutex` and `RwLock`.
 *
 * A thread that finds it held sets the waiters' bit and sleeps on the word. A release wakes all sleepers (native/robust.c), and the first
 * to try acquires it, perhaps the releaser again: fast, but unfair. So a waiter that was passed over for {@link UNFAIR_MS} writes its
 * thread id into the spare word. A thread that finds an id there yields to it, for at most {@link YIELD_TIMEOUT_MS}, because that waiter may be
 * dead.
 */

import { performance } from 'node:perf_hooks';
import { SharedMemory, SysVSharedMemory } from '../memory/index.js';
import { checkInteger } from '../system/arguments.js';
import type { Deadline } from '../system/deadline.js';
import { EAGAIN, EBADF, EBUSY, EDEADLK, EILSEQ, EINVAL, ENOTRECOVERABLE, EPERM } from '../system/errno.js';
import { ClosedError, CorruptError, check, type IpcError, invalidArgument, SystemError } from '../system/errors.js';
import { futexWake } from '../system/futex.js';
import { native } from '../system/native.js';
import { acquire, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, release, threadId } from '../system/robust.js';
import { waitWordSync } from '../system/word-wait.js';
import type { Obstacle } from './lock-wait-queue.js';
import { Looking } from './looking.js';

const { lockAcquireAwaited, lockForget } = native;

/** Milliseconds. */
const UNFAIR_MS = 2;
/** Milliseconds. */
const YIELD_TIMEOUT_MS = 5;
const ALL_WAITERS = 0x7fffffff;
/** The spare word, in words from the lock word. */
const SPARE = 5;

/** The memory that a lock can live in. */
export type LockMemory = SharedMemory | SysVSharedMemory;

const forgotten = new FinalizationRegistry<number>((id) => void lockForget(id));

export class RobustLock {
  readonly memory: LockMemory;
  /** For errors: `"mutex 'refresh'"`. */
  readonly what: string;
  /** For threads that block. */
  readonly looking = new Looking();
  readonly #words: Int32Array;
  readonly #word: number;
  readonly #spare: number;
  /** -1 once closed. */
  #id: number;

  /** @param bare only the lock word and the list are used; the other fields are the caller's */
  constructor(memory: LockMemory, offset: number, what: string, bare = false) {
    this.memory = memory;
    this.what = what;
    this.#words = new Int32Array(memory.buffer);
    this.#word = offset / 4;
    this.#spare = this.#word + SPARE;
    this.#id = check(native.lockRegister(this.#words, offset, bare), 'get_robust_list', { path: what });
    forgotten.register(this, this.#id, this);
  }
  /** The memory of the lock word. */
  get words(): Int32Array {
    return this.#words;
  }
  get index(): number {
    return this.#word;
  }
  /** Whether no waiter that was passed over asks to go first. Also false once the memory is closed. */
  get open(): boolean {
    return this.#words[this.#spare] === 0;
  }
  /** One try: 0, -EOWNERDEAD, or why not. */
  acquire(): number {
    return acquire(this.#id);
  }
  /** The same, with the waiters' bit set in the same step. */
  acquireAwaited(): number {
    return lockAcquireAwaited(this.#id);
  }
  /** 0, -EPERM, or -EILSEQ if it was overwritten. */
  release(): number {
    return release(this.#id);
  }
  /** Gives it up as if this thread had died. */
  abandon(): void {
    native.lockAbandon(this.#id);
  }
  /** Writes the word that lies `offset` bytes from the lock while it is held, even if the memory is closed already. */
  store(offset: number, value: number): void {
    native.lockStore(this.#id, offset, value);
  }
  markConsistent(): void {
    const result = native.lockConsistent(this.#id);
    if (result !== EINVAL) check(result, 'pthread_mutex_consistent', { path: this.what });
  }
  close(): void {
    forgotten.unregister(this);
    lockForget(this.#id); // EBUSY: held; it is released when the thread ends
    this.#id = -1;
  }
  /** Why {@link RobustLock.acquire} or {@link RobustLock.release} failed. */
  error(result: number): unknown {
    try {
      void this.memory.buffer; // closed, or truncated
    } catch (error) {
      return error;
    }
    if (result === EBADF) return new ClosedError(this.what);
    return lockError(result, this.what);
  }
}

function lockError(result: number, what: string): IpcError {
  switch (result) {
    case EDEADLK:
      return new SystemError(result, 'lock', {
        path: what,
        hint: 'This thread holds the lock already: release it first',
      });
    case EPERM:
      return new SystemError(result, 'release', { path: what, hint: 'This thread does not hold the lock' });
    case ENOTRECOVERABLE:
      return new SystemError(result, 'lock', {
        path: what,
        hint: 'Its owner died, and the next owner released it without markConsistent(). Create the lock and its data again',
      });
    case EAGAIN:
      return new SystemError(result, 'lock', {
        path: what,
        hint: 'A thread can hold at most 2048 robust locks at once',
      });
    case EINVAL:
    case EILSEQ:
      return new CorruptError(
        `${what} was overwritten by another process, so its data may be inconsistent. Create the lock and its data again`,
      );
    default:
      return new SystemError(result, 'lock', { path: what });
  }
}

/** One wait for a {@link RobustLock}, from the first failed try to the end. */
export class Contender {
  readonly #lock: RobustLock;
  readonly #since = performance.now();
  #slept = false;
  /** It has slept on the lock word since {@link Contender.passOn}. */
  #woken = false;
  #claimed = false;
  /** The thread that this one yields to; 0: none, or done. */
  #yieldsTo = 0;
  #courteous: boolean;

  /** @param timeLeft milliseconds that it can wait at most; with too little time left it does not yield */
  constructor(lock: RobustLock, timeLeft: number) {
    this.#lock = lock;
    this.#courteous = timeLeft <= 2 * YIELD_TIMEOUT_MS;
  }
  /** One try, as {@link RobustLock.acquire}; by `otherwise`, if it is not the lock itself that is wanted. */
  try(otherwise?: () => number): number {
    if (!this.#courteous && this.#yields()) return EBUSY;
    const result =
      otherwise !== undefined ? otherwise() : this.#slept ? this.#lock.acquireAwaited() : this.#lock.acquire();
    if (result !== EBUSY) this.leave();
    return result;
  }
  #yields(): boolean {
    const { words, index } = this.#lock;
    const claim = words.length === 0 ? 0 : Atomics.load(words, index + SPARE);
    if (this.#yieldsTo !== 0) {
      // Its time is over. If it lives and had no luck, it will claim again.
      if (claim === this.#yieldsTo) Atomics.compareExchange(words, index + SPARE, claim, 0);
      this.#yieldsTo = 0;
      this.#courteous = true;
    } else if (claim !== 0 && claim !== threadId()) {
      this.#yieldsTo = claim;
    }
    return this.#yieldsTo !== 0;
  }
  /** What to wait for after a try that returned {@link EBUSY}. */
  obstacle(): Obstacle {
    const { words, index } = this.#lock;
    if (words.length === 0) throw this.#lock.error(EBADF);
    if (this.#yieldsTo !== 0) {
      return { places: [{ words, index: index + SPARE, expected: this.#yieldsTo }], limit: YIELD_TIMEOUT_MS };
    }
    let seen = Atomics.load(words, index);
    while ((seen & FUTEX_WAITERS) === 0 && isTaken(seen)) {
      const found = Atomics.compareExchange(words, index, seen, seen | FUTEX_WAITERS);
      seen = found === seen ? seen | FUTEX_WAITERS : found;
    }
    if (!isTaken(seen)) return { places: [{ words, index, expected: ~seen }] }; // changed: try again
    if (this.#slept && !this.#claimed && performance.now() - this.#since > UNFAIR_MS) {
      this.#claimed = Atomics.compareExchange(words, index + SPARE, 0, threadId()) === 0;
    }
    this.#slept = true;
    this.#woken = true;
    return { places: [{ words, index, expected: seen }] };
  }
  /** Blocks until it is worth trying again. False if it need not sleep. */
  block(deadline: Deadline): boolean {
    const { words, index } = this.#lock;
    if (words.length === 0) throw this.#lock.error(EBADF);
    const { looking } = this.#lock;
    if (this.#yieldsTo === 0 && !deadline.expired && looking.until(() => !isTaken(Atomics.load(words, index))))
      return false;
    looking.sleeps();
    const { places, limit } = this.obstacle();
    const place = places[0]!;
    waitWordSync(place.words, place.index, place.expected, deadline, limit);
    return true;
  }
  /**
   * This waiter leaves the lock word as it is, so it will wake nobody later: wake the other sleepers now. When an owner dies, the kernel
   * wakes only one.
   */
  passOn(): void {
    const { words, index } = this.#lock;
    if (!this.#woken || words.length === 0) return;
    this.#woken = false;
    futexWake(words, index, ALL_WAITERS);
  }
  /** It has the lock, or gives up. */
  leave(): void {
    if (!this.#claimed) return;
    this.#claimed = false;
    const { words, index } = this.#lock;
    if (words.length === 0) return;
    Atomics.compareExchange(words, index + SPARE, threadId(), 0);
    futexWake(words, index + SPARE, ALL_WAITERS);
  }
}
export function isTaken(word: number): boolean {
  return (word & FUTEX_TID_MASK) !== 0 && (word & FUTEX_OWNER_DIED) === 0;
}

/** For errors: `"mutex in shared memory 'prices' at 64"`. */
export function place(kind: string, memory: LockMemory, offset: number): string {
  const name = memory instanceof SharedMemory ? memory.name : `id ${memory.id}`;
  return `${kind} in shared memory${name === null ? '' : ` '${name}'`} at ${offset}`;
}

/** Checks the memory and offset of a caller. */
export function checkPlace(memory: unknown, offset: unknown, bytes: number): LockMemory {
  if (!(memory instanceof SharedMemory || memory instanceof SysVSharedMemory)) {
    throw invalidArgument('ERR_INVALID_ARG_TYPE', 'memory', 'a SharedMemory or SysVSharedMemory', memory);
  }
  const { byteLength } = memory.buffer; // throws if it is closed
  checkInteger('offset', offset, 0);
  if ((offset as number) % 8 !== 0) {
    throw invalidArgument('ERR_INVALID_ARG_VALUE', 'offset', 'a multiple of 8', offset);
  }
  if ((offset as number) + bytes > byteLength) {
    throw invalidArgument(
      'ERR_OUT_OF_RANGE',
      'offset',
      `at most ${byteLength - bytes}, because ${bytes} bytes must follow`,
      offset,
    );
  }
  if (memory instanceof SharedMemory && memory.readOnly)
    throw invalidArgument('ERR_INVALID_ARG_VALUE', 'memory', 'writable memory', memory);
  return memory;
}
