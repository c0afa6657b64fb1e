/**
 * How one call that checks many descriptors waits in the event loop.
 *
 * select and poll are called with time-out 0, so each result is really theirs. While they find nothing, the descriptors are in an epoll,
 * which has a descriptor of its own, and the event loop waits for that one: no thread is blocked.
 */
import { mayGoOn, nextTurn } from '../../system/cooperative-budget.js';
import type { Deadline } from '../../system/deadline.js';
import { epollCreate, epollRoom, epollWait } from '../../system/epoll.js';
import { check, errnoName } from '../../system/errors.js';
import { close } from '../../system/file.js';
import { constants, native } from '../../system/native.js';
import { Readiness } from '../../system/readiness.js';

const DRAIN = 64;
/** Resolves with the first result of `look`. `bits`: what to watch each descriptor for. */
export async function lookUntil<T>(
  look: () => T | undefined,
  bits: ReadonlyMap<number, number>,
  deadline: Deadline,
  what: string,
): Promise<T> {
  if (deadline.signal?.aborted) throw deadline.signal.reason;
  if (!mayGoOn()) await nextTurn();
  let found = look();
  if (found !== undefined) return found;
  if (deadline.expired) throw deadline.error();
  const epoll = epollCreate();
  const readiness = new Readiness(epoll, what);
  try {
    const pairs = epollRoom(DRAIN);
    // Edge-triggered: epoll reports every hang-up and error, also those that `look` ignores, and must report them only once.
    for (const [fd, wanted] of bits) {
      const result = native.epollCtl(epoll, constants['EPOLL_CTL_ADD']!, fd, (wanted | constants['EPOLLET']!) >>> 0);
      // A regular file: `look` has found it ready, or never will. A descriptor that was closed since: `look` will report it.
      if (result < 0 && !['EPERM', 'EBADF'].includes(errnoName(result))) {
        check(result, 'epoll_ctl', { path: `fd ${fd}` });
      }
    }
    for (;;) {
      // Drain the edges first: what becomes ready after `look` is an edge again.
      while (epollWait(epoll, pairs, DRAIN, 0) === DRAIN);
      found = look();
      if (found !== undefined) return found;
      await readiness.readable(deadline);
    }
  } finally {
    readiness.close();
    close(epoll);
  }
}
