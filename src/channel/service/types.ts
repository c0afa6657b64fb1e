/** How handlers on one side are methods on the other. */

import type { OptionNames } from '../../system/arguments.js';
import type { Bytes } from '../../system/bytes.js';
import { WAIT_OPTIONS, type WaitOptions } from '../../system/deadline.js';
import type { ListenOptions } from '../connection/index.js';
import { LISTEN_OPTIONS } from '../connection/listener.js';

/**
 * The values that a handler yields, as they come. Leaving its `for await` cancels the handler; at most a window of values is on its
 * way, so that one who is slow to ask stops the handler, not the memory from being free. Takes one iteration.
 */
export interface RemoteStream<T> extends AsyncIterableIterator<T>, AsyncDisposable {
  /** The next value; waits for it. Rejects with what the handler threw, or with `PeerDiedError` if the server died. */
  next(): Promise<IteratorResult<T, void>>;
  /** Cancels the handler: its `finally` blocks run there. Resolves at once. */
  return(): Promise<IteratorResult<T, void>>;
  /** Cancels the handler, as `return()` does, and rejects with `error`. */
  throw(error?: unknown): Promise<IteratorResult<T, void>>;
}
type IsAny<T> = 0 extends T & 1 ? true : false;
/**
 * What has become of a value on its way: bytes of any class are a `Uint8Array` in memory of its own there (a `Buffer` too). All else arrives as
 * it was sent.
 */
export type Arrived<T> =
  IsAny<T> extends true
    ? T
    : T extends Uint8Array
      ? Bytes
      : // biome-ignore lint/complexity/noBannedTypes: what has no parts that could be bytes
        T extends string | number | bigint | boolean | symbol | null | undefined | Function | Date | RegExp | Error
        ? T
        : T extends ArrayBufferView | ArrayBufferLike
          ? T
          : T extends Map<infer K, infer V>
            ? Map<Arrived<K>, Arrived<V>>
            : T extends Set<infer V>
              ? Set<Arrived<V>>
              : T extends object
                ? { [K in keyof T]: Arrived<T[K]> }
                : T;
/** What a call of a handler that returns `R` is for the caller. */
export type RemoteResult<R> =
  IsAny<Awaited<R>> extends true
    ? Promise<Awaited<R>> & RemoteStream<Awaited<R>>
    : [Awaited<R>] extends [never]
      ? Promise<never>
      : Awaited<R> extends AsyncIterable<infer T>
        ? RemoteStream<Arrived<T>>
        : Promise<Arrived<Awaited<R>>>;
export type RemoteMethod<F> = F extends (this: infer _This, ...args: infer A) => infer R
  ? (...args: A) => RemoteResult<R>
  : never;
/** Names that the client has for itself; {@link serve} refuses them, and those that every object has. */
export type ReservedName = 'then' | 'toJSON' | 'close' | 'ref' | 'unref' | `$${string}`;

/** How one call is made. */
export interface CallOptions extends WaitOptions {
  /**
   * Milliseconds for the whole call, with waiting until it could be sent; of a stream for each value that is waited for. Then it is
   * cancelled, and fails with TimeoutError.
   */
  timeout?: number | undefined;
  /** Aborting it cancels the call, which fails with the signal's reason; of a stream at any time. */
  signal?: AbortSignal | undefined;
}
/** What every client has besides the service's methods. */
export interface ClientBase<H> extends Disposable, AsyncDisposable {
  /** The same client, whose calls are made under these options: `await c.$with({ timeout: 100 }).add(1, 2)`. To be kept as well. */
  $with(options: CallOptions): Client<H>;
  /** A call by name, for a method that is not known beforehand. */
  $call(method: string, ...args: unknown[]): Promise<unknown> & RemoteStream<unknown>;
  /** Calls that were made and have no answer yet. */
  readonly $pending: number;
  /** Calls keep the program running until they are answered: so it is unless {@link unref} was called. Of all views ({@link $with}) at once. */
  ref(): this;
  /** Calls, those in flight and those to come, do not keep the program running. */
  unref(): this;
  /** Cancels all calls, which fail with ClosedError, and ends the connection. Idempotent. */
  close(): void;
}
/** The methods of a service: what its handlers take, and a promise or a stream of what they give. */
export type Client<H> = ClientBase<H> & {
  readonly [K in keyof H as K extends ReservedName
    ? never
    : K extends string
      ? // biome-ignore lint/suspicious/noExplicitAny: any function
        H[K] extends (this: any, ...args: any) => any
        ? K
        : never
      : never]: RemoteMethod<H[K]>;
};
// biome-ignore lint/suspicious/noExplicitAny: nothing is known of them
export type AnyHandlers = Record<string, (...args: any[]) => any>;

export interface ServeOptions extends ListenOptions<unknown> {
  /**
   * How many calls of one client may be in flight; 1024 if not given, at most 65,536. Its further calls wait in the client until others
   * are answered.
   */
  maxCalls?: number;
}
export interface ClientOptions extends ListenOptions<unknown>, WaitOptions {
  /** Milliseconds that connecting may take; 30,000 if not given, or for ever with `reconnect`. */
  timeout?: number | undefined;
  /** Ends connecting. */
  signal?: AbortSignal | undefined;
  /**
   * When the service has died or closed: whether to wait for the next one of that name. Calls that were in flight fail all the
   * same, because they may have been executed; those made meanwhile wait, within their time-outs. `client()` itself waits as well.
   * false if not given.
   */
  reconnect?: boolean;
  /** Bytes of values (and 64 for each) that a stream may be ahead of who consumes it; 65,536 if not given. */
  window?: number;
}
/** One object may be given to both sides: neither minds the other's. */
export const SERVICE_OPTIONS: OptionNames<ServeOptions & ClientOptions> = {
  maxCalls: true,
  reconnect: true,
  window: true,
  ...LISTEN_OPTIONS,
  ...WAIT_OPTIONS,
};
