import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { inspect } from 'node:util';
import {
  type CallContext,
  type Client,
  ClosedError,
  client,
  type IpcError,
  layout,
  listen,
  MessageTooLargeError,
  MismatchError,
  NotEncodableError,
  type RemoteStream,
  type Service,
  SystemError,
  serve,
  TimeoutError,
} from 'vecino';
import type { ClientOptions, ServeOptions } from '#src/channel/index.js';
import { temporaryFolder, uniqueName } from '../../support/processes.js';

const runtime = temporaryFolder();
process.env['VECINO_RUNTIME_DIR'] = runtime;

/** A service and a client of it, in this process. */
async function both<H extends object>(
  handlers: H,
  options: ServeOptions & ClientOptions = {},
): Promise<[Client<H>, Service]> {
  const name = uniqueName();
  const service = await serve(name, handlers, options);
  return [await client<H>(name, options), service];
}
const never = () => new Promise<never>(() => {});
const code = (expected: string) => (error: unknown) => {
  assert.ok(error instanceof Error, inspect(error));
  assert.equal((error as IpcError).code, expected, error.message);
  return true;
};

test('Service: methods of all kinds: plain, asynchronous, without a result, with many arguments', async () => {
  const [c, service] = await both({
    add: (a: number, b: number) => a + b,
    async later(text: string) {
      await turn();
      return `${text}!`;
    },
    nothing() {},
    nil: () => null,
    count: (...all: unknown[]) => all.length,
    self(this: CallContext) {
      return [this.method, this.peer.pid];
    },
  });
  const sum: number = await c.add(1, 2);
  assert.equal(sum, 3);
  assert.equal(await c.later('x'), 'x!');
  assert.equal(await c.nothing(), undefined);
  assert.equal(await c.nil(), null);
  assert.equal(await c.count(...Array.from({ length: 1000 }, (_, i) => i)), 1000);
  assert.deepEqual(await c.self(), ['self', process.pid]);
  // @ts-expect-error the parameters are the handler's
  const wrong = c.add('1', 2);
  assert.equal(await wrong, '12');
  // @ts-expect-error there is no such method
  await assert.rejects(c.subtract(1, 2), code('ERR_VECINO_UNKNOWN_METHOD'));
  c.close();
  service.close();
});

for (const [codec, value] of [
  ['msgpack', { a: [1, 'two', null, new Date(5)], b: new Uint8Array([1, 2]) }],
  ['structured', new Map<unknown, unknown>([[1, new Set([2n])]])],
  ['json', { a: [1, 'two', null] }],
  [
    {
      name: 'own',
      encode: (all: unknown) => Buffer.from(JSON.stringify(all)),
      decode: (b: Uint8Array) => JSON.parse(Buffer.from(b).toString()),
    },
    [1, 2, { x: 3 }],
  ],
] as const) {
  test(`Service: codec ${typeof codec === 'string' ? codec : 'custom'}: arguments, results and values arrive as they are, long ones too`, async () => {
    const [c, service] = await both(
      {
        echo: (each: unknown) => each,
        async *twice(each: unknown) {
          yield each;
          yield each;
        },
      },
      { codec },
    );
    assert.deepEqual(await c.echo(value), value);
    const long = 'ñ'.repeat(300_000);
    assert.equal(await c.echo(long), long);
    for await (const each of c.twice(value)) assert.deepEqual(each, value);
    for await (const each of c.twice(long)) assert.equal(each, long);
    if (codec === 'json') await assert.rejects(c.echo(undefined), { path: 'arguments[0]' });
    else assert.equal(await c.echo(undefined), typeof codec === 'string' ? undefined : null);
    c.close();
    service.close();
  });
}

