/**
 * Spinning on a lock before sleeping. A wake-up takes tens of microseconds, a poll a few nanoseconds. Where locks are held for less than
 * that, a spinning thread gets the lock sooner, and the releaser saves a system call. Where they are held for longer, spinning burns a
 * processor.
 *
 * Every wait begins with {@link SHORT_SPIN_POLLS}. Whether it continues up to {@link LONG_SPIN_POLLS} depends on recent results of this
 * object: spinning paid if the lock was acquired without a sleep. Where it did not pay, an occasional wait tries again. Nothing of this is
 * shared: a mutex in the C library's layout has no room for it.
 *
 * Polls are counted, because reading the clock between them costs more than it gains.
 */
import { availableParallelism } from 'node:os';

/** On one processor, no other thread can release the lock while this one spins. */
const PAYS_AT_ALL = availableParallelism() > 1;
/** About two microseconds. */
const SHORT_SPIN_POLLS = PAYS_AT_ALL ? 200 : 0;
/** About twenty microseconds: less than the wake-up that they save. */
const LONG_SPIN_POLLS = PAYS_AT_ALL ? 2000 : 0;
/** It spins for long while the credit is above 0. */
const MAX_CREDIT = 16;
const FIRST_CREDIT = 8;
/** One long spin that paid makes up for so many that did not. */
const PAID = 2;
/** One of so many waits tries it where it has not paid. */
const WAITS_FOR_A_TRIAL = 32;

/** One for each kind of blocking wait of an object. */
export class Looking {
  #credit = FIRST_CREDIT;
  #waits = 0;
  /** What is left of the long spin; undefined: none has begun since the last sleep. */
  #left: number | undefined;
  /** The long spin found the lock free, which may have changed since. */
  #found = false;

  /** Calls `ready` again and again: true once it returns true, false when it is time to sleep. */
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
  /** The thread goes to sleep: after that it spins anew. */
  sleeps(): void {
    this.#left = undefined;
    this.#found = false;
  }
  /** The wait is over. `had`: it got what it waited for. */
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
