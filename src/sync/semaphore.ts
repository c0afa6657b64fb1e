/**
 * POSIX semaphores shared with C: a sem_t in memory, or one that sem_open(3) finds by its name; sem_overview(7).
 *
 * Permits are acquired and released here by atomic operations on the 32 bits of the sem_t that hold the value. They mix with those of the C
 * library on 64 bits (the value and the number of waiters), because both see the value as one word.
 * No wake-up is lost: a waiter registers first, by an atomic operation on both words (native/semaphore.c), and checks the value after. A
 * releaser changes the value first, and checks the waiters after (by an atomic load, or a processor other than x86 could check first). Of
 * the two operations on the value one comes first. If it is the waiter's, the releaser sees it registered; if it is the releaser's, the
 * waiter sees the permit.
 */

import { SharedMemory } from '../memory/index.js';
import { checkInteger, checkMode, checkName, checkOptions } from '../system/arguments.js';
import type { SyncWaitOptions, WaitOptions } from '../system/deadline.js';
import { EAGAIN, ENOENT, EOVERFLOW } from '../system/errno.js';
import { ClosedError, CorruptError, check, errnoName, SystemError } from '../system/errors.js';
import { close, fchmod, fstat, isKind, open } from '../system/file.js';
import { KeepAlive } from '../system/keep-alive.js';
import { type Mapping, mmap } from '../system/memory.js';
import { constants, native } from '../system/native.js';
import { allocate, type NewFile, newFile } from '../system/new-file.js';
import { readOnly } from '../system/read-only.js';
import {
  layout,
  MARK,
  SEM_SIZE,
  SEM_VALUE_MAX,
  SHARED_MARK,
  semaphorePath,
  VALUE,
  WAITERS,
} from '../system/semaphore.js';
import { Permits } from './permits.js';
import { checkPlace, type LockMemory, place } from './robust-lock.js';

const CREATE_OPTIONS = { mode: true } as const;
const { compareExchange, load } = Atomics;
const { futexWake } = native;
const ALL_WAITERS = 0x7fffffff;
/** Where sem_open(3) keeps them. */
const FOLDER = '/dev/shm';
const NOTHING = new Int32Array(0);

/**
 * A counting semaphore. A real sem_t: C programs use the same one with `sem_open`, `sem_wait` and `sem_post`, and Python with posix_ipc.
 *
 * A semaphore has no owner. When a process dies with permits that it acquired, **they are lost**: no process knows who had them, and no
 * later call releases them. If that matters, use {@link SysVSemaphore} with `undo`, {@link FileLock} or `Mutex`. A process that is
 * killed while it waits takes no permit with it, and the others go on.
 *
 * @example
 * ```ts
 * import { Semaphore } from 'vecino';
 *
 * using permits = Semaphore.create('vecino-example-permits', 2);
 * await permits.acquire({ timeout: 1000 });
 * console.log(permits.value, permits.tryAcquire(), permits.tryAcquire()); // 1 true false
 * permits.release(2);
 * permits.unlink();
 * ```
 */
export class Semaphore implements Disposable {
  /** Bytes that a sem_t takes in memory. */
  static readonly byteLength: number = SEM_SIZE;
  /** The largest possible number of permits: SEM_VALUE_MAX. */
  static readonly maximum: number = SEM_VALUE_MAX;
  static {
    readOnly(Semaphore, 'byteLength', 'maximum');
  }

  /** The name it was created or opened by, without a slash; null for one in memory. */
  readonly name: string | null;
  /** The sem_t. */
  readonly #all: Int32Array;
  /** The same where its layout is known. Otherwise undefined, and the fast paths below are not used. */
  #words: Int32Array;
  readonly #mapping: Mapping | undefined;
  readonly #memory: LockMemory | undefined;
  readonly #what: string;
  readonly #permits: Permits;
  readonly #keepAlive = new KeepAlive();
  #closed = false;

  private constructor(words: Int32Array, what: string, name: string | null, mapping?: Mapping, memory?: LockMemory) {
    this.name = name;
    readOnly(this, 'name');
    this.#what = what;
    this.#all = words;
    this.#words = layout.known ? words : NOTHING;
    this.#mapping = mapping;
    this.#memory = memory;
    this.#permits = new Permits(words, () => this.#acquire(), this.#keepAlive);
  }

