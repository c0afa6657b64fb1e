/**
 * Looking for a while before sleeping. A wake-up costs the kernel tens of microseconds, a look a few nanoseconds: where the
 * answer comes soon, looking is faster by one to two orders of magnitude; where it does not, it burns a core.
 */
import { availableParallelism } from 'node:os';
import { checkInteger } from '../system/arguments.js';

/** Microseconds that the adaptive form looks, and how often as long it looks when it tries whether that would pay again. */
const LOOK = 20;
const TRIAL = 5;
/** It gives up after this many failures more than successes, and then tries again at every so many-th wait. */
const PATIENCE = 16;
const RARELY = 64;
/** Looks between two looks at the clock. */
const LOOKS = 16;
const LONGEST = 1e9;

export class Spin {
  readonly #fixed: number | undefined;
  #credit = PATIENCE;
  #waits = 0;
  /** @param microseconds how long to look; if not given it adapts to how often that pays, and is 0 on one core */
  constructor(microseconds?: number) {
    if (microseconds !== undefined) this.#fixed = checkInteger('options.spin', microseconds, 0, LONGEST);
    else if (availableParallelism() < 2) this.#fixed = 0;
  }
  /** Calls `ready` again and again: true once it gives true, false when the time is over. */
  until(ready: () => boolean): boolean {
    const budget = this.budget();
    if (budget === 0) return false;
    const end = performance.now() + budget / 1000;
    do {
      for (let i = 0; i < LOOKS; i++) {
        if (!ready()) continue;
        this.learn(true);
        return true;
      }
    } while (performance.now() < end);
    this.learn(false);
    return false;
  }
  /** For those who look by themselves: whether that paid. */
  learn(paid: boolean): void {
    if (!paid) this.#credit = Math.max(0, this.#credit - 1);
    else if (this.#credit < PATIENCE) this.#credit = Math.min(PATIENCE, this.#credit + 2);
  }
  /** For those who look by themselves: for how many microseconds to do so this time. */
  budget(): number {
    if (this.#fixed !== undefined) return this.#fixed;
    if (this.#credit > 0) return LOOK;
    // Asleep on both sides, neither would ever find the other awake: a trial is longer than a wake-up.
    return ++this.#waits % RARELY === 0 ? LOOK * TRIAL : 0;
  }
}
