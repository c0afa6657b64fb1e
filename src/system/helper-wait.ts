/** Waits for one of the addon's helper threads (native/thread.c): its eventfd becomes readable when it has ended. */
import { check, errnoName } from './errors.js';
import { getrlimit } from './limits.js';
import { constants } from './native.js';
import { pollNow } from './poll.js';
import { READABLE, Readiness, type Waiter } from './readiness.js';

const POLLIN = constants['POLLIN']!;

/** The eventfd of a helper for `what`, or an error that says why there is none. */
export function checkStarted(event: number, what: string): number {
  const code = event < 0 ? errnoName(event) : '';
  if (code === 'EMFILE' || code === 'ENFILE') {
    return check(event, 'eventfd', {
      hint: `${what} needs a file descriptor; close some, or raise the limit (\`ulimit -n\`, now ${getrlimit('RLIMIT_NOFILE')})`,
    });
  }
  return check(event, 'pthread_create', { hint: `${what} needs a thread` });
}

export class HelperWait implements Waiter {
  /** The eventfd. The addon closes it when the helper is finished. */
  readonly event: number;
  /** @internal for {@link Readiness} */
  readonly events: number = READABLE;
  readonly #readiness: Readiness;
  readonly #ended: (error?: unknown) => void;
  #left = false;

  /** @param ended called in the event loop once the thread has ended, or with an error if the loop cannot wait; not after {@link leave} */
  constructor(event: number, ended: (error?: unknown) => void) {
    this.event = event;
    this.#ended = ended;
    this.#readiness = new Readiness(event, 'helper thread');
    this.listen();
  }
  /** Waits for the end of the thread's work; again after each end. */
  listen(): void {
    try {
      this.#readiness.notify(this);
    } catch (error) {
      queueMicrotask(() => this.settle(error));
    }
  }
  /** @internal */
  settle(error?: unknown): void {
    if (!this.#left) this.#ended(error);
  }
  /** Whether the thread has ended, even if the event loop has not seen it yet. */
  get ended(): boolean {
    return pollNow(this.event, POLLIN) !== 0;
  }
  /** The event loop stops waiting. Call it before the helper is finished. */
  leave(): number {
    this.#left = true;
    this.#readiness.close();
    return this.event;
  }
}
