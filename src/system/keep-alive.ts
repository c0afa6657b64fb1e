/**
 * Whether what an object waits for keeps the program running: ref() and unref(), as Node's own objects have them.
 *
 * None of vecino's handles and timers keeps the event loop alive by itself. Every wait is counted with its object, and one timer of the thread
 * is referenced as long as there are waits that count. So objects that share a handle (a poll handle, an inotify instance, a helper
 * thread) do not disturb each other, and whoever makes a timer for a wait makes it with `unref()`.
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

/** One object's part in it: its waits, and whether they count. */
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
  /** Counts what is waited for here as a wait. */
  async during<T>(wait: () => Promise<T>): Promise<T> {
    this.begin();
    try {
      return await wait();
    } finally {
      this.end();
    }
  }
  /** Waits count, those that have begun and those to come. Idempotent. */
  ref(): void {
    if (this.#referenced) return;
    this.#referenced = true;
    add(this.#waits);
  }
  /** They do not. Idempotent. */
  unref(): void {
    if (!this.#referenced) return;
    this.#referenced = false;
    add(-this.#waits);
  }
}

/** For functions that wait, and have no object that could be told otherwise. */
export const program: KeepAlive = new KeepAlive();
