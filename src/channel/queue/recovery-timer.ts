/**
 * When a consumer that never waits checks for dead peers: their messages come before those that are ready, so it must check although
 * nothing wakes it. The clock is read once for many messages.
 */

/** Milliseconds between two checks. */
const INTERVAL_MS = 20;
/** The most messages taken between two readings of the clock. */
const MAX_UNTIMED_MESSAGES = 256;

export class RecoveryTimer {
  readonly #recover: () => void;
  /** When peers were last checked, and when the clock was last read for a message. */
  #checkedAt = 0;
  #readAt = 0;
  /** How many messages may be taken before the clock is read: left, and of how many. */
  #untimed = 0;
  #batch = 0;

  /** @param recover checks for dead peers, and returns their messages to the queue */
  constructor(recover: () => void) {
    this.#recover = recover;
  }
  /** A message is about to be taken. */
  beforeMessage(): void {
    if (--this.#untimed < 0) this.#readClock();
  }
  /** A call that does not wait found nothing. True: a check was due, and was made. */
  recoveredIfDue(): boolean {
    const now = performance.now();
    if (now - this.#checkedAt < INTERVAL_MS) return false;
    this.#checkedAt = now;
    this.#recover();
    return true;
  }
  #readClock(): void {
    const now = performance.now();
    const elapsed = now - this.#readAt;
    this.#readAt = now;
    this.recoveredIfDue();
    // As many as may come in a quarter of the interval, at the current rate.
    const rate = (this.#batch + 1) / Math.max(elapsed, 0.01);
    this.#batch = Math.min(MAX_UNTIMED_MESSAGES, Math.floor((rate * INTERVAL_MS) / 4));
    this.#untimed = this.#batch;
  }
}
