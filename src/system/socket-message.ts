/** sendmsg(2) and recvmsg(2) with descriptors, unix(7). */

import { checkBytes, checkDescriptor, checkFlags } from './arguments.js';
import { EINTR } from './errno.js';
import { check, invalidArgument } from './errors.js';
import { native } from './native.js';

declare module './native.js' {
  interface Native {
    send(fd: number, view: ArrayBufferView, offset: number, length: number, flags: number): number;
    sendWhole(fd: number, view: ArrayBufferView, flags: number): number;
  }
}

/** The most descriptors that one message can carry (the kernel's SCM_MAX_FD). */
export const MAX_DESCRIPTORS = 253;

const none = new Int32Array(0);
/** Sends bytes and copies of descriptors (on a stream, at least one byte). Blocks if the socket does. */
export function sendmsg(fd: number, bytes: Uint8Array, descriptors: readonly number[] = [], flags = 0): number {
  checkDescriptor('fd', fd);
  checkBytes('bytes', bytes);
  checkFlags('flags', flags);
  if (!Array.isArray(descriptors)) {
    throw invalidArgument('ERR_INVALID_ARG_TYPE', 'descriptors', 'an array of numbers', descriptors);
  }
  for (const descriptor of descriptors) checkDescriptor('descriptors[]', descriptor);
  const rights = descriptors.length === 0 ? none : Int32Array.from(descriptors);
  let result: number;
  do result = native.sendmsg(fd, bytes, 0, bytes.length, rights, flags);
  while (result === EINTR);
  return check(result, 'sendmsg', { path: `fd ${fd}` });
}
const room = new Int32Array(2 + MAX_DESCRIPTORS);
/** Receives bytes and the descriptors that came with them; those are close-on-exec and yours to close. 0 bytes: the end. */
export function recvmsg(
  fd: number,
  bytes: Uint8Array,
  flags = 0,
): {
  /** The number of bytes. */
  length: number;
  /** The descriptors. */
  descriptors: number[];
  /** The kernel's flags: `MSG_TRUNC`, `MSG_CTRUNC`, `MSG_EOR`. */
  flags: number;
} {
  checkDescriptor('fd', fd);
  checkBytes('bytes', bytes);
  checkFlags('flags', flags);
  let result: number;
  do result = native.recvmsg(fd, bytes, 0, bytes.length, room, flags);
  while (result === EINTR);
  const length = check(result, 'recvmsg', { path: `fd ${fd}` });
  return { length, descriptors: Array.from(room.subarray(2, 2 + room[1]!)), flags: room[0]! };
}
