/** The call that a handler answers: its `this`. */
import type { Credentials } from '../../system/socket-option.js';

/**
 * The `this` of a handler while it answers a call (except of arrow functions, which have none).
 *
 * @example
 * ```ts
 * import { type CallContext, serve } from 'vecino';
 * import { setTimeout } from 'node:timers/promises';
 *
 * await using service = await serve('example-sleeper', {
 *   async sleep(this: CallContext, milliseconds: number) {
 *     await setTimeout(milliseconds, undefined, { signal: this.signal }); // ends early if the caller gives up or dies
 *   },
 * });
 * ```
 */
export class CallContext {
  readonly #method: string;
  readonly #peer: Credentials;
  #controller: AbortController | undefined;
  #reason: unknown;
  #aborted = false;

  /** @internal */
  constructor(method: string, peer: Credentials) {
    this.#method = method;
    this.#peer = peer;
  }
  /** The method's name. */
  get method(): string {
    return this.#method;
  }
  /** The caller's credentials, as reported by the kernel. */
  get peer(): Credentials {
    return this.#peer;
  }
  /**
   * Aborts when the answer is not needed any more: the caller has cancelled, left its loop, timed out, closed or died, or the service
   * closes. Its reason says which.
   */
  get signal(): AbortSignal {
    // Created on first use: most handlers never read it, and it costs more than the rest of a call.
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }
  /** @internal */
  static abort(context: CallContext, reason: unknown): void {
    if (context.#aborted) return;
    context.#aborted = true;
    context.#reason = reason;
    context.#controller?.abort(reason);
  }
}
