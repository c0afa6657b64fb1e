/** How the handlers of one side become the methods of the other. */

import type { OptionNames } from '../../system/arguments.js';
import type { Bytes } from '../../system/bytes.js';
import { WAIT_OPTIONS, type WaitOptions } from '../../system/deadline.js';
import type { ListenOptions } from '../connection/index.js';
import { LISTEN_OPTIONS } from '../connection/listener.js';

/**
 * The values that a handler yields. Leaving its `for await` loop cancels the handler. At most a window of values is in transit, so a slow
 * consumer pauses the handler instead of filling the memory. You can iterate once.
 */
export interface RemoteStream<T> extends AsyncIterableIterator<T>, AsyncDisposable {
  /** Returns the next value; waits for it. Rejects with what the handler threw, or with `PeerDiedError` if the service's process died. */
  next(): Promise<IteratorResult<T, void>>;
  /** Cancels the handler: its `finally` blocks run there. Resolves at once. */
  return(): Promise<IteratorResult<T, void>>;
  /** Cancels the handler, as `return()` does, and rejects with `error`. */
  throw(error?: unknown): Promise<IteratorResult<T, void>>;
}
type IsAny<T> = 0 extends T & 1 ? true : false;
/**
 * The type of a value on the receiving side: bytes of any class (`Buffer` too) arrive as a `Uint8Array` in memory of its own. Everything
 * else arrives as it was sent.
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
/** What a call of a handler that returns `R` returns to the caller. */
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
/** Names that belong to the client; {@link serve} refuses them, and those that every object has. */
export type ReservedName = 'then' | 'toJSON' | 'close' | 'ref' | 'unref' | `$${string}`;

/** Options of one call. */
export interface CallOptions extends WaitOptions {
  /**
   * Milliseconds for the whole call, including the wait until it could be sent; for a stream, for each value. After that the call is
   * cancelled, and fails with TimeoutError.
   */
  timeout?: number | undefined;
  /** Aborts the call, which then fails with the signal's reason; a stream can be aborted at any time. */
  signal?: AbortSignal | undefined;
}
/** The members of every client, besides the service's methods. */
export interface ClientBase<H> extends Disposable, AsyncDisposable {
  /** A view of this client with other options for its calls: `await c.$with({ timeout: 100 }).add(1, 2)`. You can keep it. */
  $with(options: CallOptions): Client<H>;
  /** Calls a method by name, if you do not know it beforehand. */
  $call(method: string, ...args: unknown[]): Promise<unknown> & RemoteStream<unknown>;
  /** The number of calls without an answer yet. */
  readonly $pending: number;
  /** Calls keep the program running until they are answered. This is the default. Holds for all views ({@link $with}). */
  ref(): this;
  /** Calls, pending and future ones, do not keep the program running. */
  unref(): this;
  /** Cancels all calls, which fail with ClosedError, and closes the connection. Idempotent. */
  close(): void;
}
/** The methods of a service: the parameters of its handlers, and a promise or a stream of their results. */
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
  /** The most calls in flight of one client, up to 65,536. Default: 1024. Further calls wait in the client until others are answered. */
  maxCalls?: number;
}
export interface ClientOptions extends ListenOptions<unknown>, WaitOptions {
  /** Milliseconds that connecting may take. Default: 30,000, or no limit with `reconnect`. */
  timeout?: number | undefined;
  /** Aborts connecting. */
  signal?: AbortSignal | undefined;
  /**
   * When the service has died or closed: whether to wait for the next one of that name. Calls that were in flight fail all the same,
   * because they may have been executed; later calls wait, within their time-outs. `client()` itself waits as well. Default: false.
   */
  reconnect?: boolean;
  /** How many bytes of values (plus 64 for each) a stream may be ahead of its consumer. Default: 65,536. */
  window?: number;
}
/** You can pass one object to both sides: each ignores the other's options. */
export const SERVICE_OPTIONS: OptionNames<ServeOptions & ClientOptions> = {
  maxCalls: true,
  reconnect: true,
  window: true,
  ...LISTEN_OPTIONS,
  ...WAIT_OPTIONS,
};
