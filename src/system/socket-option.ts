/** getsockopt(2), setsockopt(2): the options that are an integer, and the credentials of the peer. */
import { checkDescriptor } from './arguments.js';
import { check } from './errors.js';
import { native } from './native.js';

declare module './native.js' {
  interface Native {
    getsockopt(fd: number, level: number, option: number, out: ArrayBufferView): number;
    setsockopt(fd: number, level: number, option: number, value: number): number;
    peerCredentials(fd: number, out: Float64Array): number;
  }
}

const value = new Int32Array(1);
/** `getsockopt(fd, constants.SOL_SOCKET, constants.SO_SNDBUF)` */
export function getsockopt(fd: number, level: number, option: number): number {
  check(native.getsockopt(checkDescriptor('fd', fd), level, option, value), 'getsockopt', { path: `fd ${fd}` });
  return value[0]!;
}
/** setsockopt(2), of an option that is an `int`. */
export function setsockopt(fd: number, level: number, option: number, to: number): void {
  check(native.setsockopt(checkDescriptor('fd', fd), level, option, to), 'setsockopt', { path: `fd ${fd}` });
}

/** The credentials of a process when it connected, listened or created the pair. The kernel reports them, so the peer cannot forge them. */
export interface Credentials {
  /** Process id; 0 for a process outside of this one's pid namespace. */
  pid: number;
  /** Effective user id. */
  uid: number;
  /** Effective group id. */
  gid: number;
}
const credentials = new Float64Array(3);
/** SO_PEERCRED of a Unix socket; uid 4294967295 where there is no peer. */
export function peerCredentials(fd: number): Credentials {
  check(native.peerCredentials(checkDescriptor('fd', fd), credentials), 'getsockopt', { path: `fd ${fd}` });
  return { pid: credentials[0]!, uid: credentials[1]!, gid: credentials[2]! };
}