test('Service: a codec that cannot carry arrays, and other bad options, are refused on both sides', async () => {
  for (const codec of ['bytes', 'text', layout({ x: 'u32' })] as const) {
    await assert.rejects(serve(uniqueName(), { f() {} }, { codec }), code('ERR_INVALID_ARG_VALUE'));
    await assert.rejects(client(uniqueName(), { codec }), code('ERR_INVALID_ARG_VALUE'));
  }
  for (const maxCalls of [0, -1, 1.5, Number.NaN, 2 ** 53, 65_537])
    await assert.rejects(serve(uniqueName(), { f() {} }, { maxCalls }), code('ERR_OUT_OF_RANGE'));
  for (const window of [0, Number.NaN, 2 ** 31])
    await assert.rejects(client(uniqueName(), { window }), code('ERR_OUT_OF_RANGE'));
  await assert.rejects(serve(uniqueName(), { f() {} }, { maxCalls: '1' as never }), code('ERR_INVALID_ARG_TYPE'));
  await assert.rejects(serve(uniqueName(), { f() {} }, null as never), code('ERR_INVALID_ARG_TYPE'));
  await assert.rejects(client(uniqueName(), { reconnect: 1 as never }), code('ERR_INVALID_ARG_TYPE'));
  await assert.rejects(client(uniqueName(), { timeout: -1 }), code('ERR_OUT_OF_RANGE'));
  await assert.rejects(client('a/b'), code('ERR_INVALID_ARG_VALUE'));
  await assert.rejects(serve('', { f() {} }), code('ERR_INVALID_ARG_VALUE'));
});

test('Service: nobody there, a name in use, another kind and another codec are told apart', async () => {
  const name = uniqueName();
  await assert.rejects(client(name), (error) => error instanceof SystemError && error.code === 'ENOENT');
  const service = await serve(name, { f() {} });
  await assert.rejects(serve(name, { f() {} }), (error) => error instanceof SystemError && error.code === 'EADDRINUSE');
  await assert.rejects(client(name, { codec: 'json' }), MismatchError);
  await assert.rejects(listen(name), (error) => error instanceof MismatchError || error instanceof SystemError);
  await service[Symbol.asyncDispose]();
  assert.equal(service.closed, true);
  await using listener = await listen(name);
  await assert.rejects(client(listener.name), MismatchError);
  await assert.rejects(client(name, { reconnect: true, timeout: 5000 }), MismatchError);
});

test('Service: only functions that the handlers have themselves can be called; names that a client could not call are refused', async () => {
  class Base {
    inherited() {}
  }
  class Own extends Base {
    own = () => 'own';
    number = 5;
    get getter() {
      return () => assert.fail('a getter was called');
    }
  }
  const [c, service] = await both(new Own());
  assert.equal(await c.own(), 'own');
  for (const name of [
    'inherited',
    'number',
    'getter',
    'constructor',
    '__proto__',
    'toString',
    'hasOwnProperty',
    '',
    'then',
  ])
    await assert.rejects(c.$call(name), code('ERR_VECINO_UNKNOWN_METHOD'));
  (service as unknown as { late?: unknown }).late = 1;
  c.close();
  service.close();
  for (const name of ['then', 'toJSON', 'close', '$with', '$x', 'constructor', 'toString', '__proto__', 'valueOf']) {
    const handlers = Object.defineProperty({}, name, { value() {}, enumerable: true });
    await assert.rejects(serve(uniqueName(), handlers), code('ERR_INVALID_ARG_VALUE'));
  }
  await assert.rejects(serve(uniqueName(), {}), code('ERR_INVALID_ARG_VALUE'));
  await assert.rejects(serve(uniqueName(), new Base()), code('ERR_INVALID_ARG_VALUE'));
  await assert.rejects(serve(uniqueName(), null as never), code('ERR_INVALID_ARG_TYPE'));
  await assert.rejects(serve(uniqueName(), (() => {}) as never), code('ERR_INVALID_ARG_TYPE'));
});

test('Service: the client is no promise and behaves as an object: await, inspect, JSON, strings, comparison, assignment', async () => {
  const [c, service] = await both({ f: () => 1 });
  assert.equal(await c, c);
  assert.equal((c as unknown as { then: unknown }).then, undefined);
  assert.equal(JSON.stringify(c), '{}');
  assert.match(inspect(c), /^Client \{ service '.*', connected to process \d+ \}$/);
  assert.equal(String(c), '[object Client]');
  assert.deepEqual(Object.keys(c), []);
  assert.equal((c as unknown as Record<symbol, unknown>)[Symbol('x')], undefined);
  assert.equal((c as unknown as Record<symbol, unknown>)[Symbol.iterator], undefined);
  assert.equal(c.f, c.f);
  assert.throws(() => {
    (c as unknown as { f: unknown }).f = 1;
  }, TypeError);
  assert.throws(() => {
    (c as unknown as { $extra: unknown }).$extra = 1;
  }, TypeError);
  assert.equal((c as unknown as { $unknown: unknown }).$unknown, undefined);
  assert.equal(c.$pending, 0);
  c.close();
  assert.match(inspect(c), /closed/);
  service.close();
});

