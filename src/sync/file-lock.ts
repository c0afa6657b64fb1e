/**
 * Locks on a file, which the kernel keeps, and releases when their process dies: open file description locks, fcntl(2).
 *
 * A FileLock has one open file. The kernel never lets the locks of one open file conflict: a second lock on the same bytes would silently
 * join the first, or change it. So requests on one object queue up here, and only the first one asks the kernel. The invariant: the kernel
 * has locked for this open file exactly what the guards in `#held` cover, and what a helper thread was granted whose end was not seen yet.
 */

import { mayGoOn, nextTurn } from '../system/cooperative-budget.js';
import { Deadline, type SyncWaitOptions, type WaitOptions } from '../system/deadline.js';
import { closed, closeIfOwned, type Remains, whenDropped } from '../system/dropped.js';
import { EDEADLK, EINTR } from '../system/errno.js';
import { ClosedError, SystemError } from '../system/errors.js';
import { close } from '../system/file.js';
import {
  type FileLockKind,
  finishFileLock,
  lockError,
  setFileLock,
  setFileLockWait,
  startFileLock,
} from '../system/file-lock.js';
import { HelperWait } from '../system/helper-wait.js';
import { KeepAlive } from '../system/keep-alive.js';
import { native } from '../system/native.js';
import { own } from '../system/owned-descriptor.js';
import { readOnly } from '../system/read-only.js';
import { FileGuard } from './file-guard.js';
import { notHeld } from './guard.js';
import { type FileLockOpenOptions, openLockFile } from './lock-file.js';
import { checkRange, LOCK_OPTIONS, lengthOf, overlap, type Range, type RangeOptions, without } from './range.js';

export type { FileLockKind };

/** A request in the queue. */
interface Request extends Range {
  readonly kind: FileLockKind;
  /** The thread that waits in the kernel for it. Without one, it waits behind other requests of this object. */
  wait: HelperWait | undefined;
  resolve(guard: FileGuard): void;
  reject(error: unknown): void;
}

/** FileLocks that hold a lock. A program that drops both guard and lock still holds the file lock, until it ends. */
const holders = new Set<FileLock>();

/**
 * A lock on a file, or on ranges of it: shared by any number, or exclusive. The lock is advisory: it stops only programs that lock too, and
 * does not block reads or writes. Every FileLock excludes every other one, in this process as in others, and so do the locks of any program
 * that uses fcntl(2) (C's `F_SETLK` and `lockf`, Python's `fcntl.lockf`, SQLite). Locks of flock(2) are independent of these.
 *
 * When a holder dies, in whatever way, the kernel releases its locks and grants them to the next waiter. It does not report the death, and
 * what the holder was writing may be half written: {@link Guard.ownerDied} is always false here. A child process inherits no locks. When a
 * Worker ends, its locks are released too.
 *
 * Several calls on one object: shared locks overlap freely; all other requests are served in order. The kernel does not detect deadlocks
 * between processes for these locks, so pass a `timeout`.
 *
 * On NFS the server keeps the locks for the whole client. Two FileLocks of one machine still exclude each other.
 *
 * @example
 * ```ts
 * import { FileLock } from 'vecino';
 *
 * using lock = FileLock.open('example.lock', { create: true });
 * {
 *   using guard = await lock.exclusive({ timeout: 1000 });
 *   console.log(guard.kind); // exclusive
 * }
 * console.log(lock.tryShared({ start: 0, length: 100 }) !== null); // true
 * ```
 */
export class FileLock implements Disposable {
  /** The path that it was opened with. */
  readonly path: string;
  readonly #fd: number;
  readonly #held = new Set<FileGuard>();
  #requests: Request[] = [];
  readonly #keepAlive = new KeepAlive();
  readonly #remains: Remains;
  #closed = false;

