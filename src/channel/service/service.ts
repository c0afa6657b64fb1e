/** The serving side: a listener of its own kind, and a session for each client. */
import { setTimeout as sleep } from 'node:timers/promises';
import { checkInteger, checkOptions } from '../../system/arguments.js';
import type { SyncWaitOptions } from '../../system/deadline.js';
import { Deadline } from '../../system/deadline.js';
import { RemovedError } from '../../system/errors.js';
import { KeepAlive } from '../../system/keep-alive.js';
import { readOnly } from '../../system/read-only.js';
import { Spin } from '../../system/spin.js';
import type { Codec, Coder } from '../codec/index.js';
import { Listener } from '../connection/index.js';
import { valueCoder } from './coder.js';
import type { CallContext } from './context.js';
import { FrameCoder, FrameWriter } from './frame.js';
import { type Handler, methodsOf } from './names.js';
import { type Offer, Session } from './session.js';
import { SERVICE_OPTIONS, type ServeOptions } from './types.js';

/** The default for the calls in flight of each client. */
const DEFAULT_MAX_CALLS = 1024;
const MAX_MAX_CALLS = 65_536;
/** Milliseconds that `await using` leaves to running calls. */
const SHUTDOWN_TIMEOUT_MS = 5000;
/** Milliseconds after which a failed accept is tried again: without free descriptors, for instance. */
const ACCEPT_RETRY_MS = 100;

/**
 * A running service; created by {@link serve}. It keeps the program running until it is closed, unless you call {@link unref}.
 *
 * If its process is killed, every call in flight fails with PeerDiedError at once, and the name is free for the next service.
 */
export class Service implements Disposable, AsyncDisposable {
  /** The name of the service. */
  readonly name: string;
  readonly #listener: Listener<unknown>;
  readonly #sessions = new Set<Session>();
  readonly #offer: Offer;
  /** Resolves when it accepts no more calls: with `undefined` after `close()` or `shutdown()`, otherwise with the reason. Never rejects. */
  readonly ended: Promise<RemovedError | undefined>;
  #end!: (reason: RemovedError | undefined) => void;
  /** It waits for calls until it is closed. */
  readonly #keepAlive = new KeepAlive();
  #closing = false;
  #closed = false;
  #drained: (() => void) | undefined;

  /** @internal */
  constructor(name: string, methods: ReadonlyMap<string, Handler>, options: ServeOptions) {
    const { maxCalls = DEFAULT_MAX_CALLS, spin, codec } = options;
    const coder = valueCoder(codec);
    checkInteger('options.maxCalls', maxCalls, 1, MAX_MAX_CALLS);
    new Spin(spin);
    this.name = name;
    readOnly(this, 'name');
    this.#offer = {
      name,
      codec: coder.name,
      methods,
      maxCalls,
      writer: new FrameWriter(coder),
      over: (session) => {
        this.#sessions.delete(session);
        if (this.#closing && this.#sessions.size === 0) this.#drained?.();
      },
    };
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    readOnly(this, 'ended');
    // The frame reader spins by itself, with the spin of the connection.
    this.#listener = new Listener<unknown>(name, options, 'service', frameCoder).unref();
    this.#keepAlive.begin();
    void this.#accept();
  }
  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#closed;
  }
  /** The number of connected clients. */
  get clients(): number {
    return this.#sessions.size;
  }
  /** The number of running calls. */
  get calls(): number {
    let calls = 0;
    for (const session of this.#sessions) calls += session.calls;
    return calls;
  }
  /** The service keeps the program running until it is closed. This is the default. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /** The service does not keep the program running. */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /**
   * Frees the name, aborts the running handlers and closes all connections: calls in flight fail with ClosedError. Idempotent. For a
   * graceful stop see {@link shutdown}.
   */
  close(): void {
    if (this.#closed) return;
    this.#closing = true;
    this.#closed = true;
    this.#end(undefined);
    this.#keepAlive.end();
    this.#listener.close();
    for (const session of [...this.#sessions]) session.close();
    this.#drained?.();
  }
  /**
   * Frees the name, accepts no further calls, and closes once the running ones are answered. Calls that have no answer within `timeout`
   * milliseconds (default: no limit) are aborted.
   */
  async shutdown(options?: SyncWaitOptions): Promise<void> {
    const deadline = new Deadline(`shut down service '${this.name}'`, options);
    if (this.#closed) return;
    this.#closing = true;
    this.#end(undefined);
    this.#listener.close();
    await new Promise<void>((resolve) => {
      const others = this.#drained;
      const callOff = deadline.onEnd(() => this.close());
      this.#drained = () => {
        callOff();
        others?.();
        resolve();
      };
      for (const session of [...this.#sessions]) session.retire();
      if (this.#sessions.size === 0) this.#drained();
    });
    this.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  /** As {@link shutdown} with a limit of 5 seconds. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown({ timeout: SHUTDOWN_TIMEOUT_MS });
  }

  /** Its name was removed, and now belongs to another process: its clients go there when their calls are answered. */
  #lost(error: RemovedError): void {
    process.emitWarning(error.message, {
      code: 'VECINO_NAME_LOST',
      detail: `Service '${this.name}' accepts no more calls.`,
    });
    this.#end(error);
    void this.shutdown();
  }
  async #accept(): Promise<void> {
    while (!this.#closing) {
      try {
        const connection = await this.#listener.accept();
        const session = new Session(this.#offer, connection.unref());
        this.#sessions.add(session);
        session.start();
        if (this.#closing) session.retire();
      } catch (error) {
        if (error instanceof RemovedError) this.#lost(error);
        else if (!this.#closing) await sleep(ACCEPT_RETRY_MS, undefined, { ref: false });
      }
    }
  }
}

export const frameCoder = (codec: Codec | undefined): Coder<unknown> => new FrameCoder(valueCoder(codec));

/**
 * Offers the functions of `handlers` to other processes under `name`, in this user's runtime folder.
 *
 * A handler gets the caller's arguments. What it returns, or what its promise resolves to, is the answer; an async generator (or any other
 * async iterable) is a stream. What it throws is thrown at the caller. Its `this` is a {@link CallContext}. Only functions that are own
 * properties of `handlers` at this moment can be called, never inherited ones.
 *
 * @param name `[A-Za-z0-9._-]{1,200}`
 * @throws SystemError `EADDRINUSE` if a running process serves under the name
 * @throws MismatchError if the name belongs to another kind of channel
 *
 * @example
 * ```ts
 * import { client, serve } from 'vecino';
 *
 * const handlers = {
 *   add: (a: number, b: number) => a + b,
 *   async *range(count: number) {
 *     for (let i = 0; i < count; i++) yield i;
 *   },
 * };
 * await using service = await serve('example-calculator', handlers);
 *
 * using calculator = await client<typeof handlers>('example-calculator'); // usually in another process
 * console.log(await calculator.add(1, 2)); // 3
 * for await (const i of calculator.range(3)) console.log(i);
 * ```
 */
export async function serve<H extends object>(
  name: string,
  handlers: H & ThisType<CallContext>,
  options: ServeOptions = {},
): Promise<Service> {
  checkOptions('options', options, SERVICE_OPTIONS);
  return new Service(name, methodsOf(handlers), options);
}
