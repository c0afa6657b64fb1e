/**
 * Counts results that were had without waiting. A program that awaits nothing else would never let its event loop turn, so after
 * so many in one turn the next has to wait for the loop.
 */
export class Turn {
  static readonly #MOST = 64;
  #count = 0;
  /** Whether one more may be had in this turn. */
  take(): boolean {
    return this.#count++ < Turn.#MOST;
  }
  /** Whether there were too many. */
  get over(): boolean {
    return this.#count > Turn.#MOST;
  }
  /** Calls back in the loop's next turn. */
  next(callback: () => void): void {
    setImmediate(() => {
      this.#count = 0;
      callback();
    });
  }
}
