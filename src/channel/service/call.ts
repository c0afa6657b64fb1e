/**
 * One call, on the side of the client: a promise of its result, and an iterator of its values. The service's first frame says which of the
 * two it is; using it as the other is a TypeError.
 *
 * Errors are created where they are thrown, in a reaction of the awaited promise: this way V8 puts the waiting functions into their stack,
 * and a successful call costs nothing extra.
 */
import { Deadline } from '../../system/deadline.js';
import { reason } from './call-errors.js';
import type { CallOptions } from './types.js';

/** What a call needs of its client. */
export interface CallOwner {
  /** A call waits for a frame (+1), or does not any more (-1). */
  want(change: 1 | -1): void;
  /** Takes it out of the queue, or tells the service that it is not needed any more. */
  cancel(call: Call): void;
  /** A stream's consumer has used values that took so many bytes. */
  consumed(call: Call, bytes: number): void;
  readonly name: string;
}
interface Waiter {
  resolve(result: IteratorResult<unknown, void> | Promise<IteratorResult<unknown, void>>): void;
  callOff: (() => void) | undefined;
}
/** A stream's values that were not requested yet, and pending requests. One of the two is empty. */
class Inflow {
  readonly waiters: Waiter[] = [];
  readonly #values: unknown[] = [];
  readonly #costs: number[] = [];
  #first = 0;
  /** The cost of the last value taken. */
  cost = 0;

  get empty(): boolean {
    return this.#first === this.#values.length;
  }
  put(value: unknown, cost: number): void {
    this.#values.push(value);
    this.#costs.push(cost);
  }
  take(): unknown {
    const at = this.#first++;
    const value = this.#values[at];
    this.cost = this.#costs[at]!;
    this.#values[at] = undefined;
    if (this.empty) this.forget();
    return value;
  }
  forget(): void {
    this.#values.length = 0;
    this.#costs.length = 0;
    this.#first = 0;
  }
}
const DONE: IteratorResult<unknown, void> = { done: true, value: undefined };
const nothing = () => {};

export class Call implements AsyncIterableIterator<unknown, void>, AsyncDisposable {
  readonly method: string;
  /** Its position among the client's calls. */
  serial = 0;
  /** Its number on the wire, 0: not sent yet. */
  id = 0;
  /** Its position among the calls of its connection, from 1; 0: none. */
  ordinal = 0;
  /** The frame, until it is sent; with `reconnect` until it is answered. */
  frame: Uint8Array | undefined;
  /** Bytes that the service may still send, of its window. */
  credit = 0;
  /** Bytes that were consumed and not reported yet. */
  owed = 0;
  readonly #owner: CallOwner;
  readonly #options: CallOptions | undefined;
  /** Ends the watch for time-out and abort. */
  #callOff: () => void = nothing;
  /** It waits for its next frame. */
  #wanting = true;
  #kind: 'unknown' | 'value' | 'stream' = 'unknown';
  /** Later frames do not matter. */
  #settled = false;
  #failure: (() => Error) | undefined;
  #value: unknown;
  #promise: Promise<unknown> | undefined;
  #resolve: (value: unknown) => void = nothing;
  #inflow: Inflow | undefined;
  #iterated = false;

  constructor(owner: CallOwner, method: string, options: CallOptions | undefined) {
    this.#owner = owner;
    this.method = method;
    this.#options = options;
    owner.want(1);
    if (options === undefined) return;
    const deadline = new Deadline(this.#what, options);
    if (options.signal?.aborted) this.#interrupt(options.signal.reason);
    else this.#callOff = deadline.onEnd((error) => this.#interrupt(error));
  }
  get settled(): boolean {
    return this.#settled;
  }
  get #what(): string {
    return `${this.method}() of service '${this.#owner.name}'`;
  }

  // Called by the client.

