/**
 * The clock that all processes of a machine share, CLOCK_MONOTONIC, without an allocation: `performance.now()` counts from the start
 * of this thread, and process.hrtime(), which does not, makes an array.
 */
const [seconds, nanoseconds] = process.hrtime();
const OFFSET_US = seconds * 1e6 + nanoseconds / 1e3 - performance.now() * 1e3;

/** Microseconds, with a fraction. */
export function monotonicMicroseconds(): number {
  return performance.now() * 1e3 + OFFSET_US;
}
