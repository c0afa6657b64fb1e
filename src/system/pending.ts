/** A promise for an operation that waits; it ends with a result, an error, a time-out or an abort. */
import type { Deadline } from './deadline.js';
import type { KeepAlive } from './keep-alive.js';

export class Pending<T> {
  readonly promise: Promise<T>;
  readonly #callOff: () => void;
  readonly #keepAlive: KeepAlive;
  #over = false;
  #settle!: { resolve(value: T): void; reject(error: unknown): void };

  /**
   * @param expired called with the error once the time is up or the signal is aborted; it must resolve or reject
   * @param keepAlive of the object that is waited for
   */
  constructor(deadline: Deadline, expired: (error: unknown) => void, keepAlive: KeepAlive) {
    this.promise = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#callOff = deadline.onEnd(expired);
    this.#keepAlive = keepAlive;
    keepAlive.begin();
  }
  resolve(value: T): void {
    this.#end();
    this.#settle.resolve(value);
  }
  reject(error: unknown): void {
    this.#end();
    this.#settle.reject(error);
  }
  #end(): void {
    this.#callOff();
    if (this.#over) return;
    this.#over = true;
    this.#keepAlive.end();
  }
}
