/**
 * open(2) of a FIFO, which waits for the other side, in a thread of its own; see native/opener.c. If the wait is given up, the effect of
 * the open is undone, and its thread ends.
 */

import type { Deadline } from './deadline.js';
import { EACCES, EAGAIN, EMFILE } from './errno.js';
import { check, TimeoutError } from './errors.js';
import { close } from './file.js';
import { type KeepAlive, program } from './keep-alive.js';
import { constants, native } from './native.js';
import { pollOne } from './poll.js';
import { Readiness } from './readiness.js';

const HINTS: Record<number, string> = {
  [EACCES]: 'Its owner and mode do not allow this access (ls -l shows them)',
  [EAGAIN]: 'The thread that waits for the other side could not be started: too many threads (ulimit -u)',
  [EMFILE]: 'Too many open files: close some, or raise the limit (ulimit -n)',
};

/** The descriptor that open(2) returned, or a `SystemError`. */
export function checkOpen(result: number, path: string): number {
  const hint = HINTS[result];
  return check(result, 'open', { path, hint });
}

/** Opens `path` without blocking the event loop, however long open(2) waits. Check `deadline.signal` before you call it. */
export async function openWaiting(
  path: string,
  flags: number,
  deadline: Deadline,
  keepAlive: KeepAlive = program,
): Promise<number> {
  const event = begin(path, flags);
  const readiness = new Readiness(event, `open of ${path}`, keepAlive);
  try {
    await readiness.readable(deadline);
  } catch (error) {
    readiness.close();
    return giveUp(event, error);
  }
  readiness.close();
  return checkOpen(native.openerFinish(event, false), path);
}
/** Opens `path`; blocks the thread while open(2) waits, but not beyond `deadline`. */
export function openWaitingSync(path: string, flags: number, deadline: Deadline): number {
  const event = begin(path, flags);
  try {
    pollOne(event, constants['POLLIN']!, deadline);
  } catch (error) {
    return giveUp(event, error);
  }
  return checkOpen(native.openerFinish(event, false), path);
}

function begin(path: string, flags: number): number {
  return checkOpen(native.openerStart(path, flags | constants['O_CLOEXEC']!), path);
}
/**
 * Ends the thread. It may have opened the file at the last moment: after a time-out that is the result, because the other side relies on us
 * already; after an abort the caller still gets the abort.
 */
function giveUp(event: number, error: unknown): number {
  const fd = native.openerFinish(event, true);
  if (fd >= 0) {
    if (error instanceof TimeoutError) return fd;
    close(fd);
  }
  throw error;
}
