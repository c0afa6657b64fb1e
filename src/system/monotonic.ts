/**
 * CLOCK_MONOTONIC, the clock that all processes of a machine share, without an allocation: `performance.now()` counts from the start of
 * this thread, and process.hrtime(), which does not, allocates an array.
 */

/** A copy, for users who test with a fake clock: a loop that ends by the time would never end. */
const now: () => number = performance.now.bind(performance);
/** How often the two clocks are compared: the fastest comparison counts, when nothing came in between. */
const COMPARISONS = 8;
const OFFSET_US = difference();

/** Microseconds, with a fraction. */
export function monotonicMicroseconds(): number {
  return now() * 1e3 + OFFSET_US;
}
function difference(): number {
  let shortest = Number.POSITIVE_INFINITY;
  let found = 0;
  for (let i = 0; i < COMPARISONS; i++) {
    const before = now();
    const [seconds, nanoseconds] = process.hrtime();
    const after = now();
    if (after - before >= shortest) continue;
    shortest = after - before;
    found = seconds * 1e6 + nanoseconds / 1e3 - ((before + after) / 2) * 1e3;
  }
  return found;
}
