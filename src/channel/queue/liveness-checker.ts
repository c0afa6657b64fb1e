/**
 * When to look who has died, while asleep: after somebody has closed the control file (directory/exit-watcher.ts).
 *
 * The event comes an instant before the kernel gives the dead one's lock back, which is the proof of his death. So after an event we
 * look at once, and again a few times, later and later. Then there is silence until the next.
 */
import type { Deadline } from '../../system/deadline.js';
import { ExitWatcher } from '../directory/exit-watcher.js';
import type { Participant } from '../directory/participant.js';

/** Milliseconds after an event. */
const CHECKS_MS = [0, 1, 10, 100, 1000];

export class LivenessChecker {
  readonly #exitWatcher: ExitWatcher;
  /** When something was closed, in milliseconds; how many looks were due since; and when the next one is. */
  #event: number = performance.now();
  #looks = 0;
  #next: number = this.#event;

  /** @param told as of {@link ExitWatcher} */
  constructor(participant: Participant, told: () => void) {
    this.#exitWatcher = new ExitWatcher(participant, told);
  }
  /** Whether it is time to look who is dead. */
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
  /** Milliseconds until the next look, `Infinity` for none. */
  get remaining(): number {
    if (this.#exitWatcher.pending) return 0;
    return this.#next === Number.POSITIVE_INFINITY ? this.#next : Math.max(0, this.#next - performance.now());
  }
  /** Blocks the thread until `fd` is readable, or it may be time to look, or `most` milliseconds are over. */
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
