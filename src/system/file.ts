/** open(2), close(2), dup(2), fcntl(2), fstat(2), ftruncate(2), fallocate(2), fchmod(2), flock(2). Every descriptor is close-on-exec. */

import { readSync, writeSync } from 'node:fs';
import { checkDescriptor, checkFlags, checkInteger, checkMode, checkPath } from './arguments.js';
import { EAGAIN, EINTR } from './errno.js';
import { check, systemError } from './errors.js';
import { constants, native } from './native.js';

declare module './native.js' {
  interface Native {
    flock(fd: number, operation: number): number;
  }
}

/**
 * Opens a file. `flags` are `constants.O_…`; `O_CLOEXEC` is added.
 *
 * Do not open a FIFO without `O_NONBLOCK`: it would block the thread. Use `Fifo`.
 */
export function open(path: string, flags: number, mode = 0o600): number {
  checkPath('path', path);
  let fd: number;
  do fd = native.open(path, checkFlags('flags', flags) | constants['O_CLOEXEC']!, checkMode('mode', mode));
  while (fd === EINTR);
  return check(fd, 'open', { path });
}
/** Closes a descriptor. Never retried: Linux has released it even when close(2) fails with EINTR. */
export function close(fd: number): void {
  const result = native.close(checkDescriptor('fd', fd));
  if (result !== EINTR) check(result, 'close', { path: `fd ${fd}` });
}
/** A second descriptor for the same open file. */
export function dup(fd: number): number {
  return check(native.dup(checkDescriptor('fd', fd)), 'dup', { path: `fd ${fd}` });
}
/** Makes `to` refer to the open file of `from`, atomically; the previous file of `to` is closed. */
export function dup3(from: number, to: number, flags: number = constants['O_CLOEXEC']!): number {
  return check(
    native.dup3(checkDescriptor('from', from), checkDescriptor('to', to), checkFlags('flags', flags)),
    'dup3',
    {
      path: `fd ${from}`,
    },
  );
}
/** fcntl(2) with an integer argument: `F_GETFL`, `F_SETPIPE_SZ`, `F_ADD_SEALS`, … */
export function fcntl(fd: number, command: number, argument = 0): number {
  checkInteger('command', command, 0, 0x7fffffff);
  checkFlags('argument', argument);
  return check(native.fcntl(checkDescriptor('fd', fd), command, argument), 'fcntl', { path: `fd ${fd}` });
}

/** The result of fstat(2). */
export interface FileStatus {
  /** The device that the file is on. */
  device: number;
  /** Its inode number there. */
  inode: number;
  /** Its type and permission bits. */
  mode: number;
  /** The number of its names; 0 once it was removed. */
  links: number;
  /** The user who owns it. */
  uid: number;
  /** The group that owns it. */
  gid: number;
  /** Size in bytes. */
  size: number;
  /** The blocks of 512 bytes that it occupies. */
  blocks: number;
}
const status = new Float64Array(8);
/** fstat(2). */
export function fstat(fd: number): FileStatus {
  check(native.fstat(checkDescriptor('fd', fd), status), 'fstat', { path: `fd ${fd}` });
  const [device, inode, mode, links, uid, gid, size, blocks] = status as unknown as number[];
  return { device, inode, mode, links, uid, gid, size, blocks } as FileStatus;
}
/** Whether a {@link FileStatus} is of a kind: `isKind(status, 'S_IFIFO')`. */
export function isKind(file: FileStatus, kind: 'S_IFREG' | 'S_IFDIR' | 'S_IFIFO' | 'S_IFSOCK' | 'S_IFCHR'): boolean {
  return (file.mode & constants['S_IFMT']!) === constants[kind];
}
/** Sets a file's length. */
export function ftruncate(fd: number, length: number): void {
  check(native.ftruncate(checkDescriptor('fd', fd), checkInteger('length', length, 0)), 'ftruncate', {
    path: `fd ${fd}`,
  });
}
/** Reserves space, so that later writes cannot meet a full disk (nor a mapping SIGBUS). EINTR is retried. */
export function fallocate(fd: number, offset: number, length: number, mode = 0): void {
  checkDescriptor('fd', fd);
  checkInteger('offset', offset, 0);
  checkInteger('length', length, 1);
  checkFlags('mode', mode);
  let result: number;
  do result = native.fallocate(fd, mode, offset, length);
  while (result === EINTR);
  check(result, 'fallocate', { path: `fd ${fd}` });
}
/** Reads up to all of `bytes` at a position of a file; returns how many. `path` is for the error. */
export function pread(fd: number, bytes: Uint8Array, position: number, path: string = `fd ${fd}`): number {
  try {
    return readSync(checkDescriptor('fd', fd), bytes, 0, bytes.length, position);
  } catch (error) {
    throw systemError(error, 'pread', { path });
  }
}
/** Writes all of `bytes` at a position of a file. `path` is for the error. */
export function pwrite(fd: number, bytes: Uint8Array, position: number, path: string = `fd ${fd}`): void {
  try {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(checkDescriptor('fd', fd), bytes, done, bytes.length - done, position + done);
    }
  } catch (error) {
    throw systemError(error, 'pwrite', { path });
  }
}
/** Sets the permission bits, whatever the umask. */
export function fchmod(fd: number, mode: number): void {
  check(native.fchmod(checkDescriptor('fd', fd), checkMode('mode', mode)), 'fchmod', { path: `fd ${fd}` });
}
/**
 * Acquires (`LOCK_EX | LOCK_NB`) or releases (`LOCK_UN`) the lock of an open file or folder. It ends with the last descriptor of that open
 * file, and so with the process. False: another open file holds it.
 */
export function flock(fd: number, operation: number): boolean {
  let result: number;
  do result = native.flock(checkDescriptor('fd', fd), operation);
  while (result === EINTR);
  if (result === EAGAIN) return false;
  check(result, 'flock', { path: `fd ${fd}` });
  return true;
}
/**
 * Gives an open file a name, by linkat(2); `EEXIST` if the name is taken. With `O_TMPFILE` this makes a file appear complete, and a process
 * that dies before leaves nothing. Needs `/proc`.
 */
export function linkDescriptor(fd: number, path: string): void {
  check(native.linkDescriptor(checkDescriptor('fd', fd), checkPath('path', path)), 'linkat', { path });
}