  /**
   * Creates a named semaphore with `value` permits, with exactly these permission bits (default: 0600). It appears complete, and stays
   * until it is unlinked or the machine restarts.
   *
   * @throws SystemError `EEXIST` if the name is taken, `ENOSPC`
   */
  static create(name: string, value: number, options: { mode?: number } = {}): Semaphore {
    const plain = checkName('name', name);
    checkValue(value);
    const mode = checkMode('options.mode', checkOptions('options', options, CREATE_OPTIONS)!.mode ?? 0o600);
    let file: NewFile | undefined;
    let mapping: Mapping | undefined;
    try {
      file = newFile(FOLDER, mode);
      allocate(file.fd, SEM_SIZE, plain);
      fchmod(file.fd, mode);
      mapping = mmap(file.fd, SEM_SIZE, { name: label(plain) });
      const words = new Int32Array(mapping.buffer);
      check(native.semInit(words, 0, value), 'sem_init');
      const semaphore = new Semaphore(words, label(plain), plain, mapping);
      file.publish(semaphorePath(plain)); // last, so that a failure leaves no name behind
      return semaphore;
    } catch (error) {
      mapping?.unmap();
      file?.withdraw();
      throw namedSemaphoreError(error, plain);
    } finally {
      if (file !== undefined) close(file.fd);
    }
  }
  /**
   * Opens the semaphore of that name, made by vecino or by any other program.
   *
   * @throws SystemError `ENOENT`, `EACCES`
   * @throws CorruptError if it is not a semaphore
   */
  static open(name: string): Semaphore {
    const plain = checkName('name', name);
    let fd: number;
    try {
      fd = open(semaphorePath(plain), constants['O_RDWR']! | constants['O_NOFOLLOW']! | constants['O_NONBLOCK']!);
    } catch (error) {
      throw namedSemaphoreError(error, plain);
    }
    try {
      const status = fstat(fd);
      if (!isKind(status, 'S_IFREG') || status.size < SEM_SIZE) throw noSemaphore(label(plain));
      const mapping = mmap(fd, SEM_SIZE, { name: label(plain) });
      const words = new Int32Array(mapping.buffer);
      if (layout.known && words[MARK] !== SHARED_MARK) {
        mapping.unmap();
        throw noSemaphore(label(plain));
      }
      return new Semaphore(words, label(plain), plain, mapping);
    } finally {
      close(fd);
    }
  }
  /** Removes a name. Returns false if it does not exist. A process that has the semaphore open keeps it. */
  static unlink(name: string): boolean {
    const plain = checkName('name', name);
    const path = semaphorePath(plain);
    const result = native.shmUnlink(path.slice('/dev/shm'.length));
    if (result === ENOENT) return false;
    if (result < 0) throw namedSemaphoreError(new SystemError(result, 'sem_unlink'), plain);
    return true;
  }
  /**
   * The semaphore at an offset of shared memory, which C programs reach by its address. With a `value` it is created there; do that once,
   * before any process uses it (sem_init with `pshared`). Without a `value` it must exist.
   *
   * @param offset bytes, a multiple of 8; the semaphore takes {@link Semaphore.byteLength} bytes from there
   * @throws CorruptError if there is none
   */
  static inMemory(memory: LockMemory, offset: number, value?: number): Semaphore {
    const checked = checkPlace(memory, offset, SEM_SIZE);
    if (value !== undefined) checkValue(value);
    const words = new Int32Array(checked.buffer, offset, SEM_SIZE / 4);
    const what = place('semaphore', checked, offset);
    if (value !== undefined) check(native.semInit(words, 0, value), 'sem_init');
    else if (layout.known && words[MARK] !== SHARED_MARK) {
      throw noSemaphore(
        `offset ${offset} of the memory`,
        'Pass a value to create one, or use sem_init(3) with pshared 1',
      );
    }
    return new Semaphore(words, what, null, undefined, checked);
  }

