/**
 * The addresses of closed memory stay reserved until V8 has collected its buffer (native/mapping.c). They cost only addresses, of which a
 * process has 128 TiB, or what `ulimit -v` says. A program that opens and closes in a loop without a turn of the event loop could still use
 * them up: V8 sees small objects and has no reason to collect.
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

/** Too little to check. */
const FREE_BYTES = 2 ** 24;
/** This much makes V8 collect, or this share of what the process may have. */
const MAX_RESERVED_BYTES = 2 ** 36;
const MAX_SHARE_OF_MEMORY = 8;
/** A collection may only complete a marking that began before the objects were dropped; the next one finds them. */
const COLLECTIONS = 2;

/** Bytes at which the next check is due. */
let due = FREE_BYTES;

/** Called after each close: beyond a limit, collects what was closed and is not used any more, to free its addresses. */
export function boundReserved(): void {
  const reserved = native.reservedBytes();
  if (reserved < due) return;
  const most = Math.min(MAX_RESERVED_BYTES, getrlimit('RLIMIT_AS') / MAX_SHARE_OF_MEMORY);
  if (reserved >= most && native.releaseCollected(false) === 0) {
    for (let i = 0; i < COLLECTIONS && native.releaseCollected(true) === 0; i++);
  }
  const left = native.reservedBytes(); // the program may have reasons to keep it: wait longer before the next time
  due = Math.max(FREE_BYTES, left < most ? Math.min(most, 2 * left) : 2 * left);
}
/** If there is no room for another mapping, closed ones that are not collected yet may take it. */
export function withRoom<T>(map: () => T | number): T | number {
  const result = map();
  return result === ENOMEM && native.releaseCollected(false) > 0 ? map() : result;
}
