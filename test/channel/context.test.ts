import '../support/leaks.js';
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import { client, connect, listen, Queue, serve, Topic } from 'vecino';
import { temporaryFolder, uniqueName } from '../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const limit = { timeout: 60_000 };
const storage = new AsyncLocalStorage<string>();
let said: string[] = [];
const say = (what: string) => said.push(`${what} in ${storage.getStore()}`);
const codec = {
  encode(value: string): Uint8Array {
    say('encode');
    return Buffer.from(value);
  },
  decode(bytes: Uint8Array): string {
    say('decode');
    return Buffer.from(bytes).toString();
  },
};
/** A wait that has begun, and sleeps. */
async function asleep<T>(begin: () => Promise<T>): Promise<() => Promise<T>> {
  const promise = storage.run('the receive', begin);
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  return () => promise;
}
const EXPECTED = ['encode in the send', 'decode in the receive'];

test(
  'Connection: allow() and the functions of a codec run in the async context of whoever gave or called them',
  limit,
  async () => {
    const name = uniqueName('context');
    const allow = () => say('allow') > 0;
    said = [];
    using listener = await storage.run('listen', () => listen(name, { codec, allow }));
    const accepted = storage.run('accept', () => listener.accept());
    using connector = await storage.run('connect', () => connect(name, { codec, allow }));
    using connection = await accepted;
    assert.deepEqual(said.sort(), ['allow in connect', 'allow in listen']);
    said = [];
    const received = await asleep(() => connection.receive());
    await storage.run('the send', () => connector.send('x'));
    assert.equal(await received(), 'x');
    assert.deepEqual(said, EXPECTED);
  },
);
test('Queue: the functions of a codec run in the async context of the call', limit, async () => {
  const name = uniqueName('context');
  said = [];
  using queue = await Queue.open<string>(name, { codec });
  const received = await asleep(() => queue.receive());
  await storage.run('the send', () => queue.send('x'));
  (await received()).acknowledge();
  assert.deepEqual(said, EXPECTED);
  Queue.unlink(name);
});
test('Topic: the functions of a codec run in the async context of the call', limit, async () => {
  said = [];
  using topic = await Topic.open(uniqueName('context'), { codec });
  using subscription = topic.subscribe();
  const received = await asleep(() => subscription.receive());
  await storage.run('the send', () => topic.publish('x'));
  assert.equal(await received(), 'x');
  assert.deepEqual(said, EXPECTED);
});
test('Service: handlers run in the async context of serve(), callers go on in their own', limit, async () => {
  const name = uniqueName('context');
  const handlers = {
    one: () => storage.getStore(),
    async *two() {
      yield storage.getStore();
      await new Promise(setImmediate);
      yield storage.getStore();
    },
  };
  await using _service = await storage.run('serve', () => serve(name, handlers));
  using c = await storage.run('client', () => client<typeof handlers>(name));
  await storage.run('call', async () => {
    assert.equal(await c.one(), 'serve');
    for await (const context of c.two()) assert.equal(context, 'serve');
    assert.equal(storage.getStore(), 'call');
  });
});
