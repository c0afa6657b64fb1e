/** The side that calls: an object that has a method for every name. */
import { inspect } from 'node:util';
import { checkOptions } from '../../system/arguments.js';
import { Deadline, WAIT_OPTIONS } from '../../system/deadline.js';
import { invalidArgument } from '../../system/errors.js';
import { Caller } from './caller.js';
import { isReserved } from './names.js';
import type { AnyHandlers, CallOptions, Client, ClientOptions } from './types.js';

/**
 * Connects to the service `name`. What it gives has a method for each of the service's handlers, with the same
 * parameters: a promise of what the handler gives, or, of a generator, a stream for `for await`.
 *
 * The type of the handlers says which methods there are; without it any can be called. It belongs to the thread that made it, and does
 * not keep the program running, a call does, unless `unref()` was called.
 *
 * Errors of a call: what the handler threw, as the class that it has here too (`remoteStack` says where it came from);
 * PeerDiedError if the process that serves dies before it has answered, at once; ClosedError if it closes; TimeoutError and the reason of
 * an abort, see {@link CallOptions}; IpcError `ERR_VECINO_UNKNOWN_METHOD`, and `ERR_VECINO_NOT_ENCODABLE` for values that the codec
 * cannot carry.
 *
 * @throws SystemError `ENOENT`, `ECONNREFUSED` if nobody serves there; MismatchError if it is another kind of channel, or another codec
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
  /** @param self the client whose face it is */
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
      // `then` is undefined, so that it is no promise; what every object has is its own.
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
