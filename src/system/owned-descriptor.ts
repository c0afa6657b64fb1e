/**
 * Whose a descriptor is. All that a thread makes or takes over is its own until it is closed or given away, and is closed when the
 * thread ends, however it ends: a worker that is terminated runs no code of its own any more, and what its descriptors stand for (a
 * lock, a seat, an address) would be taken for as long as the process lives.
 *
 * What the calls of this folder make is noted in the same native call, and `close` strikes it out: there is nothing to do for it here.
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

/** Takes a descriptor over, whoever made it. The result is for {@link owns}. */
export function own(fd: number): number {
  const serial = native.own(checkDescriptor('fd', fd));
  if (serial < 0) throw new SystemError(serial, 'fstat', { path: `fd ${fd}` });
  return serial;
}
/** Gives it away, open: it does not end with this thread any more. */
export function disown(fd: number): void {
  native.disown(fd);
}
/** Whether the number is this thread's, and names what it did at {@link own}: somebody may have closed it behind our back. */
export function owns(fd: number, serial: number): boolean {
  return native.owns(fd, serial) === 1;
}
