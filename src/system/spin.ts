/**
 * Spins for a while before sleeping. A wake-up costs the kernel tens of microseconds, a poll a few nanoseconds: where the answer comes
 * soon, spinning is faster by one to two orders of magnitude; where it does not, it burns a core.
 *
 * How it decides, if no time was given: by how long each wait would have been if neither side had slept.
 *
 *     asks   ──send──┐                 wakes ── receives          a wait from A to C, of which A could not know that it
 *            A sleeps .....................┐                      would be short: B to C was work, and all else two wake-ups
 *     answers         ┐ B wakes ── C sends ┘
 *
 * A thread that must wake another stores when it committed (C), less the time that its own last wake-up took ({@link commitTime}). The
 * woken thread compares that with when it began to wait ({@link Spin.woken}). So neither side counts a wake-up, both come to the same
 * conclusion from the same message, and neither has to spin just in case the other does.
 *
 * Spinning can keep the other side from running: see system/processors.ts. A spin that lasts lets others run in between (scheduling.ts).
 *
 * A thread that has just woken another also spins for as long as a wake-up takes: if it slept, the other would have to wake it in turn, and
 * one interruption would become a dozen sleeps.
 *
 * The stored times are untrusted: a process that writes invalid ones makes its peer spin too much, for {@link SPIN_US}, or too little.
 */
import { availableParallelism } from 'node:os';
import { checkInteger } from './arguments.js';
import { noteTime } from './cooperative-budget.js';
import { monotonicMicroseconds } from './monotonic.js';
import { lookFailed, lookPaid, lookWasFutile, processorsAreScarce } from './processors.js';
import { yieldProcessor } from './scheduling.js';

/** How long the adaptive form spins: about the cost of the wake-up that it saves. */
const SPIN_US = 50;
/** How much longer after it has woken another thread, which must send the answer: the duration of a wake-up. */
const WAKE_US = 100;
/** After that, the adaptive form lets others run on its processor between its polls: the other side may be among them. */
const YIELD_AFTER_US = 20;
/** The part of a wake-up that does not count as a wait. A longer one waited for a processor, and would have without sleep. */
const MAX_LATENESS_US = 250;
/** It spins while this is above 0: one short wait makes up for two long ones. */
const MAX_CREDIT = 16;
const FIRST_CREDIT = 8;
/** Polls between two readings of the clock. */
const POLLS_PER_CLOCK_READ = 16;
const MAX_SPIN_US = 1e9;

/** How late this thread was when it was last woken, if it has not waited since. */
let lateness = 0;
/** It has woken another thread since its last wait. */
let rang = false;
/** The time to store for the woken thread: now, as if this thread had not been asleep before. Microseconds, wrapping at 2^32. */
export function commitTime(): number {
  rang = true;
  return (monotonicMicroseconds() - lateness) | 0;
}

/** One for each kind of wait of an object. */
export class Spin {
  readonly #fixed: number | undefined;
  #credit = FIRST_CREDIT;
  /** When the wait began. */
  #began = 0;
  #asleep = false;
  /** The spin of this wait failed. */
  #vain = false;

  /** @param microseconds how long to spin; by default it adapts to how often that pays, and is 0 on one core */
  constructor(microseconds?: number) {
    if (microseconds !== undefined) this.#fixed = checkInteger('options.spin', microseconds, 0, MAX_SPIN_US);
    else if (availableParallelism() < 2) this.#fixed = 0;
  }
  /** A second one with the same setting, for another kind of wait. */
  another(): Spin {
    return new Spin(this.#fixed);
  }
  /** Calls `ready` again and again: true once it returns true, false when the time is over. */
  until(ready: () => boolean): boolean {
    const budget = this.begin();
    if (budget === 0) return false;
    let now = this.#began;
    const end = now + budget;
    do {
      this.#yields(now);
      for (let i = 0; i < POLLS_PER_CLOCK_READ; i++) {
        if (!ready()) continue;
        this.found();
        return true;
      }
      now = monotonicMicroseconds();
    } while (now < end);
    this.missed();
    return false;
  }
  /** A wait begins. Returns for how many microseconds to spin: callers that poll by themselves ask {@link over}, and report the result. */
  begin(): number {
    const now = monotonicMicroseconds();
    this.#began = now;
    this.#vain = false;
    this.#asleep = false;
    const awaits = rang;
    rang = false;
    noteTime(now);
    if (this.#fixed !== undefined) return this.#fixed;
    if (!this.worthwhile || processorsAreScarce(now)) return 0;
    return awaits ? SPIN_US + WAKE_US : SPIN_US;
  }
  /** Whether waits have been short enough lately. */
  get worthwhile(): boolean {
    return this.#credit > 0;
  }
  /** Whether a spin that began with {@link begin} has lasted that long. */
  over(budget: number): boolean {
    const now = monotonicMicroseconds();
    if (now - this.#began >= budget) return true;
    this.#yields(now);
    return false;
  }
  /** The spin has succeeded. */
  found(): void {
    lateness = 0;
    if (this.#fixed !== undefined) return;
    lookPaid();
    this.#paid();
  }
  /** The spin failed. */
  missed(): void {
    this.#vain = true;
    if (this.#fixed !== undefined) return;
    if (this.#credit > 0) this.#credit--;
    lookFailed(monotonicMicroseconds());
  }
  /** The wait continues asleep. */
  sleeps(): void {
    lateness = 0;
    this.#asleep = true;
  }
  /** Something came. If that ends a sleep, `committed` is the {@link commitTime} that was stored for it. */
  woken(committed: number): void {
    if (!this.#asleep) return;
    this.#asleep = false;
    const now = monotonicMicroseconds();
    const waited = (committed - (this.#began | 0)) | 0;
    const late = ((now | 0) - committed) | 0;
    this.#began = now; // if another wait takes it, a new wait begins
    if (late < 0 || waited < -MAX_LATENESS_US) return; // of another sleep, or invalid
    lateness = Math.min(late, MAX_LATENESS_US);
    if (waited > SPIN_US) {
      if (this.#credit > 0 && !this.#vain) this.#credit--;
      return;
    }
    this.#paid();
    if (this.#vain && this.#fixed === undefined) lookWasFutile(now);
  }
  #yields(now: number): void {
    if (this.#fixed === undefined && now - this.#began >= YIELD_AFTER_US) yieldProcessor(now);
  }
  #paid(): void {
    if (this.#credit < MAX_CREDIT) this.#credit = Math.min(MAX_CREDIT, this.#credit + 2);
  }
}
