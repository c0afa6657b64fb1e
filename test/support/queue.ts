/** Queues that have seen more messages than a test can send. */
import { HINT_STRIDE, HINTS, type Plan, TAIL_HINT } from '#src/lock-free/slot-queue/layout.js';

/** Makes the next message of a priority, in the memory of a queue that is empty, the one at `position`. */
export function primePosition(words: Int32Array, plan: Plan, priority: number, position: number): void {
  const { ringSize, rings } = plan;
  const hints = HINTS + priority * HINT_STRIDE;
  words[hints] = words[hints + TAIL_HINT] = position;
  for (let at = 0; at < ringSize; at++) {
    // The first position from `position` on that has this entry.
    const next = position + ((at - position) & (ringSize - 1));
    words[rings + priority * ringSize + at] = next - at; // free, with its round
  }
}