test('Service: errors arrive as errors: class, name, message, code, cause, both stacks', async () => {
  class Deep extends RangeError {}
  class Plain extends Error {}
  class Named extends Error {
    override name = 'MyName';
  }
  const things: Record<string, () => unknown> = {
    type: () => new TypeError('t'),
    deep: () => Object.assign(new Deep('d'), { code: 'E_DEEP' }),
    plain: () => new Plain('p'),
    named: () => new Named('n'),
    timeout: () => new TimeoutError('x', 5),
    system: () => new SystemError(2, 'open', { path: '/nowhere' }),
    aggregate: () => new AggregateError([new TypeError('one'), 'two'], 'all'),
    cause: () => new Error('outer', { cause: new SyntaxError('inner') }),
    abort: () => new DOMException('gone', 'AbortError'),
    node: () => {
      try {
        return Buffer.alloc('x' as never);
      } catch (error) {
        return error;
      }
    },
    string: () => 'just text',
    undefined: () => undefined,
    hostile: () =>
      Object.defineProperties(new Error('h'), {
        code: {
          get() {
            throw new Error('getter');
          },
        },
        stack: { value: 5 },
        cause: { value: 7 },
      }),
    circular: () => {
      const error = new Error('c');
      error.cause = error;
      return error;
    },
    huge: () => new Error('x'.repeat(1_000_000)),
  };
  const [c, service] = await both({
    fail(which: string) {
      throw things[which]!();
    },
    async reject(which: string) {
      await turn();
      throw things[which]!();
    },
  });
  // biome-ignore lint/suspicious/noExplicitAny: errors of all sorts
  const caught = async (which: string, how: 'fail' | 'reject' = 'fail'): Promise<any> => {
    try {
      await c[how](which);
    } catch (error) {
      assert.ok(error instanceof Error, which);
      return error;
    }
    return assert.fail(`${which} did not fail`);
  };
  for (const how of ['fail', 'reject'] as const) {
    const type = await caught('type', how);
    assert.equal(type.constructor, TypeError);
    assert.equal(type.message, 't');
    assert.match(type.stack, /^TypeError: t\n {4}at async caught /, 'the stack says who has called');
    assert.match(type.remoteStack, /^TypeError: t\n {4}at .*type/);
  }
  const deep = await caught('deep');
  assert.deepEqual([deep.name, deep.message, deep.code, deep instanceof RangeError], ['Deep', 'd', 'E_DEEP', true]);
  const plain = await caught('plain');
  assert.deepEqual([plain.name, plain.constructor], ['Plain', Error]);
  assert.equal((await caught('named')).name, 'MyName');
  const timeout = await caught('timeout');
  assert.ok(timeout instanceof TimeoutError);
  assert.equal(timeout.code, 'ERR_VECINO_TIMEOUT');
  const system = await caught('system');
  assert.ok(system instanceof SystemError);
  assert.deepEqual([system.code, system.errno, system.syscall, system.path], ['ENOENT', -2, 'open', '/nowhere']);
  const aggregate = await caught('aggregate');
  assert.ok(aggregate instanceof AggregateError);
  assert.ok(aggregate.errors[0] instanceof TypeError);
  assert.match(aggregate.errors[1].message, /two/);
  assert.ok((await caught('cause')).cause instanceof SyntaxError);
  const abort = await caught('abort');
  assert.ok(abort instanceof DOMException);
  assert.equal(abort.name, 'AbortError');
  const node = await caught('node');
  assert.deepEqual([node.name, node.code, node instanceof TypeError], ['TypeError', 'ERR_INVALID_ARG_TYPE', true]);
  assert.match((await caught('string')).message, /fail\(\) threw a value that is not an error: 'just text'/);
  assert.match((await caught('undefined')).message, /undefined/);
  assert.equal((await caught('hostile')).message, 'h');
  assert.equal((await caught('circular')).message, 'c');
  assert.equal((await caught('huge')).message.length, 16_384);
  assert.equal(await caught('type').then((e) => e.message), 't');
  c.close();
  service.close();
});

