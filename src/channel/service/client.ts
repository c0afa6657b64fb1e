/** The calling side: an object that has a method for every name. */
import { inspect } from 'node:util';
import { checkOptions } from '../../system/arguments.js';
import { Deadline, WAIT_OPTIONS } from '../../system/deadline.js';
import { invalidArgument } from '../../system/errors.js';
import { Caller } from './caller.js';
import { isReserved } from './names.js';
import type { AnyHandlers, CallOptions, Client, ClientOptions } from './types.js';

/**
 * Connects to the service `name`. The result has a method for each handler of the service, with the same parameters. A call returns a
 * promise of the handler's result, or, if the handler is a generator, a stream for `for await`.
 *
 * Pass the type of the handlers to get typed methods; without it, any method can be called. The client belongs to the thread that created
 * it. It does not keep the program running; a pending call does, unless you call `unref()`.
 *
 * A call fails with what the handler threw, as an error of the same class if this process has it (`remoteStack` says where it came from);
 * PeerDiedError, at once, if the service's process dies before it has answered; ClosedError if it closes; TimeoutError and the reason of an
 * abort, see {@link CallOptions}; IpcError `ERR_VECINO_UNKNOWN_METHOD`, and `ERR_VECINO_NOT_ENCODABLE` for values that the codec cannot
 * encode.
 *
 * @throws SystemError `ENOENT`, `ECONNREFUSED` if no process serves there
 * @throws MismatchError if it is another kind of channel, or uses another codec
 *
 * @example
 * ```ts
 * import { client, serve } from 'vecino';
 *
 * const handlers = { greet: (name: string) => `Hello ${name}` };
 * await using service = await serve('example-greeter', handlers); // usually in another process
 *
 * using greeter = await client<typeof handlers>('example-greeter');
 * console.log(await greeter.greet('Ada')); // Hello Ada
 * console.log(await greeter.$with({ timeout: 1000 }).greet('Bob'));
 * ```
 */
export async function client<H = AnyHandlers>(name: string, options: ClientOptions = {}): Promise<Client<H>> {
  const caller = new Caller(name, options);
  await caller.open();
  return view<H>(caller, undefined);
}

/** The client's own members, which no service can have. */
class Face {
  readonly #caller: Caller;
  readonly #options: CallOptions | undefined;
  readonly #self: () => unknown;
  /** @param self the client of these members */
  constructor(caller: Caller, options: CallOptions | undefined, self: () => unknown) {
    this.#caller = caller;
    this.#options = options;
    this.#self = self;
    for (const name of ['$with', '$call', 'ref', 'unref', 'close', inspect.custom] as const)
      Object.defineProperty(this, name, { value: this[name].bind(this), enumerable: false });
    Object.freeze(this);
  }
  get $pending(): number {
    return this.#caller.pending;
  }
  $with(options: CallOptions): unknown {
    checkOptions('options', options, WAIT_OPTIONS);
    const merged = { ...this.#options, ...options };
    new Deadline('', merged);
    return view(this.#caller, merged);
  }
  $call(method: string, ...args: unknown[]): unknown {
    if (typeof method !== 'string') throw invalidArgument('ERR_INVALID_ARG_TYPE', 'method', 'a string', method);
    return this.#caller.call(method, args, this.#options);
  }
  ref(): unknown {
    this.#caller.keepAlive.ref();
    return this.#self();
  }
  unref(): unknown {
    this.#caller.keepAlive.unref();
    return this.#self();
  }
  close(): void {
    this.#caller.close();
  }
  [Symbol.dispose](): void {
    this.#caller.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#caller.close();
  }
  get [Symbol.toStringTag](): string {
    return 'Client';
  }
  [inspect.custom](): string {
    const { name, pid, closed } = this.#caller;
    const state = closed ? 'closed' : pid === undefined ? 'not connected' : `connected to process ${pid}`;
    return `Client { service '${name}', ${state} }`;
  }
}

function view<H>(caller: Caller, options: CallOptions | undefined): Client<H> {
  const methods = new Map<string, (...args: unknown[]) => unknown>();
  const face = new Face(caller, options, () => client);
  const client = new Proxy(face, {
    get(target, property) {
      if (typeof property === 'symbol') {
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === 'function' ? value.bind(target) : value;
      }
      const known = methods.get(property);
      if (known !== undefined) return known;
      // `then` is undefined, so that the client is not a promise; the members of every object stay its own.
      if (isReserved(property)) return Reflect.get(target, property, target);
      const method = (...args: unknown[]) => caller.call(property, args, options);
      methods.set(property, method);
      return method;
    },
    set(_target, property) {
      throw new TypeError(`cannot assign ${String(property)}: the methods of a client are those of its service`);
    },
  }) as unknown as Client<H>;
  return client;
}
