import { futexWait } from '../../system/futex.js';

/** Blocks the thread for a millisecond: somebody else is in the middle of something. */
export function pause(): void {
  try {
    futexWait(new Int32Array(1), 0, 0, { timeout: 1 });
  } catch {
    // The time is over: that was the point.
  }
}
