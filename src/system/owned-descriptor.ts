/**
 * The owner of a descriptor. All descriptors that a thread creates or takes over belong to it until they are closed or given away, and are
 * closed when the thread ends, in whatever way. A terminated worker runs no more code of its own, and its locks, seats and addresses would
 * stay taken for as long as the process lives.
 *
 * The calls of this folder register their descriptors in the same native call, and `close` removes them: nothing is left to do here.
 */
import { checkDescriptor } from './arguments.js';
import { SystemError } from './errors.js';
import { native } from './native.js';

declare module './native.js' {
  interface Native {
    // owned_descriptor.c
    own(fd: number): number;
    disown(fd: number): number;
    owns(fd: number, serial: number): number;
  }
}

/** Takes over a descriptor, whoever created it. The result is for {@link owns}. */
export function own(fd: number): number {
  const serial = native.own(checkDescriptor('fd', fd));
  if (serial < 0) throw new SystemError(serial, 'fstat', { path: `fd ${fd}` });
  return serial;
}
/** Gives it away without closing it: it does not end with this thread any more. */
export function disown(fd: number): void {
  native.disown(fd);
}
/** Whether the number belongs to this thread, and is the same as at {@link own}: other code may have closed it. */
export function owns(fd: number, serial: number): boolean {
  return native.owns(fd, serial) === 1;
}
