/** Publications that wait for the end of a loan, in order. */
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

  /** Resolves when it is published. A time-out or abort removes it unpublished. */
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
  /** Publishes all of them. */
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
  /** Rejects all of them. */
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
