/**
 * Locks on a file that the kernel keeps and, when their process dies, releases: open-file-description locks, fcntl(2).
 *
 * A FileLock has one open file, and the kernel lets nobody's lock stand in its own way: a second lock on the same bytes would
 * silently become part of the first, or change it. So whoever locks through the same object stands in a line here, and only the
 * one in front goes to the kernel. The rule that all of this keeps: the kernel has locked for this open file exactly what the
 * guards in `#held` cover, and what a helper thread has been granted whose end was not seen yet.
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

/** Somebody in the line. */
interface Request extends Range {
  readonly kind: FileLockKind;
  /** The thread that waits in the kernel for it; without one, it stands behind others of this object. */
  wait: HelperWait | undefined;
  resolve(guard: FileGuard): void;
  reject(error: unknown): void;
}

/** Those that hold a lock. Who locks a file for as long as the program runs may keep neither guard nor lock: it is held until the end all the same. */
const holders = new Set<FileLock>();

/**
 * A lock on a file, or on ranges of it, shared by any number or exclusive. It is advisory: it stops only those who lock too, and
 * neither reads nor writes. Every FileLock excludes every other, in this process as in others, and so do the locks of any
 * program that uses fcntl(2) (C's `F_SETLK` and `lockf`, Python's `fcntl.lockf`, SQLite); those of flock(2) are another kind.
 *
 * When a holder dies, however it dies, the kernel releases its locks and the next waiter has them. It tells nobody, and what the
 * holder was writing may be half written: {@link Guard.ownerDied} is always false here. A child process gets none of
 * it. When a Worker ends, its locks are released too.
 *
 * Several calls on one object: shared locks overlap freely; all else waits its turn, first come first served. There is no
 * detection of deadlocks across processes, the kernel has none for these locks: give a `timeout`.
 *
 * On NFS the server keeps the locks for the whole client; between two FileLocks of one machine they hold all the same.
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
   * Opens a file for locking; what is in it does not matter. Locks are on the file and not on its name: do not delete a lock file
   * or rename another over it, or newcomers lock a new file while the old one is still locked.
   *
   * @throws SystemError `ENOENT` without `create`, `EACCES`, `EISDIR`; `EINVAL` for what is no regular file
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

  /** Waits for a lock that others may share. Needs no permission to write. */
  shared(options?: RangeOptions & WaitOptions): Promise<FileGuard> {
    return this.#lock('shared', options);
  }
  /** A shared lock if it can be had at once, `null` if not (also when others in this line wait for it). */
  tryShared(options?: RangeOptions): FileGuard | null {
    return this.#try('shared', options);
  }
  /** Blocks the thread for a shared lock. See {@link FileLock.exclusiveSync}. */
  sharedSync(options?: RangeOptions & SyncWaitOptions): FileGuard {
    return this.#lockSync('shared', options);
  }
  /** Waits for a lock that excludes all others. */
  exclusive(options?: RangeOptions & WaitOptions): Promise<FileGuard> {
    return this.#lock('exclusive', options);
  }
  /** An exclusive lock if it can be had at once, `null` if not (also when others in this line wait for it). */
  tryExclusive(options?: RangeOptions): FileGuard | null {
    return this.#try('exclusive', options);
  }
  /**
   * Blocks the thread for an exclusive lock. It goes before those of this object that wait asynchronously, who could
   * not be served meanwhile.
   *
   * @throws SystemError `EDEADLK` if a guard of this very object is in the way: blocked, the thread could never release it
   */
  exclusiveSync(options?: RangeOptions & SyncWaitOptions): FileGuard {
    return this.#lockSync('exclusive', options);
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
  /** Releases all that is held, ends all waits with {@link ClosedError}, closes the file. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closed(this.#remains);
    const requests = this.#requests;
    this.#requests = [];
    for (const { wait } of requests) if (wait !== undefined) finishFileLock(wait.leave(), true);
    this.#held.clear();
    holders.delete(this);
    native.close(this.#fd); // also if somebody has closed it behind our back
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

  /** Whether a lock of this object, or one of the first `count` in the line, keeps the kernel from being asked. */
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
    this.#recall(guard, 'exclusive'); // what a thread of ours is being granted there must not be unlocked with it
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

  /** Goes through the line: asks the kernel for those who stand behind nobody, and leaves a thread to wait where it says no. */
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
      // Nobody gets past one who wants the whole file for himself.
      if (request.kind === 'exclusive' && request.start === 0 && request.end === Number.POSITIVE_INFINITY) return;
    }
  }
  /** The request's thread has ended, or (with `error`) its end could not be waited for. */
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
    if (result === EINTR) return; // stays in the line
    this.#requests.splice(this.#requests.indexOf(request), 1);
    if (result >= 0) request.resolve(this.#grant(request.kind, request));
    else request.reject(lockError(result, this.path));
  }
  /** Interrupts the threads that wait for what overlaps with `range` and is no peer of `kind`. What was granted first is granted. */
  #recall(range: Range, kind: FileLockKind): void {
    for (const request of [...this.#requests]) {
      if (request.wait === undefined || !overlap(range, request)) continue;
      if (kind === 'shared' && request.kind === 'shared') continue;
      const result = finishFileLock(request.wait.leave(), true);
      request.wait = undefined;
      this.#settle(request, result);
    }
  }
  /** Out of the line, with nothing locked for it. */
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
