/**
 * Counts what was had without waiting. A program that awaits nothing else would never let its event loop turn, so after so
 * many in one turn the next has to wait for the loop.
 */
const MOST = 128;

export class Turn {
  #count = 0;
  #next: Promise<void> | undefined;

  /** Counts one more, and tells whether it is too many: then await {@link next} first. */
  get over(): boolean {
    if (this.#next !== undefined) return true;
    return this.#count++ >= MOST;
  }
  /** Resolves in the loop's next turn. */
  next(): Promise<void> {
    this.#next ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#count = 0;
        this.#next = undefined;
        resolve();
      });
    });
    return this.#next;
  }
}
