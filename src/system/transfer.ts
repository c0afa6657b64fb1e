/** read(2), write(2), sendfile(2), splice(2), copy_file_range(2). EINTR is retried; handle short counts yourself. */

import { checkBytes, checkDescriptor, checkFlags, checkInteger } from './arguments.js';
import { EINTR } from './errno.js';
import { check } from './errors.js';
import { native } from './native.js';

/** Reads into `bytes[offset…offset+length)`. 0 at the end of the file. Blocks if the descriptor does. */
export function read(fd: number, bytes: Uint8Array, offset = 0, length: number = bytes.length - offset): number {
  checkRange(fd, bytes, offset, length);
  let count: number;
  do count = native.read(fd, bytes, offset, length);
  while (count === EINTR);
  return check(count, 'read', { path: `fd ${fd}` });
}
/** Writes from `bytes[offset…offset+length)` and returns how many bytes were written. Blocks if the descriptor does. */
export function write(fd: number, bytes: Uint8Array, offset = 0, length: number = bytes.length - offset): number {
  checkRange(fd, bytes, offset, length);
  let count: number;
  do count = native.write(fd, bytes, offset, length);
  while (count === EINTR);
  return check(count, 'write', { path: `fd ${fd}` });
}
function checkRange(fd: number, bytes: Uint8Array, offset: number, length: number): void {
  checkDescriptor('fd', fd);
  checkBytes('bytes', bytes);
  checkInteger('offset', offset, 0, bytes.length);
  checkInteger('length', length, 0, bytes.length - offset);
}

/** Moves up to `count` bytes within the kernel from a file to any descriptor. 0 at the end of the file. */
export function sendfile(out: number, from: number, count: number): number {
  return move('sendfile', out, from, count, () => native.sendfile(out, from, count));
}
/** Moves up to `count` bytes within the kernel; one side must be a pipe. 0 at the end. */
export function splice(from: number, out: number, count: number, flags = 0): number {
  checkFlags('flags', flags);
  return move('splice', out, from, count, () => native.splice(from, out, count, flags));
}
/** Copies up to `count` bytes within the kernel between two files, at both files' own offsets. 0 at the end of `from`. */
export function copyFileRange(from: number, out: number, count: number): number {
  return move('copy_file_range', out, from, count, () => native.copyFileRange(from, out, count));
}
function move(syscall: string, out: number, from: number, count: number, call: () => number): number {
  checkDescriptor('out', out);
  checkDescriptor('from', from);
  checkInteger('count', count, 0);
  let moved: number;
  do moved = call();
  while (moved === EINTR);
  return check(moved, syscall, { path: `fd ${from} to fd ${out}` });
}
