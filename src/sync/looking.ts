/**
 * Looking at a lock for a while before sleeping on it. To be woken takes tens of microseconds, a look a few nanoseconds: where locks are held for
 * less than that, whoever looks has it sooner, and the releaser saves a system call. Where they are held for longer, looking burns a processor.
 *
 * Every wait begins with {@link SHORT_SPIN_POLLS}. Whether it goes on for {@link LONG_SPIN_POLLS} is decided by what came of that lately in this object: it
 * has paid if the lock was then taken without a sleep. Where it has not, a wait now and then tries whether it does again. Nothing of this is
 * shared: a mutex in the C library's layout has no room for more.
 *
 * Looks are counted, since to read the clock between them costs more than it tells.
 */
import { availableParallelism } from 'node:os';

/** Nobody can release while we look, on one processor. */
const PAYS_AT_ALL = availableParallelism() > 1;
/** About two microseconds. */
const SHORT_SPIN_POLLS = PAYS_AT_ALL ? 200 : 0;
/** About twenty microseconds: less than the wake-up that they save. */
const LONG_SPIN_POLLS = PAYS_AT_ALL ? 2000 : 0;
/** It looks for long while this is above 0. */
const MAX_CREDIT = 16;
const FIRST_CREDIT = 8;
/** What a long look that paid makes up for: so many in vain. */
const PAID = 2;
/** One of so many waits tries it where it has not paid. */
const WAITS_FOR_A_TRIAL = 32;

/** One for each kind of blocking wait of an object. */
export class Looking {
  #credit = FIRST_CREDIT;
  #waits = 0;
  /** What is left of the long look; undefined: none has begun since the last sleep. */
  #left: number | undefined;
  /** The long look has found something, which may be gone again. */
  #found = false;

  /** Calls `ready` again and again: true once it gives true, false when it is time to sleep. */
  until(ready: () => boolean): boolean {
    for (let i = 0; i < SHORT_SPIN_POLLS; i++) if (ready()) return true;
    let left = (this.#left ??= this.#isWorthwhile() ? LONG_SPIN_POLLS : 0);
    if (left === 0) return false;
    for (; left > 0; left--) {
      if (!ready()) continue;
      this.#left = left - 1;
      this.#found = true;
      return true;
    }
    this.#left = 0;
    this.#found = false;
    if (this.#credit > 0) this.#credit--;
    return false;
  }
  /** The thread goes to sleep: after that it looks anew. */
  sleeps(): void {
    this.#left = undefined;
    this.#found = false;
  }
  /** The wait is over. `had`: with what was waited for. */
  ended(had: boolean): void {
    if (had && this.#found) this.#credit = Math.min(MAX_CREDIT, this.#credit + PAID);
    this.sleeps();
  }
  #isWorthwhile(): boolean {
    if (this.#credit > 0) return true;
    this.#waits = (this.#waits + 1) % WAITS_FOR_A_TRIAL;
    return this.#waits === 0;
  }
}
