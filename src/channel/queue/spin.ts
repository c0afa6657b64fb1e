/** Looking for a while before sleeping: a wake-up costs as much as a hundred messages. */
import { availableParallelism } from 'node:os';
import { checkInteger } from '../../system/arguments.js';

/** Microseconds. */
const MOST = 50;
const LONGEST = 1_000_000;
/** Looks from one look at the clock to the next. */
const LOOKS = 64;
const single = availableParallelism() === 1;

export class Spin {
  /** Microseconds; -1: as experience tells. */
  readonly #fixed: number;
  #adapted = MOST;

  /** @param microseconds how long to look; undefined: it adapts, and is 0 on one core */
  constructor(microseconds: number | undefined) {
    this.#fixed = microseconds === undefined ? -1 : checkInteger('options.spin', microseconds, 0, LONGEST);
    if (this.#fixed < 0 && single) this.#fixed = 0;
  }
  /** Looks until `ready`, or until it was long enough: false. */
  until(ready: () => boolean): boolean {
    const fixed = this.#fixed;
    const microseconds = fixed < 0 ? this.#adapted : fixed;
    if (microseconds < 1) {
      this.#adapted = Math.min(MOST, this.#adapted + 0.25); // from time to time it is worth a try
      return false;
    }
    const end = performance.now() + microseconds / 1e3;
    do {
      for (let i = 0; i < LOOKS; i++) {
        if (!ready()) continue;
        if (fixed < 0) this.#adapted = Math.min(MOST, this.#adapted * 2 + 1);
        return true;
      }
    } while (performance.now() < end);
    if (fixed < 0) this.#adapted /= 2;
    return false;
  }
}
