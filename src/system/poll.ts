/** poll(2): blocks the thread until a descriptor is ready. */

import { checkDescriptor, checkFlags } from './arguments.js';
import { Deadline, type SyncWaitOptions } from './deadline.js';
import { EBADF, EINTR } from './errno.js';
import { check, SystemError } from './errors.js';
import { constants, native } from './native.js';

const POLLIN = constants['POLLIN']!;
const POLLOUT = constants['POLLOUT']!;
const POLLNVAL = constants['POLLNVAL']!;

/** poll(2) accepts any number as a descriptor, and reports invalid ones as an event. */
const notOpen = (fd: number) => new SystemError(EBADF, 'poll', { path: `fd ${fd}` });

/** Blocks until one of `events` (or an error or hang-up) holds on `fd`, and returns it. Throws `TimeoutError` when the time is up. */
export function pollOne(fd: number, events: number, deadline: Deadline): number {
  for (;;) {
    const result = native.pollOne(fd, events, deadline.block());
    if (result === POLLNVAL) throw notOpen(fd);
    if (result > 0) return result;
    if (result < 0 && result !== EINTR) check(result, 'poll', { path: `fd ${fd}` });
  }
}
/** The events that hold on `fd` now, without waiting: a set of `POLL…` bits, 0 for none. */
export function pollNow(fd: number, events: number): number {
  checkDescriptor('fd', fd);
  checkFlags('events', events);
  let result: number;
  do result = native.pollOne(fd, events, 0);
  while (result === EINTR);
  if (result === POLLNVAL) throw notOpen(fd);
  return check(result, 'poll', { path: `fd ${fd}` });
}
/** Blocks the thread until `fd` can be read without blocking, is at its end, or has failed. */
export function readableSync(fd: number, options?: SyncWaitOptions): void {
  pollOne(checkDescriptor('fd', fd), POLLIN, new Deadline(`wait until fd ${fd} is readable`, options));
}
/** Blocks the thread until `fd` can be written without blocking, or has failed. */
export function writableSync(fd: number, options?: SyncWaitOptions): void {
  pollOne(checkDescriptor('fd', fd), POLLOUT, new Deadline(`wait until fd ${fd} is writable`, options));
}