  /** Waits for a permit and takes it, without blocking the event loop. Calls on this object are served in order. */
  acquire(options?: WaitOptions): Promise<void> {
    return this.#permits.acquire(options, this.#what);
  }
  /** Takes a permit if there is one. Returns false if not, or if earlier calls on this object wait for one. */
  tryAcquire(): boolean {
    if (!this.#permits.idle) return false;
    const words = this.#words;
    const value = words[VALUE]!; // a guess, which the exchange confirms
    if (value > 0 && compareExchange(words, VALUE, value, value - 1) === value) return true;
    return this.#acquire();
  }
  /** Takes a permit; blocks the thread until there is one. It goes before waiting calls on this object. */
  acquireSync(options?: SyncWaitOptions): void {
    if (options === undefined && this.tryAcquire()) return;
    this.#permits.acquireSync(options, this.#what);
  }
  /**
   * Releases permits, which need not have been acquired, and wakes all waiters: a single chosen one could be killed before it takes the
   * permit. (A C program's sem_post wakes one. Waiters here check again every second, so they survive that too.)
   *
   * @throws SystemError `EOVERFLOW` if there would be more than {@link Semaphore.maximum}; then none is released
   */
  release(count = 1): void {
    const words = this.#words;
    const value = words[VALUE]!; // as above
    if (
      count === 1 &&
      value >= 0 &&
      value < SEM_VALUE_MAX &&
      words[MARK] === SHARED_MARK &&
      compareExchange(words, VALUE, value, value + 1) === value
    ) {
      if (load(words, WAITERS) !== 0) futexWake(words, VALUE, ALL_WAITERS);
      return;
    }
    this.#release(count);
  }
  /** The number of available permits, at this moment. */
  get value(): number {
    this.#checkOpen();
    if (!layout.known) return check(native.semGetvalue(this.#all, 0), 'sem_getvalue');
    return this.#look();
  }

  /**
   * Removes this semaphore's name. Returns false if the name does not exist. If another semaphore has taken the name since, that one's name
   * is removed.
   */
  unlink(): boolean {
    return this.name !== null && Semaphore.unlink(this.name);
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
  /** Closes this object; the semaphore stays. Pending calls end with {@link ClosedError}. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#words = NOTHING;
    this.#permits.close(new ClosedError(this.#what));
    this.#mapping?.unmap();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** As {@link tryAcquire}, in any state. */
  #acquire(): boolean {
    this.#checkOpen();
    if (!layout.known) {
      const result = native.semTrywait(this.#all, 0);
      return result !== EAGAIN && check(result, 'sem_trywait') === 0;
    }
    for (;;) {
      const value = this.#look();
      if (value === 0) return false;
      if (compareExchange(this.#words, VALUE, value, value - 1) === value) return true;
    }
  }
  /** As {@link release}, in any state. */
  #release(count: number): void {
    checkInteger('count', count, 1, SEM_VALUE_MAX);
    this.#checkOpen();
    if (!layout.known) {
      for (let i = 0; i < count; i++) check(native.semPost(this.#all, 0), 'sem_post', { path: this.#what });
      return;
    }
    let value: number;
    do {
      value = this.#look();
      if (value > SEM_VALUE_MAX - count) {
        throw new SystemError(EOVERFLOW, 'sem_post', {
          path: this.#what,
          hint: `It has ${value} permits; ${count} more would exceed SEM_VALUE_MAX (${SEM_VALUE_MAX}). None was released`,
        });
      }
    } while (compareExchange(this.#words, VALUE, value, value + count) !== value);
    if (load(this.#words, WAITERS) !== 0) futexWake(this.#words, VALUE, ALL_WAITERS);
  }
  #look(): number {
    const value = load(this.#words, VALUE);
    if (value >= 0 && this.#words[MARK] === SHARED_MARK) return value;
    this.#mapping?.check(); // truncated?
    if (this.#memory instanceof SharedMemory) this.#memory.check();
    throw new CorruptError(
      `${this.#what} was overwritten: its words are ${[...this.#words.subarray(0, 3)].map((word) => `0x${(word >>> 0).toString(16)}`).join(' ')}. Create it again`,
    );
  }
  #checkOpen(): void {
    // If the memory was closed, there are no words any more.
    if (this.#closed || this.#all.length === 0) throw new ClosedError(this.#what);
  }
}

function label(name: string): string {
  return `semaphore '${name}'`;
}
function checkValue(value: number): void {
  checkInteger('value', value, 0, SEM_VALUE_MAX);
}
function noSemaphore(what: string, hint = 'Unlink it, and create it again'): CorruptError {
  return new CorruptError(`${what} holds no process-shared semaphore. ${hint}`);
}
function namedSemaphoreError(error: unknown, name: string): unknown {
  if (!(error instanceof SystemError)) return error;
  const hints: Record<string, string> = {
    EEXIST: 'Open it, or unlink it if its creator has ended',
    ENOENT: 'It was not created yet, or it was unlinked',
    EACCES: 'It belongs to another user. Create it with a mode that allows this access',
    EPERM: 'It belongs to another user',
    ELOOP: 'It is a symbolic link, which a semaphore never is',
    ENOSPC: 'There is no room left in /dev/shm',
  };
  const hint = hints[errnoName(error.errno)];
  const syscall = { open: 'sem_open', link: 'sem_open', linkat: 'sem_open' }[error.syscall] ?? error.syscall;
  return new SystemError(error.errno, syscall, { path: name, hint });
}
