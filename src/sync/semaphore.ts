/**
 * POSIX semaphores that are shared with C: a sem_t in memory, or one that sem_open(3) finds by its name; sem_overview(7).
 *
 * Permits are taken and given here by atomic operations on the 32 bits of the sem_t that hold the value, which mix with those of
 * the C library on 64 bits (the value and the number of waiters), because both see the value as one word. No wake-up is lost:
 * a waiter registers first, by an atomic operation on both words (native/semaphore.c), and looks at the value after; a giver
 * changes the value first, and looks at the waiters after (by an atomic load, or a processor other than x86 could look first). Of
 * the two operations on the value one comes first. If the waiter's does, the giver sees it registered; if the giver's does, the
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
const EVERYBODY = 0x7fffffff;
/** Where sem_open(3) keeps them. */
const FOLDER = '/dev/shm';
const NOTHING = new Int32Array(0);

/**
 * A number of permits that processes take and give. A real sem_t: C programs use the same one by `sem_open`, `sem_wait` and
 * `sem_post`, Python's posix_ipc too.
 *
 * A semaphore has no owner. When a process dies with permits that it took, **they are gone**: nobody can tell who had them, and
 * no later call gives them back. Where that matters, use {@link SysVSemaphore} with `undo`, {@link FileLock} or `Mutex`. A process
 * that is killed while it waits takes nothing with it, and the others go on.
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
  /** The most permits that there can be: SEM_VALUE_MAX. */
  static readonly maximum: number = SEM_VALUE_MAX;
  static {
    readOnly(Semaphore, 'byteLength', 'maximum');
  }

  /** The name it was created or opened by, without a slash; null for one in memory. */
  readonly name: string | null;
  /** The sem_t. */
  readonly #all: Int32Array;
  /** The same where its layout is known, else nothing: then the short ways below are none. */
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
   * Makes a named semaphore with `value` permits, with exactly these permission bits (0600 if not given). It appears whole, and
   * stays until it is unlinked or the machine restarts.
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
      file.publish(semaphorePath(plain)); // last: what fails leaves no name behind
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
   * @throws SystemError `ENOENT`, `EACCES`; CorruptError if it is none
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
  /** Removes a name; false if there was none. Who has the semaphore open keeps it. */
  static unlink(name: string): boolean {
    const plain = checkName('name', name);
    const path = semaphorePath(plain);
    const result = native.shmUnlink(path.slice('/dev/shm'.length));
    if (result === ENOENT) return false;
    if (result < 0) throw namedSemaphoreError(new SystemError(result, 'sem_unlink'), plain);
    return true;
  }
  /**
   * The semaphore at a place in shared memory, which C programs reach by its address. With a `value` it is made there, once, before
   * anybody else uses it (sem_init with `pshared`); without, it must be there.
   *
   * @param offset bytes, a multiple of 8; {@link Semaphore.byteLength} bytes from there are the semaphore's
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

  /** Waits for a permit and takes it. Calls on this object are served in their order. */
  acquire(options?: WaitOptions): Promise<void> {
    return this.#permits.acquire(options, this.#what);
  }
  /** Takes a permit if there is one; false if not, or if calls on this object wait for one. */
  tryAcquire(): boolean {
    if (!this.#permits.idle) return false;
    const words = this.#words;
    const value = words[VALUE]!; // a guess, which the exchange confirms
    if (value > 0 && compareExchange(words, VALUE, value, value - 1) === value) return true;
    return this.#acquire();
  }
  /** Takes a permit; blocks the thread until there is one. It goes before calls on this object that wait. */
  acquireSync(options?: SyncWaitOptions): void {
    if (options === undefined && this.tryAcquire()) return;
    this.#permits.acquireSync(options, this.#what);
  }
  /**
   * Gives permits, also such as were never taken, and wakes those who wait: all of them, because one who alone is woken may be
   * killed before he takes it. (A C program's sem_post wakes one. Waiters here look again each second, so they outlive that too.)
   *
   * @throws SystemError `EOVERFLOW` if there would be more than {@link Semaphore.maximum}; then none is given
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
      if (load(words, WAITERS) !== 0) futexWake(words, VALUE, EVERYBODY);
      return;
    }
    this.#release(count);
  }
  /** Permits that can be taken, at this moment. */
  get value(): number {
    this.#checkOpen();
    if (!layout.known) return check(native.semGetvalue(this.#all, 0), 'sem_getvalue');
    return this.#look();
  }

  /** Removes this semaphore's name; false if it has none (any more). Others may have taken the name since: then theirs goes. */
  unlink(): boolean {
    return this.name !== null && Semaphore.unlink(this.name);
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
  /** Ends this object's use of the semaphore, which stays. Pending calls end with {@link ClosedError}. Idempotent. */
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

  /** {@link tryAcquire}, whatever the state. */
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
  /** {@link release}, whatever the state. */
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
    if (load(this.#words, WAITERS) !== 0) futexWake(this.#words, VALUE, EVERYBODY);
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
    // Memory that was closed under it has no words any more.
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
