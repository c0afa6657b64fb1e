/** No promise of ours is left to reject unhandled: streams that fail before anybody asks for a value. */
import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, ClosedError, client, type RemoteStream, serve } from 'vecino';
import { runScript, temporaryFolder, uniqueName } from '../../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();

const handlers = {
  async *range(count: number) {
    for (let i = 0; i < count; i++) yield i;
  },
  async *broken() {
    yield* [];
    throw new RangeError('broken');
  },
};
type Handlers = typeof handlers;
type Stream = RemoteStream<unknown>;

const unhandled: unknown[] = [];
const note = (reason: unknown) => void unhandled.push(reason);
const others = process.listeners('unhandledRejection');
before(() => process.removeAllListeners('unhandledRejection').on('unhandledRejection', note));
after(() => {
  process.removeListener('unhandledRejection', note);
  for (const each of others) process.on('unhandledRejection', each);
});

/** How a stream comes to fail before its first value. Each gives the stream; what it returns is closed in the end. */
const failures: Record<string, (c: Client<Handlers>, end: () => void) => Stream> = {
  'its signal has aborted before the call': (c) => c.$with({ signal: AbortSignal.abort() }).range(3),
  'its signal aborts after the call': (c) => {
    const controller = new AbortController();
    const stream = c.$with({ signal: controller.signal }).range(3);
    controller.abort();
    return stream;
  },
  'its signal aborts in a microtask': (c) => {
    const controller = new AbortController();
    queueMicrotask(() => controller.abort());
    return c.$with({ signal: controller.signal }).range(3);
  },
  'its time is over': (c) => c.$with({ timeout: 0 }).range(3),
  'its client is closed before': (c) => {
    c.close();
    return c.range(3);
  },
  'its client is closed after': (c) => {
    const stream = c.range(3);
    c.close();
    return stream;
  },
  'its service closes': (c, end) => {
    const stream = c.range(3);
    end();
    return stream;
  },
  'its service has closed': (c, end) => {
    end();
    return c.range(3);
  },
  'its arguments cannot be encoded': (c) => {
    const circle: unknown[] = [];
    circle.push(circle);
    return c.range(circle as unknown as number);
  },
  'its method is unknown': (c) => c.$call('nothing'),
  'its generator throws': (c) => c.broken(),
};
/** What a caller does with it. Whatever it is, the failure is told at most once, and by what the caller holds. */
const uses: Record<string, (stream: Stream) => Promise<unknown>> = {
  'for await': async (stream) => {
    for await (const _ of stream);
  },
  'next()': (stream) => stream.next(),
  'next() twice at once': (stream) => Promise.all([stream.next(), stream.next()]),
  'next() and then return()': async (stream) => {
    stream.next().catch(() => {});
    return stream.return();
  },
  'return()': (stream) => stream.return(),
  'return() and then next()': async (stream) => {
    await stream.return();
    assert.deepEqual(await stream.next(), { done: true, value: undefined });
  },
  'throw()': (stream) => stream.throw(new Error('mine')),
  'await using': async (stream) => {
    await using _ = stream;
  },
  await: async (stream) => stream as unknown,
};
const ended = new Set(['return()', 'return() and then next()', 'await using']);

for (const [failure, begin] of Object.entries(failures)) {
  test(`Stream: ${failure}: whatever is done with it, at once or later, the error is told once`, async (t) => {
    unhandled.length = 0;
    const ends: { close(): void }[] = [];
    const close = async () => {
      for (const end of ends.splice(0)) end.close();
      await sleep(1);
    };
    t.after(close);
    for (const [use, consume] of Object.entries(uses)) {
      for (const later of [false, true]) {
        if (later && failure === 'its method is unknown') continue; // the service has said that it is no stream
        const name = uniqueName();
        const service = await serve(name, handlers);
        const c = await client<Handlers>(name);
        ends.push(c, service);
        const stream = begin(c, () => service.close());
        if (later) await sleep(5);
        const outcome = await consume(stream).then(
          () => undefined,
          (error: unknown) => error,
        );
        // Awaited where it should be iterated: that is said, if it was not over before.
        if (use === 'await' && (outcome as { code?: string }).code === 'ERR_VECINO_WRONG_CALL') {
          await close();
          continue;
        }
        assert.ok(!(outcome instanceof TypeError), `${use}: ${String((outcome as Error)?.stack)}`);
        if (ended.has(use)) assert.equal(outcome, undefined, use);
        if (use === 'throw()') assert.equal((outcome as Error).message, 'mine');
        await close();
        assert.deepEqual(unhandled, [], `${use}${later ? ', later' : ''}`);
      }
    }
  });
}

test('Call: one that fails before it has an answer, and that nobody ever looks at, is a warning when it is collected', async () => {
  const output = await runScript(
    `import { client, serve } from 'vecino';
     process.on('unhandledRejection', (error) => { console.log('unhandled', error); });
     const service = await serve(process.argv[1], { add: (a, b) => a + b });
     const c = await client(process.argv[1]);
     c.close();
     const looked = c.add(1, 2);
     for (let i = 0; i < 10; i++) c.add(i, 2);
     process.on('warning', (warning) => {
       if (warning.code !== 'VECINO_CALL_FAILED') return;
       console.log(warning.message);
       looked.catch(() => {}).then(() => process.exit());
     });
     setInterval(gc, 10);`,
    [uniqueName()],
    { env: { ...process.env, NODE_OPTIONS: '--expose-gc' } },
  );
  assert.match(output, /^add\(\) of service '.*' failed, and the error was never handled: .* is closed\n/);
  assert.doesNotMatch(output, /unhandled/);
});

test('Client: calls that nobody looks at are no unhandled rejections when it closes', async () => {
  unhandled.length = 0;
  const name = uniqueName();
  using service = await serve(name, handlers);
  const c = await client<Handlers>(name);
  const streams = Array.from({ length: 3 }, () => c.range(1));
  assert.equal(service.closed, false);
  c.close();
  await sleep(5);
  assert.deepEqual(unhandled, []);
  for (const stream of streams) await assert.rejects(stream.next(), ClosedError);
});