test('Service: whatever a handler throws is an error of that call alone: things that throw when they are looked at, cyclic and huge ones', async () => {
  const revoked = (target: object) => {
    const { proxy, revoke } = Proxy.revocable(target, {});
    revoke();
    return proxy;
  };
  const hollow = () => {
    throw new Error('a trap');
  };
  class Renamed extends Error {}
  let looks = 0;
  Object.defineProperty(Renamed, 'name', { get: () => (looks++ % 2 === 0 ? 'Renamed' : {}) });
  const everything = new AggregateError([], 'm'.repeat(20_000));
  everything.errors = Array.from({ length: 1000 }, () => everything);
  const cyclic: { self?: unknown } = {};
  cyclic.self = cyclic;
  const things: Record<string, unknown> = {
    revoked: revoked({}),
    revokedError: revoked(new Error('x')),
    trapped: new Proxy(new Error('x'), { getPrototypeOf: hollow }),
    getters: new Proxy(new Error('x'), { get: hollow, getOwnPropertyDescriptor: hollow }),
    renamed: new Renamed('x'),
    cause: new Error('with a cause', { cause: revoked({}) }),
    errors: Object.assign(new AggregateError([], 'with errors'), { errors: revoked([]) }),
    message: Object.assign(new Error('x'), { message: { toString: hollow } }),
    symbol: Symbol('a symbol'),
    function: hollow,
    nothing: null,
    cyclic,
    everything,
    long: new Error('x'.repeat(1e7)),
  };
  const handlers: Record<string, () => unknown> = {};
  for (const [name, thing] of Object.entries(things)) {
    handlers[`${name}Now`] = () => {
      throw thing;
    };
    handlers[`${name}Later`] = () => Promise.reject(thing);
    handlers[`${name}Streamed`] = async function* () {
      yield 1;
      throw thing;
    };
    handlers[`${name}Encoded`] = () => ({
      toJSON() {
        throw thing;
      },
    });
  }
  const name = uniqueName();
  await using _service = await serve(name, { ...handlers, well: () => 'well' }, { codec: 'json' });
  using c = await client<Record<string, () => Promise<unknown>>>(name, { codec: 'json' });
  for (const method of Object.keys(handlers)) {
    const call = c.$call(method);
    const end = method.endsWith('Streamed')
      ? (async () => {
          for await (const value of call) assert.equal(value, 1);
        })()
      : call;
    await assert.rejects(end, (error) => error instanceof Error && error.message.length < 20_000, method);
    assert.equal(await c.well!(), 'well');
  }
});

test('Service: what cannot be encoded is an error of that call alone, on either side', async () => {
  const [c, service] = await both({
    f: (x: unknown) => typeof x,
    bad: () => Symbol('no') as unknown,
    async *stream() {
      yield 1;
      yield Symbol('no') as unknown;
    },
  });
  await assert.rejects(c.f(Symbol('x')), code('ERR_VECINO_NOT_ENCODABLE'));
  const circle: unknown[] = [];
  circle.push(circle);
  await assert.rejects(c.f(circle), code('ERR_VECINO_NOT_ENCODABLE'));
  await assert.rejects(c.f({ deep: [() => 1] }), {
    path: 'arguments[0].deep[0]',
    message: /^arguments\[0\]\.deep\[0\] in the call of f\(\) cannot be sent as msgpack: functions/,
  });
  await assert.rejects(c.bad(), {
    path: 'value',
    message: /^value in the result of bad\(\) cannot be sent as msgpack/,
  });
  await assert.rejects(c.bad(), NotEncodableError);
  const seen: unknown[] = [];
  await assert.rejects(async () => {
    for await (const x of c.stream()) seen.push(x);
  }, code('ERR_VECINO_NOT_ENCODABLE'));
  assert.deepEqual(seen, [1]);
  const nested = {
    get value() {
      c.f(1).catch(() => {});
      return 1;
    },
  };
  await assert.doesNotReject(c.f(nested).catch(() => {}));
  assert.equal(await c.f(1), 'number');
  c.close();
  service.close();
});

test('Service: what is too long for the other side is an error of that call alone', async () => {
  const name = uniqueName();
  const service = await serve(
    name,
    { echo: (x: unknown) => x, long: () => 'x'.repeat(50_000) },
    { maxMessageSize: 10_000 },
  );
  const c = await client<{ echo(x: unknown): unknown; long(): string }>(name, { maxMessageSize: 20_000 });
  await assert.rejects(Promise.resolve(c.echo('x'.repeat(30_000))), MessageTooLargeError);
  await assert.rejects(c.long(), MessageTooLargeError);
  assert.equal(await c.echo(5), 5);
  c.close();
  service.close();
});

