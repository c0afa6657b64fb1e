/**
 * Calls that wait for a service, in the order in which they were made, including calls that return because the previous service had not
 * read them.
 */
import type { Call } from './call.js';

export class CallQueue {
  readonly #calls = new Set<Call>();
  #inOrder = true;

  get size(): number {
    return this.#calls.size;
  }
  [Symbol.iterator](): IterableIterator<Call> {
    return this.#calls.values();
  }
  add(call: Call): void {
    this.#calls.add(call);
  }
  /** It was sent, but not executed: it waits for the next service, before those that were made after it, once {@link sort} was called. */
  addAgain(call: Call): void {
    call.id = 0;
    this.#calls.add(call);
    this.#inOrder = false;
  }
  delete(call: Call): boolean {
    return this.#calls.delete(call);
  }
  sort(): void {
    if (this.#inOrder) return;
    const calls = [...this.#calls].sort((a, b) => a.serial - b.serial);
    this.#calls.clear();
    for (const call of calls) this.#calls.add(call);
    this.#inOrder = true;
  }
  /** Rejects all of them. */
  fail(make: (call: Call) => Error): void {
    const calls = [...this.#calls];
    this.#calls.clear();
    for (const call of calls) call.fail(() => make(call));
  }
}
