/**
 * One call, on the side of the client: a promise of its answer, and an iterator of its values. Which of both it is the service's
 * first frame tells; who has used it as the other gets a TypeError.
 *
 * The errors that callers see are made where they are thrown, in a reaction of the promise that is awaited: that way V8 puts the
 * functions that wait into their stack, and a call that succeeds does not pay for it.
 */
import { Deadline } from '../../system/deadline.js';
import type { CallOptions } from './types.js';

/** What a call needs of its client. */
export interface CallOwner {
  /** A call waits for a frame (+1), or does not any more (-1). */
  want(change: 1 | -1): void;
  /** Takes it out of the queue, or tells the service that nobody waits for it. */
  cancel(call: Call): void;
  /** A stream's consumer has used values up that took so many bytes. */
  consumed(call: Call, bytes: number): void;
  readonly name: string;
}
interface Waiter {
  resolve(give: () => IteratorResult<unknown, void>): void;
  callOff: (() => void) | undefined;
}
const DONE: IteratorResult<unknown, void> = { done: true, value: undefined };
const nothing = () => {};

export class Call implements AsyncIterableIterator<unknown, void>, AsyncDisposable {
  readonly method: string;
  /** Its number on the wire, 0: not sent yet. */
  id = 0;
  /** The frame, until it is sent; with `reconnect` until it is answered. */
  frame: Uint8Array | undefined;
  /** Bytes that the service may send and has not, of its window. */
  credit = 0;
  /** Bytes that were consumed and not told of yet. */
  owed = 0;
  readonly #owner: CallOwner;
  readonly #options: CallOptions | undefined;
  /** Of the time-out and the abort. */
  #callOff: () => void = nothing;
  /** Somebody waits for its next frame. */
  #wanting = true;
  #kind: 'unknown' | 'value' | 'stream' = 'unknown';
  /** Nothing that comes will matter. */
  #settled = false;
  #failure: (() => Error) | undefined;
  #value: unknown;
  #gate: Promise<void> | undefined;
  #open: () => void = nothing;
  #promise: Promise<unknown> | undefined;
  /** A stream's values that nobody has asked for yet, and those who have asked. One of both is empty. */
  #ready: unknown[] = [];
  #costs: number[] = [];
  #first = 0;
  #waiters: Waiter[] = [];
  #iterated = false;

  constructor(owner: CallOwner, method: string, options: CallOptions | undefined) {
    this.#owner = owner;
    this.method = method;
    this.#options = options;
    owner.want(1);
    if (options === undefined) return;
    const deadline = new Deadline(this.#what, options);
    if (options.signal?.aborted) this.#interrupt(options.signal.reason);
    else this.#callOff = deadline.onEnd(this.#interrupt);
  }
  get settled(): boolean {
    return this.#settled;
  }
  get #what(): string {
    return `${this.method}() of service '${this.#owner.name}'`;
  }

  // What the client tells it.

