/**
 * The addresses of memory that was closed stay reserved until V8 has collected its buffer (native/mapping.c). They cost nothing but
 * addresses, of which a process has 128 TiB, or what `ulimit -v` says. A program that opens and closes in a loop without a turn of the
 * event loop could use them up all the same: V8 sees small objects and has no reason to collect.
 */
import { ENOMEM } from './errno.js';
import { getrlimit } from './limits.js';
import { native } from './native.js';

declare module './native.js' {
  interface Native {
    // memory.c
    reservedBytes(): number;
    releaseCollected(collect: boolean): number;
  }
}

/** So much is not worth a look. */
const FREE_BYTES = 2 ** 24;
/** So much makes V8 collect, or this share of what the process may have. */
const MAX_RESERVED_BYTES = 2 ** 36;
const MAX_SHARE_OF_MEMORY = 8;
/** A collection may only end a marking that began before the objects were dropped; the next one finds them. */
const COLLECTIONS = 2;

/** Bytes at which the next look is due. */
let due = FREE_BYTES;

/** Called after each close: beyond a bound, what was closed and is not used any more gives its addresses back. */
export function boundReserved(): void {
  const reserved = native.reservedBytes();
  if (reserved < due) return;
  const most = Math.min(MAX_RESERVED_BYTES, getrlimit('RLIMIT_AS') / MAX_SHARE_OF_MEMORY);
  if (reserved >= most && native.releaseCollected(false) === 0) {
    for (let i = 0; i < COLLECTIONS && native.releaseCollected(true) === 0; i++);
  }
  const left = native.reservedBytes(); // the program may have reasons to keep it: then not so soon again
  due = Math.max(FREE_BYTES, left < most ? Math.min(most, 2 * left) : 2 * left);
}
/** If there is no room for another mapping, those that were closed and are not reported collected yet may be in its way. */
export function withRoom<T>(map: () => T | number): T | number {
  const result = map();
  return result === ENOMEM && native.releaseCollected(false) > 0 ? map() : result;
}
