/**
 * Calls that were sent and that the service has not ended yet, by their numbers. A number is used again only once the service has ended its
 * call.
 */
import type { Call } from './call.js';

export class CallsInFlight {
  readonly #calls = new Map<number, Call>();
  #lastId = 0;

  get size(): number {
    return this.#calls.size;
  }
  /** Those that were not cancelled. */
  get pending(): number {
    let pending = 0;
    for (const call of this.#calls.values()) if (!call.settled) pending++;
    return pending;
  }
  get(id: number): Call | undefined {
    return this.#calls.get(id);
  }
  has(call: Call): boolean {
    return this.#calls.get(call.id) === call;
  }
  /** Gives it a number. */
  add(call: Call): void {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#calls.has(this.#lastId));
    call.id = this.#lastId;
    this.#calls.set(call.id, call);
  }
  delete(call: Call): void {
    this.#calls.delete(call.id);
  }
  /** Removes and returns all of them. */
  clear(): Call[] {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    return calls;
  }
  /** Removes and returns those whose ordinal is above `last`. */
  clearAfter(last: number): Call[] {
    const calls = [...this.#calls.values()].filter((call) => call.ordinal > last);
    for (const call of calls) this.#calls.delete(call.id);
    return calls;
  }
}
