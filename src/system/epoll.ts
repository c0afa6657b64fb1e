/** epoll(7): a set of descriptors kept in the kernel, and which of them are ready. */

import { checkDescriptor, checkInteger } from './arguments.js';
import { EINTR } from './errno.js';
import { check, SystemError } from './errors.js';
import { constants, native } from './native.js';

declare module './native.js' {
  interface Native {
    // epoll.c
    epollCreate(flags: number): number;
    epollCtl(epoll: number, operation: number, fd: number, events: number): number;
    epollWait(epoll: number, pairs: ArrayBufferView, most: number, milliseconds: number): number;
  }
}

const EVENT_BYTES = constants['SIZEOF_EPOLL_EVENT']!;

/** A new, empty set. Close-on-exec. */
export function epollCreate(): number {
  return check(native.epollCreate(constants['EPOLL_CLOEXEC']!), 'epoll_create1');
}

const OPERATIONS = { add: 'EPOLL_CTL_ADD', modify: 'EPOLL_CTL_MOD', remove: 'EPOLL_CTL_DEL' } as const;
const HINTS: Readonly<Record<string, string>> = {
  EEXIST: 'It is registered already; use modify() to change its events',
  ENOENT: 'It is not registered; add() it first',
  EPERM: 'Regular files and directories are always ready. epoll does not accept them; use select or poll',
  EBADF: 'The descriptor is not open',
  ELOOP: 'Epoll descriptors must not watch each other in a circle or more than five levels deep',
  ENOSPC: 'The limit of /proc/sys/fs/epoll/max_user_watches is reached',
  EINVAL:
    'An epoll cannot watch itself, and an exclusive registration can be neither modified, nor one-shot, nor of another epoll',
};
/** Changes the set: `events` are `constants.EPOLL…`. */
export function epollCtl(epoll: number, operation: keyof typeof OPERATIONS, fd: number, events = 0): void {
  checkDescriptor('epoll', epoll);
  checkInteger('events', events, 0, 0xffffffff);
  const result = native.epollCtl(epoll, constants[OPERATIONS[operation]]!, checkDescriptor('fd', fd), events);
  if (result >= 0) return;
  const error = new SystemError(result, 'epoll_ctl', { path: `fd ${fd}` });
  const hint = HINTS[error.code];
  throw hint === undefined ? error : new SystemError(result, 'epoll_ctl', { path: `fd ${fd}`, hint });
}
/** The memory for `most` events of {@link epollWait}. */
export function epollRoom(most: number): Int32Array {
  return new Int32Array(Math.ceil((most * EVENT_BYTES) / 4));
}
/**
 * Writes the ready descriptors into `pairs` (created by {@link epollRoom}), each with its `EPOLL…` bits. Returns their number: 0 when
 * `milliseconds` (-1: no limit) are over or a signal came.
 */
export function epollWait(epoll: number, pairs: Int32Array, most: number, milliseconds: number): number {
  const result = native.epollWait(epoll, pairs, most, milliseconds);
  return result === EINTR ? 0 : check(result, 'epoll_wait', { path: `fd ${epoll}` });
}
