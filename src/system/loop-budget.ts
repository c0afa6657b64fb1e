/**
 * How much a thread may do at once before its event loop gets a turn.
 *
 * Promises that are kept at once are kept in microtasks: a program that awaits nothing else would never serve a timer or a socket. So
 * operations are counted, and whoever reads the clock anyway tells how long it has been.
 */
const MAX_OPERATIONS = 256;
const MAX_US = 1_000;

let left = MAX_OPERATIONS;
let turnedAt = 0;

/** Counts an operation that succeeds at once. False: let the event loop turn first, and tell {@link loopTurned}. */
export function mayGoOn(): boolean {
  return --left > 0;
}
/** @param now by monotonicMicroseconds */
export function noteTime(now: number): void {
  if (now - turnedAt > MAX_US) left = 0;
}
/** @param now by monotonicMicroseconds */
export function loopTurned(now: number): void {
  left = MAX_OPERATIONS;
  turnedAt = now;
}