  /** The result, or the end of the stream. */
  succeed(value: unknown): void {
    if (this.#settled) return;
    if (this.#kind !== 'stream') {
      this.#kind = 'value';
      this.#value = value;
    }
    this.#settle();
  }
  /**
   * @param make creates the error, where it is thrown
   * @param answered the service has said so, and so the call is no stream
   */
  fail(make: () => Error, answered = false): void {
    if (this.#settled) return;
    this.#failure = make;
    const unseen = this.#kind === 'unknown' && !this.#iterated && this.#promise === undefined;
    this.#settle();
    if (!unseen) return;
    if (answered)
      void this.#asPromise(); // if it is never handled, Node reports it, as for any promise
    else
      unseenFailures.register(this, `${this.#what} failed, and the error was never handled: ${reason(make())}`, this);
  }
  stream(): void {
    if (this.#settled || this.#kind === 'stream') return;
    this.#kind = 'stream';
    this.#callOff();
    const { signal } = this.#options ?? {};
    this.#callOff =
      signal === undefined ? nothing : new Deadline(this.#what, { signal }).onEnd((error) => this.#interrupt(error));
    if (this.#promise !== undefined) {
      this.#owner.cancel(this);
      this.fail(() => this.#misused('returns a stream of values: use `for await` or `next()`'));
      return;
    }
    this.#wants();
  }
  get isStream(): boolean {
    return this.#kind === 'stream';
  }
  item(value: unknown, cost: number): void {
    if (this.#settled) return;
    const inflow = (this.#inflow ??= new Inflow());
    const waiter = inflow.waiters.shift();
    if (waiter === undefined) {
      inflow.put(value, cost);
      return;
    }
    if (inflow.waiters.length === 0) this.#wants();
    waiter.callOff?.();
    waiter.resolve({ done: false, value });
    this.#owner.consumed(this, cost);
  }

  // Called by the caller.

  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  then<A, B>(fulfilled?: ((value: unknown) => A) | null, rejected?: ((reason: unknown) => B) | null): Promise<A | B> {
    return this.#asPromise().then(fulfilled, rejected) as Promise<A | B>;
  }
  catch<B>(rejected?: ((reason: unknown) => B) | null): Promise<unknown> {
    return this.#asPromise().catch(rejected);
  }
  finally(done?: (() => void) | null): Promise<unknown> {
    return this.#asPromise().finally(done);
  }
  get [Symbol.toStringTag](): string {
    return 'Promise';
  }
  [Symbol.asyncIterator](): this {
    this.#iterate();
    return this;
  }
  next(): Promise<IteratorResult<unknown, void>> {
    this.#iterate();
    const inflow = (this.#inflow ??= new Inflow());
    if (!inflow.empty) {
      const value = inflow.take();
      this.#owner.consumed(this, inflow.cost);
      return Promise.resolve({ done: false, value });
    }
    if (this.#settled) return inReaction(() => this.#last());
    return this.#later(inflow);
  }
  async return(): Promise<IteratorResult<unknown, void>> {
    this.#iterate();
    if (!this.#settled) {
      this.#owner.cancel(this);
      this.#settle();
    }
    this.#kind = 'stream';
    this.#failure = undefined;
    this.#inflow?.forget();
    return DONE;
  }
  async throw(error?: unknown): Promise<IteratorResult<unknown, void>> {
    await this.return();
    throw error;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** It is used as a stream: next() reports the error, so the promise need not. */
  #iterate(): void {
    if (this.#iterated) return;
    this.#iterated = true;
    if (!this.#settled) return;
    unseenFailures.unregister(this);
    this.#promise?.catch(nothing);
  }
  #asPromise(): Promise<unknown> {
    if (this.#promise !== undefined) return this.#promise;
    if (this.#settled) unseenFailures.unregister(this);
    if (this.#kind === 'stream' && this.#failure === undefined) {
      void this.return();
      this.#failure = () => this.#misused('returns a stream of values: use `for await` or `next()`');
    }
    if (this.#settled) this.#promise = this.#failure === undefined ? Promise.resolve(this.#value) : this.#rejection();
    else {
      this.#promise = new Promise((resolve) => {
        this.#resolve = resolve;
      });
    }
    return this.#promise;
  }
  #rejection(): Promise<unknown> {
    const failure = this.#failure!; // kept: return() clears it
    const below = (): never => {
      throw placed(failure(), below);
    };
    return inReaction(below);
  }
  /** The result of a stream that has ended. An error comes once. */
  #last(): IteratorResult<unknown, void> {
    const failure = this.#failure;
    if (failure === undefined && this.#kind !== 'value') return DONE;
    const error = failure === undefined ? this.#misused('returns one value: use `await`') : failure();
    this.#failure = undefined;
    this.#kind = 'stream';
    throw placed(error, this.#last);
  }
  #later(inflow: Inflow): Promise<IteratorResult<unknown, void>> {
    const waiter: Waiter = { resolve: nothing, callOff: undefined };
    const promise = new Promise<IteratorResult<unknown, void>>((resolve) => {
      waiter.resolve = resolve;
    });
    inflow.waiters.push(waiter);
    const { timeout } = this.#options ?? {};
    if (timeout !== undefined && this.#kind === 'stream') {
      const deadline = new Deadline(`the next value of ${this.#what}`, { timeout });
      waiter.callOff = deadline.onEnd((error) => this.#interrupt(error));
    }
    this.#wants();
    return promise;
  }
  #interrupt(error: unknown): void {
    if (this.#settled) return;
    if (error instanceof Error && error === this.#options?.signal?.reason) given.add(error);
    this.#owner.cancel(this);
    this.#inflow?.forget();
    this.fail(() => error as Error);
  }
  #settle(): void {
    this.#settled = true;
    this.frame = undefined;
    this.#callOff();
    this.#wants();
    if (this.#promise !== undefined) this.#resolve(this.#failure === undefined ? this.#value : this.#rejection());
    const inflow = this.#inflow;
    if (inflow === undefined) return;
    for (const waiter of inflow.waiters.splice(0)) {
      waiter.callOff?.();
      waiter.resolve(inReaction(() => this.#last()));
    }
  }
  #wants(): void {
    const wants = !this.#settled && (this.#kind === 'unknown' || (this.#inflow?.waiters.length ?? 0) > 0);
    if (wants === this.#wanting) return;
    this.#wanting = wants;
    this.#owner.want(wants ? 1 : -1);
  }
  #misused(how: string): TypeError {
    return Object.assign(new TypeError(`${this.#what} ${how}`), { code: 'ERR_VECINO_WRONG_CALL' });
  }
}
/** The result or error of `make`, once the returned promise was adopted by the awaited one. */
function inReaction<T>(make: () => T): Promise<T> {
  return Promise.resolve().then(nothing).then(make);
}
/** Puts the caller into the error's stack, instead of the arrival of the answer. */
function placed(error: unknown, below: () => unknown): unknown {
  if (error instanceof Error && !given.has(error)) {
    given.add(error);
    try {
      Error.captureStackTrace(error, below);
    } catch {
      // The error is frozen, and has a stack already.
    }
  }
  return error;
}
/**
 * A call that fails before the service has said what it is may be a stream that was not iterated yet, and a rejection would end a program
 * that is about to. When it is collected, it is certain that its error was never handled.
 */
const unseenFailures = new FinalizationRegistry((text: string) => {
  process.emitWarning(text, {
    code: 'VECINO_CALL_FAILED',
    detail: 'Await the call or iterate over it, or catch() its error if that does not matter.',
  });
});
/** Errors of the user: the reason of an abort. */
const given = new WeakSet<Error>();
