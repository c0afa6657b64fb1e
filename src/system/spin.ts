/**
 * Looking for a while before sleeping. A wake-up costs the kernel tens of microseconds, a look a few nanoseconds: where the
 * answer comes soon, looking is faster by one to two orders of magnitude; where it does not, it burns a core.
 *
 * How it decides, if no time was given: by how long each wait would have been if nobody had slept.
 *
 *     asks   ──send──┐                 wakes ── receives          a wait from A to C, of which A could not know that it
 *            A sleeps .....................┐                      would be short: B to C was work, and all else two wake-ups
 *     answers         ┐ B wakes ── C sends ┘
 *
 * Whoever must wake another notes when it committed (C), less the time that its own last wake-up took ({@link commitTime}); whoever was
 * woken compares that with when it began to wait ({@link Spin.woken}). So neither side counts a wake-up, both come to the same
 * conclusion from the same message, and neither has to look on the chance that the other does.
 *
 * Where looking keeps the other side from running, system/processors.ts tells. A look that lasts lets others run between (scheduling.ts).
 *
 * Who has just woken another looks for as long as a wake-up takes besides: if it slept, the other would have to wake it in turn, and
 * one interruption would become a dozen sleeps.
 *
 * The notes are read as untrusted: whoever writes nonsense there makes its peer look too much, for {@link SPIN_US}, or too little.
 */
import { availableParallelism } from 'node:os';
import { checkInteger } from './arguments.js';
import { noteTime } from './cooperative-budget.js';
import { monotonicMicroseconds } from './monotonic.js';
import { lookFailed, lookPaid, lookWasFutile, processorsAreScarce } from './processors.js';
import { yieldProcessor } from './scheduling.js';

/** How long the adaptive form looks: about what the wake-up costs that it saves. */
const SPIN_US = 50;
/** How long more after it has woken another, from whom the answer must come: what a wake-up takes. */
const WAKE_US = 100;
/** After that, the adaptive form lets others run on its processor between its looks: the other side may be among them. */
const YIELD_AFTER_US = 20;
/** Of a wake-up, what a wait is not charged with. One that takes longer waited for a processor, and would have without sleep. */
const MAX_LATENESS_US = 250;
/** It looks while this is above 0: one short wait makes up for two long ones. */
const MAX_CREDIT = 16;
const FIRST_CREDIT = 8;
/** Looks between two looks at the clock. */
const POLLS_PER_CLOCK_READ = 16;
const MAX_SPIN_US = 1e9;

/** How late this thread was when it was last woken, if it has not waited since. */
let lateness = 0;
/** It has woken somebody since its last wait. */
let rang = false;
/** To be noted for whoever is woken: now, had this thread not been asleep before. Microseconds, wrapping at 2^32. */
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
  /** The look of this wait was in vain. */
  #vain = false;

  /** @param microseconds how long to look; if not given it adapts to how often that pays, and is 0 on one core */
  constructor(microseconds?: number) {
    if (microseconds !== undefined) this.#fixed = checkInteger('options.spin', microseconds, 0, MAX_SPIN_US);
    else if (availableParallelism() < 2) this.#fixed = 0;
  }
  /** A second one with the same setting, for another kind of wait. */
  another(): Spin {
    return new Spin(this.#fixed);
  }
  /** Calls `ready` again and again: true once it gives true, false when the time is over. */
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
  /** A wait begins. For how many microseconds to look: those who look by themselves ask {@link over}, and tell what came of it. */
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
  /** Whether a look that began by {@link begin} has lasted for so long. */
  over(budget: number): boolean {
    const now = monotonicMicroseconds();
    if (now - this.#began >= budget) return true;
    this.#yields(now);
    return false;
  }
  /** The look has found it. */
  found(): void {
    lateness = 0;
    if (this.#fixed !== undefined) return;
    lookPaid();
    this.#paid();
  }
  /** The look was in vain. */
  missed(): void {
    this.#vain = true;
    if (this.#fixed !== undefined) return;
    if (this.#credit > 0) this.#credit--;
    lookFailed(monotonicMicroseconds());
  }
  /** The wait goes on asleep. */
  sleeps(): void {
    lateness = 0;
    this.#asleep = true;
  }
  /** Something came. If that ends a sleep, `committed` is the {@link commitTime} that was noted for it. */
  woken(committed: number): void {
    if (!this.#asleep) return;
    this.#asleep = false;
    const now = monotonicMicroseconds();
    const waited = (committed - (this.#began | 0)) | 0;
    const late = ((now | 0) - committed) | 0;
    this.#began = now; // if what came goes to somebody else, another wait begins
    if (late < 0 || waited < -MAX_LATENESS_US) return; // of another sleep, or nonsense
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
