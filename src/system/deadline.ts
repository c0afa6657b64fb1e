/** Limits a wait by time and by an AbortSignal. */
import { performance } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';
import { checkOptions, type OptionNames } from './arguments.js';
import { invalidArgument, TimeoutError } from './errors.js';

/** Options of every operation that may have to wait. */
export interface WaitOptions {
  /** Milliseconds until the wait fails with {@link TimeoutError}. Default: no limit. 0 means one try. */
  timeout?: number | undefined;
  /** Aborting it rejects the wait with the signal's reason. */
  signal?: AbortSignal | undefined;
}
/** Options of the `Sync` calls. They block the thread, so they cannot be aborted. */
export type SyncWaitOptions = Pick<WaitOptions, 'timeout'>;
/** You can pass the options of the other calls to a `Sync` call. */
export const WAIT_OPTIONS: OptionNames<WaitOptions> = { timeout: true, signal: true };

/**
 * The thread of a `Worker` must return to JavaScript from time to time, or `terminate()` and the exit of the program would wait for it for
 * ever. The main thread need not, and so never wakes up without reason.
 */
const MAX_BLOCK_MS = isMainThread ? -1 : 250;
/** setTimeout's longest delay. */
const MAX_TIMER_MS = 0x7fffffff;
const nothing = () => {};

/** The listeners behind our single listener on each signal. With one listener per wait, Node would warn of a leak beyond ten. */
const abortions = new WeakMap<AbortSignal, Abortion>();
interface Abortion {
  readonly calls: Set<() => void>;
  readonly listener: () => void;
}
/** Calls `call` when the signal aborts. Returns a function that cancels that. */
function onAborted(signal: AbortSignal, call: () => void): () => void {
  let abortion = abortions.get(signal);
  if (abortion === undefined) {
    const calls = new Set<() => void>();
    const listener = () => {
      abortions.delete(signal);
      for (const each of calls) each(); // without those that an earlier one has cancelled
    };
    signal.addEventListener('abort', listener, { once: true });
    abortion = { calls, listener };
    abortions.set(signal, abortion);
  }
  const { calls, listener } = abortion;
  calls.add(call);
  return () => {
    if (!calls.delete(call) || calls.size > 0 || signal.aborted) return;
    abortions.delete(signal);
    signal.removeEventListener('abort', listener);
  };
}

/** The time limit of one operation, fixed when it begins: time that has passed counts against all later waits. */
export class Deadline {
  readonly #what: string;
  readonly #timeout: number;
  readonly #end: number;
  readonly #signal: AbortSignal | undefined;

  /**
   * @param what the operation, for the message of the time-out: `"send to queue 'jobs'"`
   * @param names all options of the operation
   */
  constructor(what: string, options?: WaitOptions, names: Readonly<Record<string, true>> = WAIT_OPTIONS) {
    const { timeout = Number.POSITIVE_INFINITY, signal } = checkOptions('options', options, names) ?? {};
    if (typeof timeout !== 'number')
      throw invalidArgument('ERR_INVALID_ARG_TYPE', 'options.timeout', 'a number of milliseconds', timeout);
    if (!(timeout >= 0))
      throw invalidArgument('ERR_OUT_OF_RANGE', 'options.timeout', 'at least 0 milliseconds', timeout);
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw invalidArgument('ERR_INVALID_ARG_TYPE', 'options.signal', 'an AbortSignal', signal);
    }
    this.#what = what;
    this.#timeout = timeout;
    this.#end = timeout === Number.POSITIVE_INFINITY ? timeout : performance.now() + timeout;
    this.#signal = signal;
  }
  /** The signal that may abort the wait. */
  get signal(): AbortSignal | undefined {
    return this.#signal;
  }
  /** Milliseconds left, never negative; `Infinity` without a time-out. */
  remaining(): number {
    return this.#end === Number.POSITIVE_INFINITY ? this.#end : Math.max(0, this.#end - performance.now());
  }
  /** Whether no time is left. */
  get expired(): boolean {
    return this.#end !== Number.POSITIVE_INFINITY && performance.now() >= this.#end;
  }
  /** The milliseconds that one blocking call may take (-1: no limit); throws when no time is left. */
  block(): number {
    if (this.#end === Number.POSITIVE_INFINITY) return MAX_BLOCK_MS;
    const left = this.#end - performance.now();
    if (left <= 0) throw this.error();
    return MAX_BLOCK_MS < 0 ? left : Math.min(left, MAX_BLOCK_MS);
  }
  /**
   * Calls `end` with the error when the time is up or the signal aborts. Returns a function that cancels that. The timer does not keep the
   * program running; the wait that it limits may (keep-alive.ts). Check yourself whether the signal has aborted already.
   */
  onEnd(end: (error: unknown) => void): () => void {
    const { signal } = this;
    const limited = this.#end !== Number.POSITIVE_INFINITY;
    if (!limited && signal === undefined) return nothing;
    let timer: NodeJS.Timeout | undefined;
    const onTimer = () => {
      const left = this.remaining();
      if (left > 0) timer = setTimeout(onTimer, Math.min(left + 1, MAX_TIMER_MS)).unref();
      else end(this.error());
    };
    const forget = signal === undefined ? nothing : onAborted(signal, () => end(signal.reason));
    if (limited) timer = setTimeout(onTimer, Math.min(this.remaining(), MAX_TIMER_MS)).unref();
    return () => {
      clearTimeout(timer);
      forget();
    };
  }
  /** The error for an expired deadline. */
  error(): TimeoutError {
    return new TimeoutError(this.#what, this.#timeout);
  }
}