test('Service: a call used the wrong way is a clear error', async () => {
  let finished = 0;
  const [c, service] = await both({
    one: () => 1,
    async *many() {
      try {
        yield 1;
      } finally {
        finished++;
      }
    },
  });
  await assert.rejects(c.many() as unknown as Promise<number>, /returns a stream of values/);
  await assert.rejects(async () => {
    for await (const _ of c.one() as unknown as AsyncIterable<number>);
  }, /returns one value: use `await`/);
  const stream = c.many();
  await c.one();
  await assert.rejects(stream as unknown as Promise<number>, /returns a stream of values/);
  assert.equal(finished, 0, 'a generator that nobody has asked for anything has not begun');
  assert.equal(await c.one(), 1);
  c.close();
  service.close();
});

test('Service: a failed call that nobody looks at is an unhandled rejection, as of any promise; a stream is not', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => void unhandled.push(reason);
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', note);
  try {
    const [c, service] = await both({
      fail() {
        throw new Error('unseen');
      },
      async *many() {
        yield 1;
      },
    });
    void c.fail();
    const stream = c.many();
    while (unhandled.length === 0) await turn();
    assert.match(String(unhandled[0]), /unseen/);
    c.close();
    await sleep(5);
    assert.equal(unhandled.length, 1);
    await assert.rejects(stream.next(), ClosedError);
    service.close();
  } finally {
    process.removeListener('unhandledRejection', note);
    for (const each of others) process.on('unhandledRejection', each);
  }
});

test('Service: a thousand calls in flight, answered out of order; beyond the limit they wait in the client', {
  timeout: 60_000,
}, async () => {
  let running = 0;
  let most = 0;
  const open: (() => void)[] = [];
  const [c, service] = await both(
    {
      async held(i: number) {
        most = Math.max(most, ++running);
        await new Promise<void>((resolve) => open.push(resolve));
        running--;
        return i;
      },
      quick: () => 'q',
    },
    { maxCalls: 1000 },
  );
  const calls = Array.from({ length: 1500 }, (_, i) => c.held(i));
  const order: number[] = [];
  calls.forEach((call, i) => void call.then(() => order.push(i)));
  while (open.length < 1000) await turn();
  await sleep(10);
  assert.equal(running, 1000);
  assert.equal(c.$pending, 1500);
  assert.equal(service.calls, 1000);
  const late = c.$with({ timeout: 20 }).quick();
  await assert.rejects(late, TimeoutError);
  while (order.length < 1500) {
    for (const release of open.splice(0).reverse()) release();
    await turn();
  }
  assert.deepEqual(
    await Promise.all(calls),
    Array.from({ length: 1500 }, (_, i) => i),
  );
  assert.notDeepEqual(
    order,
    [...order].sort((a, b) => a - b),
  );
  assert.equal(most, 1000);
  assert.equal(await c.quick(), 'q');
  c.close();
  service.close();
});

