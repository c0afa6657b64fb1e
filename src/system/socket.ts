/** socket(2), socketpair(2), bind(2), listen(2), accept4(2), connect(2), getsockname(2), getpeername(2), shutdown(2). */

import { checkDescriptor, checkFlags, checkInteger } from './arguments.js';
import { EINTR } from './errno.js';
import { check, invalidArgument, type SystemErrorContext } from './errors.js';
import { constants, native } from './native.js';

export { MAX_DESCRIPTORS, recvmsg, sendmsg } from './socket-message.js';

declare module './native.js' {
  interface Native {
    socket(domain: number, type: number): number;
    bind(fd: number, address: ArrayBufferView): number;
    connect(fd: number, address: ArrayBufferView): number;
    listen(fd: number, backlog: number): number;
    accept4(fd: number, flags: number): number;
    getsockname(fd: number, out: ArrayBufferView): number;
    getpeername(fd: number, out: ArrayBufferView): number;
    shutdown(fd: number, how: number): number;
    sendto(fd: number, bytes: ArrayBufferView, flags: number, address: ArrayBufferView): number;
  }
}
const CLOEXEC = constants['SOCK_CLOEXEC']!;

/** `stream`: bytes in order. `seqpacket`: messages in order. `datagram`: messages without a connection. */
export type SocketType = 'stream' | 'seqpacket' | 'datagram';
const types: Record<SocketType, number> = {
  stream: constants['SOCK_STREAM']!,
  seqpacket: constants['SOCK_SEQPACKET']!,
  datagram: constants['SOCK_DGRAM']!,
};
const domains = { unix: constants['AF_UNIX']!, ipv4: constants['AF_INET']!, ipv6: constants['AF_INET6']! };

function kindOf(type: SocketType): number {
  if (typeof type === 'string' && Object.hasOwn(types, type)) return types[type];
  throw invalidArgument('ERR_INVALID_ARG_VALUE', 'type', "'stream', 'seqpacket' or 'datagram'", type);
}

/** Creates a socket, close-on-exec. `flags`: `SOCK_NONBLOCK`. */
export function socket(domain: keyof typeof domains, type: SocketType, flags = 0): number {
  const bits = kindOf(type) | CLOEXEC | checkFlags('flags', flags);
  return check(native.socket(domains[domain] ?? -1, bits), 'socket');
}
const pair = new Int32Array(2);
/** Creates two connected Unix sockets, close-on-exec. */
export function socketpair(type: SocketType, flags = 0): [number, number] {
  check(native.socketpair(domains.unix, kindOf(type) | CLOEXEC | checkFlags('flags', flags), pair), 'socketpair');
  return [pair[0]!, pair[1]!];
}
/** Gives a socket its address: the bytes of a sockaddr, see {@link unixAddress} and {@link inetAddress}. */
export function bind(fd: number, address: Uint8Array, context: SystemErrorContext = { path: `fd ${fd}` }): void {
  check(native.bind(checkDescriptor('fd', fd), address), 'bind', context);
}
/** Makes a bound socket listen; `backlog` connections can wait until they are accepted. */
export function listen(fd: number, backlog: number): void {
  check(native.listen(checkDescriptor('fd', fd), checkInteger('backlog', backlog, 0, 0x7fffffff)), 'listen', {
    path: `fd ${fd}`,
  });
}
/** The next connection, close-on-exec; `flags`: `SOCK_NONBLOCK`. Blocks if the listening socket does. */
export function accept4(fd: number, flags = 0): number {
  let result: number;
  do result = native.accept4(checkDescriptor('fd', fd), CLOEXEC | checkFlags('flags', flags));
  while (result === EINTR);
  return check(result, 'accept4', { path: `fd ${fd}` });
}
/** Connects. A non-blocking TCP socket answers `EINPROGRESS` and is writable when done (`SO_ERROR` has the result). */
export function connect(fd: number, address: Uint8Array, context: SystemErrorContext = { path: `fd ${fd}` }): void {
  check(native.connect(checkDescriptor('fd', fd), address), 'connect', context);
}
const name = new Uint8Array(128);
/** The socket's own address, as bytes of a sockaddr. */
export function getsockname(fd: number): Uint8Array {
  return name.slice(0, check(native.getsockname(checkDescriptor('fd', fd), name), 'getsockname', { path: `fd ${fd}` }));
}
/** The address of the socket it is connected to. */
export function getpeername(fd: number): Uint8Array {
  return name.slice(0, check(native.getpeername(checkDescriptor('fd', fd), name), 'getpeername', { path: `fd ${fd}` }));
}
/** Ends one direction of a connection, or both: `SHUT_RD`, `SHUT_WR`, `SHUT_RDWR`. */
export function shutdown(fd: number, how: number): void {
  check(native.shutdown(checkDescriptor('fd', fd), checkInteger('how', how, 0, 2)), 'shutdown', { path: `fd ${fd}` });
}
