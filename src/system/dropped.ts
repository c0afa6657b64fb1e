/**
 * Objects that were dropped without close(). What they hold would be held for ever: a connection, a lock, a seat, a descriptor. So it is
 * closed when the object is collected, with a warning, because it is unknown when that happens.
 */
import { close } from './file.js';
import { owns } from './owned-descriptor.js';

/** What is left of an object after its collection. Nothing in it may refer to the object, or it could not be collected. */
export interface Remains {
  /** For messages: `pipe reader (fd 5)`. */
  readonly what: string;
  /** An alternative to close(), for the warning. */
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

/** Abandons `remains` when `owner` is dropped, unless it is {@link closed} before. */
export function whenDropped(owner: object, remains: Remains): void {
  registry.register(owner, remains, remains);
}
/** The owner was closed, not dropped. */
export function closed(remains: Remains): void {
  registry.unregister(remains);
}
/** Closes `fd` if it is still the same as at `own`: other code may have closed the number, and it may name something else now. */
export function closeIfOwned(fd: number, serial: number): boolean {
  if (!owns(fd, serial)) return false;
  close(fd);
  return true;
}
