/** What waits to be published until a loan is ended, in the order in which it came. */
import type { Deadline } from '../../system/deadline.js';
import { ClosedError } from '../../system/errors.js';
import type { KeepAlive } from '../../system/keep-alive.js';

interface Publication {
  readonly payload: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  callOff: () => void;
}

export class Publications {
  readonly #waiting = new Set<Publication>();
  readonly #keepAlive: KeepAlive;

  constructor(keepAlive: KeepAlive) {
    this.#keepAlive = keepAlive;
  }

  /** Resolves when it was published. A time-out or an abort takes it out: it was not. */
  add(payload: Uint8Array, deadline: Deadline): Promise<void> {
    return new Promise((resolve, reject) => {
      const publication: Publication = { payload, resolve, reject, callOff() {} };
      publication.callOff = deadline.onEnd((error) => {
        this.#remove(publication);
        reject(error);
      });
      this.#keepAlive.begin();
      this.#waiting.add(publication);
    });
  }
  /** Publishes them all. */
  flush(publish: (payload: Uint8Array) => void): void {
    for (const publication of this.#waiting) {
      this.#remove(publication);
      try {
        publish(publication.payload);
        publication.resolve();
      } catch (error) {
        publication.reject(error);
      }
    }
  }
  /** None of them will be. */
  close(what: string): void {
    for (const publication of this.#waiting) {
      this.#remove(publication);
      publication.reject(new ClosedError(what));
    }
  }
  #remove(publication: Publication): void {
    if (!this.#waiting.delete(publication)) return;
    publication.callOff();
    this.#keepAlive.end();
  }
}
