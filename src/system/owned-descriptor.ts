/**
 * Descriptors that belong to an object, or to a thread: a worker that is terminated runs no code of its own any more, and what its
 * descriptors stand for (a lock, a seat, an address) would be taken for as long as the process lives.
 */
import { checkDescriptor } from './arguments.js';
import { SystemError } from './errors.js';
import { native } from './native.js';

declare const ownerBrand: unique symbol;
/** Closes its descriptor when it is collected, and when its thread (a worker) ends. */
export interface OwnedDescriptor {
  readonly [ownerBrand]: true;
}
declare module './native.js' {
  interface Native {
    // owned_descriptor.c
    own(fd: number): OwnedDescriptor | number;
    closeOwned(owner: OwnedDescriptor): number;
    disown(owner: OwnedDescriptor): number;
    stillOwned(owner: OwnedDescriptor): number;
  }
}

/** Whoever holds the result keeps `fd` open. */
export function ownDescriptor(fd: number): OwnedDescriptor {
  const owner = native.own(checkDescriptor('fd', fd));
  if (typeof owner === 'number') throw new SystemError(owner, 'fstat', { path: `fd ${fd}` });
  return owner;
}
/** Closes it now. */
export function closeOwned(owner: OwnedDescriptor): void {
  native.closeOwned(owner);
}
const held = new Set<OwnedDescriptor>();
/** Keeps `fd` open until {@link letGo}, or until this thread ends. */
export function hold(fd: number): OwnedDescriptor {
  const owner = ownDescriptor(fd);
  held.add(owner);
  return owner;
}
/** Whether the number still names what it did: somebody may have closed it behind our back. */
export function isStillOwned(owner: OwnedDescriptor): boolean {
  return native.stillOwned(owner) === 1;
}
/** Ends that without closing it: somebody else will. */
export function release(owner: OwnedDescriptor): void {
  if (held.delete(owner)) native.disown(owner);
}
/** Closes what is held: 0, or a negative errno. A thread that is terminated in here has it closed all the same. */
export function letGo(owner: OwnedDescriptor): number {
  const result = native.closeOwned(owner);
  held.delete(owner);
  return result;
}
