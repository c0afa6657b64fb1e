/** socketpair(2); sendmsg(2) and recvmsg(2) with descriptors, unix(7). */
import { checkBytes, checkDescriptor } from './arguments.js';
import { check, errno } from './errors.js';
import { constants, native } from './native.js';

const EINTR = -errno['EINTR']!;
/** The most descriptors that one message can carry (the kernel's SCM_MAX_FD). */
export const MAX_DESCRIPTORS = 253;

const pair = new Int32Array(2);
/** Two connected Unix sockets, close-on-exec. */
export function socketpair(type: 'stream' | 'datagram' | 'seqpacket', flags = 0): [number, number] {
  const kind = { stream: 'SOCK_STREAM', datagram: 'SOCK_DGRAM', seqpacket: 'SOCK_SEQPACKET' }[type];
  check(
    native.socketpair(constants['AF_UNIX']!, constants[kind]! | constants['SOCK_CLOEXEC']! | flags, pair),
    'socketpair',
  );
  return [pair[0]!, pair[1]!];
}
const none = new Int32Array(0);
/** Sends bytes and copies of descriptors (at least one byte must go with them on a stream). Blocks if the socket does. */
export function sendmsg(fd: number, bytes: Uint8Array, descriptors: readonly number[] = [], flags = 0): number {
  checkDescriptor('fd', fd);
  checkBytes('bytes', bytes);
  for (const descriptor of descriptors) checkDescriptor('descriptors[]', descriptor);
  const rights = descriptors.length === 0 ? none : Int32Array.from(descriptors);
  let result: number;
  do result = native.sendmsg(fd, bytes, 0, bytes.length, rights, flags);
  while (result === EINTR);
  return check(result, 'sendmsg', { path: `fd ${fd}` });
}
const room = new Int32Array(2 + MAX_DESCRIPTORS);
/** Receives bytes and the descriptors that came with them; those are close-on-exec and the caller's to close. 0 bytes: the end. */
export function recvmsg(
  fd: number,
  bytes: Uint8Array,
  flags = 0,
): { length: number; descriptors: number[]; flags: number } {
  checkDescriptor('fd', fd);
  checkBytes('bytes', bytes);
  let result: number;
  do result = native.recvmsg(fd, bytes, 0, bytes.length, room, flags);
  while (result === EINTR);
  const length = check(result, 'recvmsg', { path: `fd ${fd}` });
  return { length, descriptors: Array.from(room.subarray(2, 2 + room[1]!)), flags: room[0]! };
}