test('Service: time-out and abort: the caller gets the error, the handler its signal, and the connection goes on', async () => {
  const reasons: unknown[] = [];
  const [c, service] = await both({
    async wait(this: CallContext) {
      const { signal } = this;
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
    async note(this: CallContext) {
      try {
        await sleep(60_000, undefined, { signal: this.signal });
      } catch (error) {
        reasons.push((error as Error).name);
        throw error;
      }
    },
    ping: () => 'pong',
  });
  await assert.rejects(c.$with({ timeout: 10 }).wait(), TimeoutError);
  const reason = new Error('enough');
  const controller = new AbortController();
  const call = c.$with({ signal: controller.signal }).note();
  setTimeout(() => controller.abort(reason), 5);
  await assert.rejects(call, reason);
  await assert.rejects(c.$with({ signal: AbortSignal.abort(reason) }).ping(), reason);
  await assert.rejects(c.$with({ signal: controller.signal }).$with({ timeout: 5 }).ping(), reason);
  while (reasons.length === 0) await turn();
  assert.deepEqual(reasons, ['AbortError']);
  while (service.calls > 0) await turn();
  assert.equal(await c.ping(), 'pong');
  assert.throws(() => c.$with({ timeout: -1 }), code('ERR_OUT_OF_RANGE'));
  assert.throws(() => c.$with({ signal: {} as never }), code('ERR_INVALID_ARG_TYPE'));
  assert.throws(() => c.$with(5 as never), code('ERR_INVALID_ARG_TYPE'));
  c.close();
  service.close();
});

test('Service: streams: all values in order, an error in the middle after the values before it', async () => {
  const [c, service] = await both({
    async *range(count: number) {
      for (let i = 0; i < count; i++) yield i;
    },
    async *broken(count: number) {
      for (let i = 0; i < count; i++) yield i;
      throw new RangeError('half way');
    },
    iterable: () => ({
      async *[Symbol.asyncIterator]() {
        yield 'a';
        yield undefined;
      },
    }),
    async promised() {
      return (async function* () {
        yield 1;
      })();
    },
    nonsense: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(5 as never) }) }),
  });
  const stream: RemoteStream<number> = c.range(100_000);
  let next = 0;
  for await (const i of stream) assert.equal(i, next++);
  assert.equal(next, 100_000);
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
  next = 0;
  const broken = c.broken(1000);
  await assert.rejects(
    async () => {
      for await (const i of broken) assert.equal(i, next++);
    },
    (error) => error instanceof RangeError && error.message === 'half way',
  );
  assert.equal(next, 1000);
  assert.deepEqual(await broken.next(), { done: true, value: undefined });
  const values: unknown[] = [];
  for await (const each of c.iterable()) values.push(each);
  for await (const each of c.promised()) values.push(each);
  assert.deepEqual(values, ['a', undefined, 1]);
  await assert.rejects(c.nonsense().next(), /which is not an iterator result/);
  const ahead = c.range(3);
  assert.deepEqual(await Promise.all([ahead.next(), ahead.next(), ahead.next(), ahead.next()]), [
    { done: false, value: 0 },
    { done: false, value: 1 },
    { done: false, value: 2 },
    { done: true, value: undefined },
  ]);
  c.close();
  service.close();
});

test('Service: a slow consumer stops the generator, not more than a window ahead', async () => {
  let made = 0;
  const payload = 'x'.repeat(936);
  const [c, service] = await both(
    {
      async *endless() {
        for (;;) {
          made++;
          yield payload;
        }
      },
      ping: () => made,
    },
    { window: 10_000 },
  );
  const stream = c.endless();
  await stream.next();
  await sleep(20);
  const first = await c.ping();
  assert.ok(first >= 9 && first <= 21, `${first} values were made for one that was asked for`);
  for (let i = 0; i < 100; i++) await stream.next();
  await sleep(20);
  const later = await c.ping();
  assert.ok(later >= 101 && later <= 101 + 20, `${later} values were made`);
  await stream.return();
  c.close();
  service.close();
});

test('Service: leaving a loop early, return(), a signal and a time-out end the generator: its finally blocks run', async () => {
  let open = 0;
  const [c, service] = await both({
    async *endless() {
      open++;
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        open--;
      }
    },
    async *silent(this: CallContext) {
      open++;
      try {
        yield 0;
        await new Promise((_, reject) => this.signal.addEventListener('abort', reject));
      } finally {
        open--;
      }
    },
    ping: () => 1,
  });
  const over = async () => {
    while (service.calls > 0) await turn();
    assert.equal(open, 0);
  };
  for (let round = 0; round < 20; round++) {
    for await (const i of c.endless()) if (i === round * 50) break;
    await over();
  }
  const stream = c.endless();
  await stream.next();
  await stream.return();
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
  await assert.rejects(c.endless().throw(new Error('mine')), /mine/);
  {
    await using other = c.endless();
    await other.next();
  }
  await over();
  const controller = new AbortController();
  await assert.rejects(
    async () => {
      for await (const i of c.$with({ signal: controller.signal }).silent()) {
        assert.equal(i, 0);
        setTimeout(() => controller.abort(), 5);
      }
    },
    { name: 'AbortError' },
  );
  await over();
  await assert.rejects(async () => {
    for await (const i of c.$with({ timeout: 20 }).silent()) assert.equal(i, 0);
  }, TimeoutError);
  await over();
  // A call that is left before its answer has come.
  await c.endless().return();
  await (c.ping() as unknown as RemoteStream<number>).return();
  await over();
  assert.equal(await c.ping(), 1);
  c.close();
  service.close();
});

