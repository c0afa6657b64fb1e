/** Operations that wait for a descriptor, served in the order in which they came. */
import { Deadline } from '../system/deadline.js';
import type { Readiness } from '../system/readiness.js';
import { Pending, Turn } from './pending.js';

interface Entry<T> {
  /** The result, or `undefined` while it would block. */
  attempt(): T | undefined;
  pending: Pending<T>;
}

export class Line<T> {
  readonly #readiness: Readiness;
  readonly #direction: 'readable' | 'writable';
  readonly #turn = new Turn();
  #entries: Entry<T>[] = [];
  /** One wait on the descriptor serves all entries; it is given up when there are none left. */
  #wake: { deadline: Deadline; stop(): void } | undefined;
  #waiting = false;

  constructor(readiness: Readiness, direction: 'readable' | 'writable') {
    this.#readiness = readiness;
    this.#direction = direction;
  }
  /** Whether an operation may be tried at once: nobody came before, and it is not to wait for the event loop. */
  enter(): boolean {
    return this.#entries.length === 0 && this.#turn.take();
  }
  get empty(): boolean {
    return this.#entries.length === 0;
  }
  /** Lines up. `attempt` is made when all who came before are served, and again until it gives something. */
  join(deadline: Deadline, attempt: () => T | undefined): Promise<T> {
    const entry: Entry<T> = {
      attempt,
      pending: new Pending(deadline, (error) => {
        this.#remove(entry);
        entry.pending.reject(error);
      }),
    };
    this.#entries.push(entry);
    if (!this.#turn.over) this.#watch();
    else if (this.#entries.length === 1) this.#turn.next(() => this.serve());
    return entry.pending.promise;
  }
  /** Makes the attempts that succeed now. */
  serve(): void {
    while (this.#entries.length > 0) {
      const { attempt, pending } = this.#entries[0]!;
      try {
        const result = attempt();
        if (result === undefined) {
          this.#watch();
          return;
        }
        this.#entries.shift();
        pending.resolve(result);
      } catch (error) {
        this.#entries.shift();
        pending.reject(error);
      }
    }
    this.#stop();
  }
  /** Ends all with `error`. */
  fail(error: unknown): void {
    for (const { pending } of this.#entries.splice(0)) pending.reject(error);
    this.#stop();
  }

  #remove(entry: Entry<T>): void {
    const index = this.#entries.indexOf(entry);
    if (index >= 0) this.#entries.splice(index, 1);
    if (this.#entries.length === 0) this.#stop();
  }
  #watch(): void {
    if (this.#waiting) return;
    if (this.#wake === undefined) {
      const controller = new AbortController();
      const deadline = new Deadline('wait for the queue', { signal: controller.signal });
      this.#wake = { deadline, stop: () => controller.abort() };
    }
    const wake = this.#wake;
    this.#waiting = true;
    this.#readiness[this.#direction](wake.deadline).then(
      () => {
        if (wake !== this.#wake) return;
        this.#waiting = false;
        this.serve();
      },
      (error) => {
        if (wake !== this.#wake) return;
        this.#waiting = false;
        this.fail(error);
      },
    );
  }
  #stop(): void {
    if (!this.#waiting) return;
    const wake = this.#wake;
    this.#waiting = false;
    this.#wake = undefined;
    wake?.stop();
  }
}