  private constructor(path: string, fd: number) {
    this.path = path;
    readOnly(this, 'path');
    this.#fd = fd;
    const serial = own(fd);
    this.#remains = { what: `file lock '${path}'`, abandon: () => closeIfOwned(fd, serial) };
    whenDropped(this, this.#remains);
  }

  /**
   * Opens a file for locking; its content does not matter. Locks are on the file, not on its name: do not delete a lock file or rename
   * another file over it, or newcomers lock a new file while the old one is still locked.
   *
   * @throws SystemError `ENOENT` without `create`, `EACCES`, `EISDIR`; `EINVAL` if it is not a regular file
   */
  static open(path: string, options: FileLockOpenOptions = {}): FileLock {
    const fd = openLockFile(path, options);
    try {
      return new FileLock(path, fd);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  /** Waits for a shared lock, without blocking the event loop. Needs no permission to write. */
  shared(options?: RangeOptions & WaitOptions): Promise<FileGuard> {
    return this.#lock('shared', options);
  }
  /** Returns a shared lock if it is available at once, or `null` (also if other calls on this object wait for it). */
  tryShared(options?: RangeOptions): FileGuard | null {
    return this.#try('shared', options);
  }
  /** As {@link FileLock.shared}, but blocks the thread. See {@link FileLock.exclusiveSync}. */
  sharedSync(options?: RangeOptions & SyncWaitOptions): FileGuard {
    return this.#lockSync('shared', options);
  }
  /** Waits for an exclusive lock, without blocking the event loop. */
  exclusive(options?: RangeOptions & WaitOptions): Promise<FileGuard> {
    return this.#lock('exclusive', options);
  }
  /** Returns an exclusive lock if it is available at once, or `null` (also if other calls on this object wait for it). */
  tryExclusive(options?: RangeOptions): FileGuard | null {
    return this.#try('exclusive', options);
  }
  /**
   * As {@link FileLock.exclusive}, but blocks the thread. It goes before the asynchronous calls on this object, which cannot be served
   * meanwhile.
   *
   * @throws SystemError `EDEADLK` if a guard of this object holds the range: the blocked thread could never release it
   */
  exclusiveSync(options?: RangeOptions & SyncWaitOptions): FileGuard {
    return this.#lockSync('exclusive', options);
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
  /** Releases all locks, ends all waits with {@link ClosedError} and closes the file. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closed(this.#remains);
    const requests = this.#requests;
    this.#requests = [];
    for (const { wait } of requests) if (wait !== undefined) finishFileLock(wait.leave(), true);
    this.#held.clear();
    holders.delete(this);
    native.close(this.#fd); // even if other code has closed it already
    for (const { reject } of requests) reject(this.#closedError());
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  async #lock(kind: FileLockKind, options?: RangeOptions & WaitOptions): Promise<FileGuard> {
    const range = checkRange(options);
    const deadline = new Deadline(`${kind} lock of '${this.path}'`, options, LOCK_OPTIONS);
    if (deadline.signal?.aborted) throw deadline.signal.reason;
    this.#checkOpen();
    if (!mayGoOn()) await nextTurn();
    this.#checkOpen();
    if (!this.#inTheWay(range, kind) && this.#attempt(kind, range)) return this.#grant(kind, range);
    if (deadline.signal?.aborted) throw deadline.signal.reason;
    if (deadline.expired) throw deadline.error();
    return new Promise((resolve, reject) => {
      const callOff = deadline.onEnd((error) => {
        this.#leave(request);
        request.reject(error);
      });
      const request: Request = {
        ...range,
        kind,
        wait: undefined,
        resolve: (guard) => {
          callOff();
          this.#keepAlive.end();
          resolve(guard);
        },
        reject: (error) => {
          callOff();
          this.#keepAlive.end();
          reject(error);
        },
      };
      this.#keepAlive.begin();
      this.#requests.push(request);
      this.#serve();
    });
  }
  #try(kind: FileLockKind, options?: RangeOptions): FileGuard | null {
    const range = checkRange(options);
    this.#checkOpen();
    if (this.#inTheWay(range, kind) || !this.#attempt(kind, range)) return null;
    return this.#grant(kind, range);
  }
  #lockSync(kind: FileLockKind, options?: RangeOptions & SyncWaitOptions): FileGuard {
    const range = checkRange(options);
    const deadline = new Deadline(`${kind} lock of '${this.path}'`, { timeout: options?.timeout });
    this.#checkOpen();
    try {
      this.#recall(range, kind);
      if (this.#inTheWay(range, kind, 0)) {
        throw new SystemError(EDEADLK, 'fcntl', {
          path: this.path,
          hint: 'This FileLock holds a lock on that range already, and a blocked thread could never release it',
        });
      }
      if (!this.#attempt(kind, range)) {
        this.#named(() => setFileLockWait(this.#fd, kind, range.start, lengthOf(range), deadline));
      }
      return this.#grant(kind, range);
    } finally {
      this.#serve();
    }
  }

  /** Whether a lock of this object, or one of the first `count` requests, must come first. */
  #inTheWay(range: Range, kind: FileLockKind, count: number = this.#requests.length): boolean {
    const clashes = (other: Range & { kind: FileLockKind }) =>
      (kind === 'exclusive' || other.kind === 'exclusive') && overlap(range, other);
    for (const guard of this.#held) if (clashes(guard)) return true;
    for (let i = 0; i < count; i++) if (clashes(this.#requests[i]!)) return true;
    return false;
  }
  #attempt(kind: FileLockKind, range: Range): boolean {
    return this.#named(() => setFileLock(this.#fd, kind, range.start, lengthOf(range)));
  }
  #named<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw error instanceof SystemError ? lockError(error.errno, this.path) : error;
    }
  }
  #grant(kind: FileLockKind, range: Range): FileGuard {
    const guard: FileGuard = new FileGuard(kind, range, {
      held: () => this.#held.has(guard),
      release: () => this.#release(guard),
      change: (to, changed) => this.#change(guard, to, changed),
    });
    this.#held.add(guard);
    holders.add(this);
    return guard;
  }
  #release(guard: FileGuard): void {
    if (this.#closed) return;
    if (!this.#held.has(guard)) throw notHeld();
    this.#recall(guard, 'exclusive'); // a lock that our thread is being granted must not be released with it
    this.#held.delete(guard);
    if (this.#held.size === 0) holders.delete(this);
    this.#unlock(guard);
    this.#serve();
  }
  #unlock(range: Range): void {
    for (const part of without(range, this.#held)) setFileLock(this.#fd, 'none', part.start, lengthOf(part));
  }
  #change(guard: FileGuard, kind: FileLockKind, changed: () => void): boolean {
    this.#checkOpen();
    if (!this.#held.has(guard)) throw notHeld();
    if (kind === guard.kind) return true;
    try {
      if (kind === 'exclusive') {
        this.#recall(guard, kind);
        for (const other of this.#held) if (other !== guard && overlap(other, guard)) return false;
      }
      if (!this.#attempt(kind, guard)) return false;
      changed();
      return true;
    } finally {
      this.#serve();
    }
  }

  /** Serves the queue: asks the kernel for each request that has none before it, and starts a thread where the kernel says no. */
  #serve(): void {
    for (let i = 0; i < this.#requests.length; i++) {
      const request = this.#requests[i]!;
      if (request.wait === undefined && !this.#inTheWay(request, request.kind, i)) {
        try {
          if (this.#attempt(request.kind, request)) {
            this.#requests.splice(i--, 1);
            request.resolve(this.#grant(request.kind, request));
            continue;
          }
          const event = startFileLock(this.#fd, request.kind, request.start, lengthOf(request));
          request.wait = new HelperWait(event, (error) => this.#ended(request, error));
        } catch (error) {
          this.#requests.splice(i--, 1);
          request.reject(error);
          continue;
        }
      }
      // No request passes one that wants the whole file exclusively.
      if (request.kind === 'exclusive' && request.start === 0 && request.end === Number.POSITIVE_INFINITY) return;
    }
  }
  /** The request's thread has ended, or (with `error`) the wait for its end failed. */
  #ended(request: Request, error: unknown): void {
    const result = finishFileLock(request.wait!.leave(), error !== undefined);
    request.wait = undefined;
    if (error !== undefined && result < 0) {
      this.#requests.splice(this.#requests.indexOf(request), 1);
      request.reject(error);
    } else this.#settle(request, result);
    this.#serve();
  }
  #settle(request: Request, result: number): void {
    if (result === EINTR) return; // stays in the queue
    this.#requests.splice(this.#requests.indexOf(request), 1);
    if (result >= 0) request.resolve(this.#grant(request.kind, request));
    else request.reject(lockError(result, this.path));
  }
  /** Interrupts the threads that wait for a lock that overlaps `range` and conflicts with `kind`. A lock that was granted first is kept. */
  #recall(range: Range, kind: FileLockKind): void {
    for (const request of [...this.#requests]) {
      if (request.wait === undefined || !overlap(range, request)) continue;
      if (kind === 'shared' && request.kind === 'shared') continue;
      const result = finishFileLock(request.wait.leave(), true);
      request.wait = undefined;
      this.#settle(request, result);
    }
  }
  /** Removes a request from the queue, with nothing locked for it. */
  #leave(request: Request): void {
    this.#requests.splice(this.#requests.indexOf(request), 1);
    const { wait } = request;
    request.wait = undefined;
    if (wait !== undefined && finishFileLock(wait.leave(), true) >= 0) {
      this.#recall(request, 'exclusive');
      this.#unlock(request);
    }
    this.#serve();
  }
  #checkOpen(): void {
    if (this.#closed) throw this.#closedError();
  }
  #closedError(): ClosedError {
    return new ClosedError(`lock of '${this.path}'`);
  }
}
