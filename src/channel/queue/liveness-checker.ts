/**
 * When a sleeping process checks for dead peers: after a process has closed the control file (directory/exit-watcher.ts).
 *
 * The event comes an instant before the kernel releases the lock of the dead process, which is the proof of its death. So after an event we
 * check at once, and a few more times at growing intervals, then not until the next event.
 */
import type { Deadline } from '../../system/deadline.js';
import { ExitWatcher } from '../directory/exit-watcher.js';
import type { Participant } from '../directory/participant.js';

/** Milliseconds after an event. */
const CHECKS_MS = [0, 1, 10, 100, 1000];

export class LivenessChecker {
  readonly #exitWatcher: ExitWatcher;
  /** When the last event came, in milliseconds; how many checks were due since; and when the next one is. */
  #event: number = performance.now();
  #looks = 0;
  #next: number = this.#event;

  /** @param told as in {@link ExitWatcher} */
  constructor(participant: Participant, told: () => void) {
    this.#exitWatcher = new ExitWatcher(participant, told);
  }
  /** Whether it is time to check for dead peers. */
  due(): boolean {
    const now = performance.now();
    if (this.#exitWatcher.happened()) {
      this.#event = now;
      this.#looks = 0;
      this.#next = now;
    }
    if (now < this.#next) return false;
    if (!this.#exitWatcher.watched) {
      this.#exitWatcher.looking();
      this.#event = now;
      this.#looks = 0;
    }
    while (this.#next <= now) this.#plan(now);
    return true;
  }
  /** Milliseconds until the next check, `Infinity` for none. */
  get remaining(): number {
    if (this.#exitWatcher.pending) return 0;
    return this.#next === Number.POSITIVE_INFINITY ? this.#next : Math.max(0, this.#next - performance.now());
  }
  /** Blocks the thread until `fd` is readable, a check may be due, or `most` milliseconds are over. */
  blockSync(fd: number, deadline: Deadline, most: number): void {
    this.#exitWatcher.blockSync(fd, deadline, Math.min(most, this.remaining));
  }
  #plan(now: number): void {
    if (this.#exitWatcher.watched && ++this.#looks < CHECKS_MS.length)
      this.#next = this.#event + CHECKS_MS[this.#looks]!;
    else this.#next = now + this.#exitWatcher.pollInterval;
  }
  close(): void {
    this.#exitWatcher.close();
  }
}
