/** Keys of System V objects, svipc(7): ftok(3). */
import { checkInteger, checkPath } from './arguments.js';
import { check, invalidArgument } from './errors.js';
import { constants, native } from './native.js';

declare module './native.js' {
  interface Native {
    // sysv_key.c
    ftok(path: string, project: number, out: Int32Array): number;
  }
}

/**
 * The key of a System V object: a whole number that all programs agree on (chosen, or computed by {@link ftok}), or `'private'` for a new
 * object that has no key and is found only by its id.
 */
export type SysVKey = number | 'private';

const key = new Int32Array(1);
/**
 * Computes a key from a file and a project number, as ftok(3) does in every language: from the low bits of the file's inode and device
 * numbers. So the file must exist, stay, and be the same file for all. Two files may give the same key.
 *
 * @param path an existing file or folder; `SystemError` `ENOENT`, `EACCES`, … if stat(2) cannot see it
 * @param project 1 to 255 (in C often a character, `'A'.charCodeAt(0)`)
 * @returns a key_t: -2147483648 to 2147483647
 *
 * @example
 * ```ts
 * import { ftok, SysVMessageQueue } from 'vecino';
 * using queue = SysVMessageQueue.create(ftok(process.execPath, 7));
 * queue.remove();
 * ```
 */
export function ftok(path: string, project: number): number {
  checkPath('path', path);
  checkInteger('project', project, 1, 255);
  check(native.ftok(path, project, key), 'ftok', { path });
  return key[0]!;
}

/**
 * The key_t of a key: a whole number, signed or unsigned 32 bits (ipcs(1) shows them unsigned), or `'private'`. Not 0, which is IPC_PRIVATE
 * and so means a new object each time; not -1, which is what a failed ftok(3) returns.
 */
export function checkKey(argument: string, value: unknown): number {
  if (value === 'private') return constants['IPC_PRIVATE']!;
  if (typeof value !== 'number') {
    throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, "a number or 'private'", value);
  }
  const number = checkInteger(argument, value, -0x80000000, 0xffffffff) | 0;
  if (number === 0) {
    throw invalidArgument('ERR_INVALID_ARG_VALUE', argument, "a key; 0 is IPC_PRIVATE: pass 'private' for that", value);
  }
  if (number === -1) {
    throw invalidArgument('ERR_INVALID_ARG_VALUE', argument, 'a key; -1 is what a failed ftok(3) returns', value);
  }
  return number;
}
