/**
 * Those who wait for one descriptor, served in the order they came.
 *
 * One of them in front tries again each time the descriptor is ready; the others do not even look. Whoever runs out of time
 * or is aborted steps out of the line with nothing done, because an attempt is one synchronous call: it has its result, which
 * is handed over at once, or it has touched nothing.
 */
import { setImmediate } from 'node:timers/promises';
import { Deadline } from './deadline.js';
import { ClosedError } from './errors.js';
import { constants } from './native.js';
import { pollOne } from './poll.js';
import { Readiness } from './readiness.js';

/** How many operations may succeed at once, one after the other, before the event loop gets its turn. */
const CREDIT = 64;

/** Why the wait for the descriptor ends. Not an error: its stack would keep alive what the line has served. */
const LEFT = 'nobody waits any more';

interface Entry {
  /** `undefined`: not yet. */
  attempt(): unknown;
  settle(error: unknown, value?: unknown): void;
}

export class Line {
  readonly #fd: number;
  readonly #what: string;
  readonly #reads: boolean;
  readonly #readiness: Readiness;
  readonly #entries: Entry[] = [];
  #serving = false;
  #waiting = false;
  #credit = CREDIT;
  /** Ends the wait for the descriptor when nobody is left in the line; renewed after that. */
  #left: AbortController | undefined;
  #wait: Deadline | undefined;

  /** @param what the owner of `fd`, for errors */
  constructor(fd: number, what: string, direction: 'readable' | 'writable') {
    this.#fd = fd;
    this.#what = what;
    this.#reads = direction === 'readable';
    this.#readiness = new Readiness(fd, what);
  }
  /** Whether nobody waits, so that a newcomer may try for himself. */
  get idle(): boolean {
    return this.#entries.length === 0;
  }
  /**
   * Whether an asynchronous operation may try at once: nobody waits, and not too many have succeeded that way in a row.
   * Results that are always there would keep the program in its microtasks, and no timer or socket would ever be served.
   */
  mayTry(): boolean {
    if (this.#entries.length !== 0 || this.#credit === 0) return false;
    this.#credit--;
    return true;
  }
  /** Resolves with what `attempt` gives, once it gives something, or rejects with what it throws. */
  join<T>(attempt: () => T | undefined, deadline: Deadline): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (deadline.signal?.aborted) return reject(deadline.signal.reason);
      const entry: Entry = {
        attempt,
        settle: (error, value) => {
          const index = this.#entries.indexOf(entry);
          if (index < 0) return;
          this.#entries.splice(index, 1);
          callOff();
          if (this.#waiting && this.#entries.length === 0) this.#left?.abort(LEFT);
          if (error === undefined) resolve(value as T);
          else reject(error);
        },
      };
      const callOff = deadline.onEnd((error) => entry.settle(error));
      this.#entries.push(entry);
      if (!this.#serving) void this.#serve();
    });
  }
  /** Serves all who wait, blocking the thread; whoever comes by the synchronous voice stands behind them. */
  finishSync(deadline: Deadline): void {
    const events = constants[this.#reads ? 'POLLIN' : 'POLLOUT']!;
    for (let entry = this.#entries[0]; entry !== undefined; entry = this.#entries[0]) {
      if (!serve(entry)) pollOne(this.#fd, events, deadline);
    }
  }
  /** Ends every wait with {@link ClosedError}. Before the descriptor is closed. */
  close(): void {
    this.#readiness.close();
    for (const entry of [...this.#entries]) entry.settle(new ClosedError(this.#what));
  }

  async #serve(): Promise<void> {
    this.#serving = true;
    if (this.#credit === 0) await setImmediate();
    else await this.#ready();
    this.#credit = CREDIT;
    for (;;) {
      while (this.#entries.length > 0 && serve(this.#entries[0]!));
      if (this.#entries.length === 0) break;
      await this.#ready();
    }
    this.#serving = false;
  }
  async #ready(): Promise<void> {
    if (this.#wait === undefined || this.#left?.signal.aborted) {
      this.#left = new AbortController();
      this.#wait = new Deadline(this.#what, { signal: this.#left.signal });
    }
    this.#waiting = true;
    try {
      await (this.#reads ? this.#readiness.readable(this.#wait) : this.#readiness.writable(this.#wait));
    } catch (error) {
      // All have left the line, or the descriptor cannot be waited for, which each has to be told.
      if (!this.#left?.signal.aborted) for (const entry of [...this.#entries]) entry.settle(error);
    } finally {
      this.#waiting = false;
    }
  }
}

/** Whether the entry has its answer. */
function serve(entry: Entry): boolean {
  try {
    const value = entry.attempt();
    if (value === undefined) return false;
    entry.settle(undefined, value);
  } catch (error) {
    entry.settle(error);
  }
  return true;
}
