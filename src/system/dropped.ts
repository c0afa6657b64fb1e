/**
 * Objects that were dropped without close(). What they stand for would stay for ever: a peer that waits, a lock, a seat, a descriptor. So
 * it is closed when they are collected, and the program told, since nobody can know when that happens.
 */
import { close } from './file.js';
import { owns } from './owned-descriptor.js';

/** What is known of an object after it is gone. Nothing in it may lead to the object, which could not be collected then. */
export interface Remains {
  /** For people: `pipe reader (fd 5)`. */
  readonly what: string;
  /** What else could have been done, for the warning. */
  readonly instead?: string;
  /** Closes what is left; false: there was nothing left. It must not throw. */
  abandon(): boolean;
}
const registry = new FinalizationRegistry((remains: Remains) => {
  if (!remains.abandon()) return;
  const article = /^[aeio]/i.test(remains.what) ? 'An' : 'A'; // a Unix socket
  process.emitWarning(`${article} ${remains.what} was dropped without close()`, {
    code: 'VECINO_NOT_CLOSED',
    detail: `It was closed now. Call close() or declare it with \`using\`${remains.instead ?? ''}.`,
  });
});

/** `remains` are seen to when `owner` is dropped, unless it {@link closed} before. */
export function whenDropped(owner: object, remains: Remains): void {
  registry.register(owner, remains, remains);
}
/** It was not dropped. */
export function closed(remains: Remains): void {
  registry.unregister(remains);
}
/** Closes `fd` if it is still what it was at `own`: the number may have been closed behind our back, and name something else by now. */
export function closeIfOwned(fd: number, serial: number): boolean {
  if (!owns(fd, serial)) return false;
  close(fd);
  return true;
}
