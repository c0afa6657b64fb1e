/**
 * When to look who has died, while asleep: after somebody has closed the control file (place/closings.ts).
 *
 * The event comes an instant before the kernel gives the dead one's lock back, which is the proof of his death. So after an event we
 * look at once, and again a few times, later and later. Then there is silence until the next.
 */
import type { Deadline } from '../../system/deadline.js';
import { Closings } from '../place/closings.js';
import type { Place } from '../place/place.js';

/** Milliseconds after an event. */
const LOOKS = [0, 1, 10, 100, 1000];

export class Deaths {
  readonly #closings: Closings;
  /** When something was closed, in milliseconds; how many looks were due since; and when the next one is. */
  #event: number = performance.now();
  #looks = 0;
  #next: number = this.#event;

  /** @param told as of {@link Closings} */
  constructor(place: Place, told: () => void) {
    this.#closings = new Closings(place, told);
  }
  /** Whether it is time to look who is dead. */
  due(): boolean {
    const now = performance.now();
    if (this.#closings.happened()) {
      this.#event = now;
      this.#looks = 0;
      this.#next = now;
    }
    if (now < this.#next) return false;
    if (!this.#closings.watched) {
      this.#closings.looking();
      this.#event = now;
      this.#looks = 0;
    }
    while (this.#next <= now) this.#plan(now);
    return true;
  }
  /** Milliseconds until the next look, `Infinity` for none. */
  get remaining(): number {
    if (this.#closings.pending) return 0;
    return this.#next === Number.POSITIVE_INFINITY ? this.#next : Math.max(0, this.#next - performance.now());
  }
  /** Blocks the thread until `fd` is readable, or it may be time to look, or `most` milliseconds are over. */
  blockSync(fd: number, deadline: Deadline, most: number): void {
    this.#closings.blockSync(fd, deadline, Math.min(most, this.remaining));
  }
  #plan(now: number): void {
    if (this.#closings.watched && ++this.#looks < LOOKS.length) this.#next = this.#event + LOOKS[this.#looks]!;
    else this.#next = now + this.#closings.patience;
  }
  close(): void {
    this.#closings.close();
  }
}