test('Service: close() of the client ends its calls with ClosedError and aborts their handlers', async () => {
  const aborted: string[] = [];
  const [c, service] = await both({
    async hang(this: CallContext) {
      const { signal } = this;
      await new Promise<void>((resolve) =>
        signal.addEventListener('abort', () => {
          aborted.push((signal.reason as Error).name);
          resolve();
        }),
      );
    },
  });
  const call = c.hang();
  while (service.calls === 0) await turn();
  c.close();
  c.close();
  await assert.rejects(call, ClosedError);
  await assert.rejects(c.hang(), ClosedError);
  while (service.clients > 0) await turn();
  assert.deepEqual(aborted, ['ClosedError']);
  {
    await using other = await client(service.name);
    assert.equal(other.$pending, 0);
  }
  service.close();
});

test('Service: close() of the service ends calls with ClosedError; shutdown() and `await using` let them finish', async () => {
  const release: (() => void)[] = [];
  const handlers = {
    held: () => new Promise<string>((resolve) => release.push(() => resolve('done'))),
    never,
    async *values() {
      for (let i = 0; i < 2000; i++) yield i;
    },
  };
  const [c, service] = await both(handlers);
  const hung = c.never();
  while (service.calls === 0) await turn();
  service.close();
  service.close();
  await assert.rejects(hung, ClosedError);
  await assert.rejects(c.never(), ClosedError);
  c.close();

  const [d, second] = await both(handlers);
  const held = d.held();
  const stream = d.values();
  await stream.next();
  const ending = second.shutdown();
  await assert.rejects(client(second.name), SystemError);
  await turn();
  await assert.rejects(d.never(), ClosedError, 'no further calls');
  release[0]!();
  assert.equal(await held, 'done');
  let values = 1;
  for await (const _ of stream) values++;
  assert.equal(values, 2000);
  await ending;
  assert.equal(second.clients, 0);
  await assert.rejects(d.never(), ClosedError);
  d.close();

  const [e, third] = await both(handlers);
  const stuck = e.never();
  while (third.calls === 0) await turn();
  const failed = assert.rejects(stuck, ClosedError);
  await third.shutdown({ timeout: 10 });
  await failed;
  e.close();
});

test('Service: timers are served while clients and service keep each other busy in one thread', {
  timeout: 60_000,
}, async () => {
  const [c, service] = await both({
    add: (a: number, b: number) => a + b,
    async *endless() {
      for (let i = 0; ; i++) yield i;
    },
  });
  let on = true;
  setTimeout(() => {
    on = false;
  }, 30);
  while (on) await c.add(1, 2);
  on = true;
  setTimeout(() => {
    on = false;
  }, 30);
  for await (const _ of c.endless()) if (!on) break;
  c.close();
  service.close();
});

test('Service: many clients of one service, each with its own calls', async () => {
  const name = uniqueName();
  const service = await serve(name, { echo: (x: number) => x });
  const clients = await Promise.all(Array.from({ length: 20 }, () => client<{ echo(x: number): number }>(name)));
  const results = await Promise.all(
    clients.flatMap((c, i) => Array.from({ length: 50 }, (_, j) => c.echo(i * 50 + j))),
  );
  assert.deepEqual(
    results,
    Array.from({ length: 1000 }, (_, i) => i),
  );
  assert.equal(service.clients, 20);
  for (const c of clients) c.close();
  while (service.clients > 0) await turn();
  service.close();
});

test('Service: nothing of all that is left in the runtime folder', () => {
  assert.deepEqual(readdirSync(runtime), []);
});

test('Client: with reconnect, calls that a service in shutdown refuses begin at the next one before those made after them', async () => {
  const name = uniqueName();
  const order: number[] = [];
  let finish = () => {};
  const handlers = {
    slow: () =>
      new Promise<void>((resolve) => {
        finish = resolve;
      }),
    note: (number: number) => void order.push(number),
  };
  const first = await serve(name, handlers, { maxCalls: 2 });
  const c = await client<typeof handlers>(name, { reconnect: true });
  const slow = c.slow();
  while (first.calls === 0) await turn();
  const ended = first.shutdown();
  const notes = Promise.all([1, 2, 3, 4].map((number) => c.note(number))); // the first of them is sent, and refused
  await turn();
  finish();
  await slow;
  await ended;
  assert.deepEqual(order, []);
  const second = await serve(name, handlers, { maxCalls: 2 });
  await notes;
  assert.deepEqual(order, [1, 2, 3, 4]);
  c.close();
  second.close();
});
