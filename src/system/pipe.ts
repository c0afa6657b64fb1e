/** pipe2(2), mkfifo(3). */

import { checkFlags, checkMode, checkPath } from './arguments.js';
import { EEXIST } from './errno.js';
import { check } from './errors.js';
import { constants, native } from './native.js';

const pair = new Int32Array(2);
/**
 * Creates a pipe. Returns the descriptors of its reading and its writing end, both close-on-exec, both blocking unless `flags` say
 * otherwise.
 */
export function pipe2(flags = 0): [reader: number, writer: number] {
  check(native.pipe2(pair, checkFlags('flags', flags) | constants['O_CLOEXEC']!), 'pipe2');
  return [pair[0]!, pair[1]!];
}
/** Creates a FIFO; the umask applies. */
export function mkfifo(path: string, mode = 0o600): void {
  const result = native.mkfifo(checkPath('path', path), checkMode('mode', mode));
  if (result === 0) return;
  const hint = result === EEXIST ? 'A file with that name exists already; open it, or remove it' : undefined;
  check(result, 'mkfifo', { path, hint });
}