  /** The result, or the end of the stream. */
  succeed(value: unknown): void {
    if (this.#settled) return;
    if (this.#kind !== 'stream') {
      this.#kind = 'value';
      this.#value = value;
    }
    this.#settle();
  }
  /** @param make gives the error, where it is to be thrown */
  fail(make: () => Error): void {
    if (this.#settled) return;
    this.#failure = make;
    const unseen = this.#kind === 'unknown' && !this.#iterated;
    this.#settle();
    if (unseen) void this.#asPromise(); // if nobody ever looks, Node says so, as of any promise
  }
  stream(): void {
    if (this.#settled || this.#kind === 'stream') return;
    this.#kind = 'stream';
    this.#callOff();
    const { signal } = this.#options ?? {};
    this.#callOff = signal === undefined ? nothing : new Deadline(this.#what, { signal }).onEnd(this.#interrupt);
    if (this.#promise !== undefined) {
      this.#owner.cancel(this);
      this.fail(() => this.#misused('gives a stream of values: use `for await`, or `next()`'));
      return;
    }
    this.#wants();
  }
  get isStream(): boolean {
    return this.#kind === 'stream';
  }
  item(value: unknown, cost: number): void {
    if (this.#settled) return;
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      this.#ready.push(value);
      this.#costs.push(cost);
      return;
    }
    this.#wants();
    waiter.callOff?.();
    waiter.resolve(() => ({ done: false, value }));
    this.#owner.consumed(this, cost);
  }

  // What the caller does with it.

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
    return this;
  }
  next(): Promise<IteratorResult<unknown, void>> {
    this.#iterated = true;
    if (this.#first < this.#ready.length) return Promise.resolve({ done: false, value: this.#shift() });
    if (this.#settled) return Promise.resolve().then(this.#last);
    return this.#later();
  }
  async return(): Promise<IteratorResult<unknown, void>> {
    this.#iterated = true;
    if (!this.#settled) {
      this.#owner.cancel(this);
      this.#settle();
    }
    this.#kind = 'stream';
    this.#failure = undefined;
    this.#forget();
    return DONE;
  }
  async throw(error?: unknown): Promise<IteratorResult<unknown, void>> {
    await this.return();
    throw error;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #asPromise(): Promise<unknown> {
    if (this.#promise !== undefined) return this.#promise;
    if (this.#kind === 'stream' && this.#failure === undefined) {
      void this.return();
      this.#failure = () => this.#misused('gives a stream of values: use `for await`, or `next()`');
    }
    this.#gate = this.#settled
      ? Promise.resolve()
      : new Promise((resolve) => {
          this.#open = resolve;
        });
    return (this.#promise = this.#gate.then(this.#result));
  }
  readonly #result = (): unknown => {
    if (this.#failure === undefined) return this.#value;
    throw placed(this.#failure(), this.#result);
  };
  /** What a stream gives that has ended. An error once. */
  readonly #last = (): IteratorResult<unknown, void> => {
    const failure = this.#failure;
    if (failure !== undefined) {
      this.#failure = undefined;
      this.#kind = 'stream';
      throw placed(failure(), this.#last);
    }
    if (this.#kind === 'value') {
      this.#kind = 'stream';
      throw placed(this.#misused('gives one value: use `await`'), this.#last);
    }
    return DONE;
  };
  #later(): Promise<IteratorResult<unknown, void>> {
    const waiter: Waiter = { resolve: nothing, callOff: undefined };
    const promise = new Promise<() => IteratorResult<unknown, void>>((resolve) => {
      waiter.resolve = resolve;
    }).then(take);
    this.#waiters.push(waiter);
    const { timeout } = this.#options ?? {};
    if (timeout !== undefined && this.#kind === 'stream')
      waiter.callOff = new Deadline(`the next value of ${this.#what}`, { timeout }).onEnd(this.#interrupt);
    this.#wants();
    return promise;
  }
  #shift(): unknown {
    const at = this.#first++;
    const value = this.#ready[at];
    const cost = this.#costs[at]!;
    this.#ready[at] = undefined;
    if (this.#first === this.#ready.length) {
      this.#ready.length = 0;
      this.#costs.length = 0;
      this.#first = 0;
    }
    this.#owner.consumed(this, cost);
    return value;
  }
  readonly #interrupt = (error: unknown): void => {
    if (this.#settled) return;
    if (error instanceof Error && error === this.#options?.signal?.reason) given.add(error);
    this.#owner.cancel(this);
    this.#forget();
    this.fail(() => error as Error);
  };
  #forget(): void {
    this.#ready.length = 0;
    this.#costs.length = 0;
    this.#first = 0;
  }
  #settle(): void {
    this.#settled = true;
    this.frame = undefined;
    this.#callOff();
    this.#wants();
    this.#open();
    if (this.#waiters.length === 0) return;
    for (const waiter of this.#waiters.splice(0)) {
      waiter.callOff?.();
      waiter.resolve(this.#last);
    }
  }
  #wants(): void {
    const wants = !this.#settled && (this.#kind === 'unknown' || this.#waiters.length > 0);
    if (wants === this.#wanting) return;
    this.#wanting = wants;
    this.#owner.want(wants ? 1 : -1);
  }
  #misused(how: string): TypeError {
    return Object.assign(new TypeError(`${this.#what} ${how}`), { code: 'ERR_VECINO_WRONG_CALL' });
  }
}
const take = (give: () => IteratorResult<unknown, void>): IteratorResult<unknown, void> => give();

/** Says in the error's stack who waits for the call, instead of how its answer came. */
function placed(error: unknown, below: () => unknown): unknown {
  if (error instanceof Error && !given.has(error)) {
    given.add(error);
    try {
      Error.captureStackTrace(error, below);
    } catch {
      // Frozen. It has a stack already.
    }
  }
  return error;
}
/** Errors that are somebody else's: the reason of an abort. */
const given = new WeakSet<Error>();
