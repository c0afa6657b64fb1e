/**
 * Limits how many of this thread's connects to one listener are in progress; the others wait in order.
 *
 * A listener's backlog holds some thousand, and a connect that finds it full can only try again: the kernel has nothing to wait for. So a
 * burst waits here, where it costs neither descriptors nor system calls.
 */
import type { Deadline } from '../../system/deadline.js';

export const MAX_UNDER_WAY = 64;

export class Turnstile {
  static readonly #all = new Map<string, Turnstile>();
  readonly #path: string;
  #inside = 0;
  readonly #waiting = new Set<() => void>();

  private constructor(path: string) {
    this.#path = path;
  }
  /** Resolves with the turnstile, to {@link leave} afterwards; rejects as `deadline` says. */
  static async enter(path: string, deadline: Deadline): Promise<Turnstile> {
    let turnstile = Turnstile.#all.get(path);
    if (turnstile === undefined) {
      turnstile = new Turnstile(path);
      Turnstile.#all.set(path, turnstile);
    }
    await turnstile.#enter(deadline);
    return turnstile;
  }
  leave(): void {
    // The next one takes over the slot directly, so that no newcomer can get in between.
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      next();
      return;
    }
    if (--this.#inside === 0) Turnstile.#all.delete(this.#path);
  }
  #enter(deadline: Deadline): Promise<void> | undefined {
    if (this.#inside < MAX_UNDER_WAY) {
      this.#inside++;
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const callOff = deadline.onEnd((error) => {
        callOff();
        this.#waiting.delete(enter);
        reject(error);
      });
      const enter = () => {
        callOff();
        resolve();
      };
      this.#waiting.add(enter);
    });
  }
}
