/**
 * Whether more threads want to run than there are processors. Whoever looks in a loop then keeps one from running that it waits for.
 *
 * Nobody asks all the time: whoever has a reason ({@link suspectScarcity}) has the kernel's count read, which costs a few
 * microseconds, and what was found holds for a while. Each time that it is found again it holds for twice as long.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';

/** How long it holds. */
const SHORTEST_US = 2_000;
const LONGEST_US = 128_000;
/** The count is read again after this time at the earliest. */
const RECENT_US = 1_000;

/** All that are online: the kernel's count is of all of them, whatever this process may use. */
const processors = Math.max(availableParallelism(), cpus().length);
let readAt = Number.NEGATIVE_INFINITY;
let scarceUntil = Number.NEGATIVE_INFINITY;
let duration = SHORTEST_US;

/** @param now by {@link monotonicMicroseconds} */
export function processorsAreScarce(now: number): boolean {
  return now < scarceUntil;
}
/** Has the count read. `certain`: without a look at it, because this thread has seen enough. */
export function suspectScarcity(now: number, certain = false): void {
  if (now - readAt < RECENT_US && !certain) return;
  readAt = now;
  if (!certain && runnable() <= processors) {
    duration = Math.max(SHORTEST_US, duration / 2);
    return;
  }
  scarceUntil = now + duration;
  duration = Math.min(LONGEST_US, duration * 2);
}
/** The threads that run or want to, of the whole machine: proc(5), `/proc/loadavg`. 0 where it does not tell. */
function runnable(): number {
  try {
    const found = /(\d+)\/\d+/.exec(readFileSync('/proc/loadavg', 'latin1'));
    return found === null ? 0 : Number(found[1]);
  } catch {
    return 0;
  }
}
