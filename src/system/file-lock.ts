/** Open-file-description locks, fcntl(2): F_OFD_SETLK, F_OFD_SETLKW. */

import { checkDescriptor, checkInteger } from './arguments.js';
import { Deadline, type SyncWaitOptions } from './deadline.js';
import { EACCES, EAGAIN, EINTR, ENOENT } from './errno.js';
import { errnoName, invalidArgument, SystemError } from './errors.js';
import { constants, native } from './native.js';
import { pollOne } from './poll.js';

declare module './native.js' {
  interface Native {
    // file_lock.c
    fileLock(fd: number, command: number, type: number, start: number, length: number): number;
    fileLockTest(fd: number, start: number, length: number): number;
    fileLockStart(fd: number, type: number, start: number, length: number): number;
    fileLockFinish(event: number, cancel: boolean): number;
  }
}

const F_OFD_SETLK = constants['F_OFD_SETLK']!;
const F_OFD_SETLKW = constants['F_OFD_SETLKW']!;
const POLLIN = constants['POLLIN']!;

/** `shared`: other shared locks are possible beside it. `exclusive`: no other lock is. */
export type FileLockKind = 'shared' | 'exclusive';
const types = {
  shared: constants['F_RDLCK']!,
  exclusive: constants['F_WRLCK']!,
  none: constants['F_UNLCK']!,
} as const;

/**
 * Locks `length` bytes from `start` (0: to the end, however far the file grows), or changes the kind of a lock of this open file; `none`
 * unlocks. False if another open file's lock conflicts.
 */
export function setFileLock(fd: number, kind: FileLockKind | 'none', start: number, length: number): boolean {
  check(fd, kind, start, length);
  for (;;) {
    const result = native.fileLock(fd, F_OFD_SETLK, types[kind], start, length);
    if (result >= 0) return true;
    if (result === EAGAIN || result === EACCES) return false;
    if (result !== EINTR) throw lockError(result, `fd ${fd}`);
  }
}
/**
 * Tests whether another open file holds a lock within the range. Returns the first locked byte (the kernel reports the beginning of the
 * lock, which may be before `start`), or -1 if there is none. F_OFD_GETLK.
 */
export function testFileLock(fd: number, start: number, length: number): number {
  check(fd, 'exclusive', start, length);
  for (;;) {
    const result = native.fileLockTest(fd, start, length);
    if (result >= 0) return result;
    if (result === ENOENT) return -1;
    if (result !== EINTR) throw lockError(result, `fd ${fd}`);
  }
}
/** As {@link setFileLock}, but blocks the thread until it has the lock. The kernel detects no deadlock between such locks. */
export function setFileLockWait(
  fd: number,
  kind: FileLockKind,
  start: number,
  length: number,
  options?: SyncWaitOptions | Deadline,
): void {
  check(fd, kind, start, length);
  const deadline = options instanceof Deadline ? options : new Deadline(`lock fd ${fd}`, options);
  let result: number;
  if (deadline.remaining() === Number.POSITIVE_INFINITY && deadline.block() < 0) {
    do result = native.fileLock(fd, F_OFD_SETLKW, types[kind], start, length);
    while (result === EINTR);
  } else {
    // The call has no time limit of its own: a thread makes it, and can be interrupted.
    const event = startFileLock(fd, kind, start, length);
    let late: unknown;
    try {
      pollOne(event, POLLIN, deadline);
    } catch (error) {
      late = error;
    }
    result = finishFileLock(event, late !== undefined);
    if (result === EINTR && late !== undefined) throw late;
  }
  if (result < 0) throw lockError(result, `fd ${fd}`);
}

/** Starts a helper thread that waits for the lock. Returns the eventfd that becomes readable when it has ended. */
export function startFileLock(fd: number, kind: FileLockKind, start: number, length: number): number {
  const event = native.fileLockStart(fd, types[kind], start, length);
  if (event >= 0) return event;
  throw new SystemError(event, 'pthread_create', {
    hint: 'Each pending lock needs a thread and a file descriptor',
  });
}
/** Ends the wait, interrupting it if `cancel`. Returns 0 if it has the lock (also when cancelled too late), or an errno negated. */
export function finishFileLock(event: number, cancel: boolean): number {
  return native.fileLockFinish(event, cancel);
}

const hints: Record<string, string> = {
  EBADF: 'An exclusive lock needs a file opened for writing, a shared lock one opened for reading',
  ENOLCK: 'The kernel, or the lock service of a network file system, has no memory for another lock',
  EINVAL: 'The file system, or a kernel before Linux 3.15, does not support open file description locks',
  EOVERFLOW: 'The range ends beyond what the file system can address',
};
/** The error of a lock that failed for another reason than a conflict. */
export function lockError(result: number, path: string): SystemError {
  const hint = hints[errnoName(result)];
  return new SystemError(result, 'fcntl', { path, hint });
}
function check(fd: number, kind: unknown, start: number, length: number): void {
  checkDescriptor('fd', fd);
  if (typeof kind !== 'string' || !Object.hasOwn(types, kind))
    throw invalidArgument('ERR_INVALID_ARG_VALUE', 'kind', "'shared', 'exclusive' or 'none'", kind);
  checkInteger('start', start, 0);
  checkInteger('length', length, 0, Number.MAX_SAFE_INTEGER - start);
}
