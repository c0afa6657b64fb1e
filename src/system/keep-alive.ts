/**
 * Whether the waits of an object keep the program running: ref() and unref(), as Node's own objects have them.
 *
 * None of vecino's handles and timers keeps the event loop alive by itself. Every wait is counted with its object, and one timer of the
 * thread is referenced while there are waits that count. So objects that share a handle (a poll handle, an inotify instance, a helper
 * thread) do not affect each other. Create timers for waits with `unref()`.
 */

/** setTimeout's longest delay. */
const LONGEST_TIMER_MS = 0x7fffffff;
const timer = setInterval(() => {}, LONGEST_TIMER_MS).unref();
/** Waits of this thread that keep the program running. */
let count = 0;

function add(waits: number): void {
  if (waits === 0) return;
  const before = count;
  count += waits;
  if (before === 0) timer.ref();
  else if (count === 0) timer.unref();
}

/** The waits of one object, and whether they count. */
export class KeepAlive {
  #waits = 0;
  #referenced: boolean;

  constructor(referenced = true) {
    this.#referenced = referenced;
  }
  get referenced(): boolean {
    return this.#referenced;
  }
  /** A wait begins; it must {@link end}. */
  begin(): void {
    this.#waits++;
    if (this.#referenced) add(1);
  }
  end(): void {
    this.#waits--;
    if (this.#referenced) add(-1);
  }
  /** Counts the call as a wait. */
  async during<T>(wait: () => Promise<T>): Promise<T> {
    this.begin();
    try {
      return await wait();
    } finally {
      this.end();
    }
  }
  /** Waits count, both pending and future ones. Idempotent. */
  ref(): void {
    if (this.#referenced) return;
    this.#referenced = true;
    add(this.#waits);
  }
  /** Waits do not count. Idempotent. */
  unref(): void {
    if (!this.#referenced) return;
    this.#referenced = false;
    add(-this.#waits);
  }
}

/** For functions that wait without an object that has a setting. */
export const program: KeepAlive = new KeepAlive();
