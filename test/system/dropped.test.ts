/** Objects that are dropped without close(): collected, with a warning, unless something is pending. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runScript, temporaryFolder, uniqueName } from '../support/processes.js';

const folder = temporaryFolder();
const limit = { timeout: 60_000 };
const env = {
  ...process.env,
  VECINO_RUNTIME_DIR: temporaryFolder(),
  NODE_OPTIONS: '--expose-gc --no-warnings',
};
const name = uniqueName('dropped');
const kinds: Record<string, [make: string, warning: RegExp, count?: number]> = {
  'shared memory': [`v.SharedMemory.anonymous(4096)`, /^An anonymous shared memory/],
  'a named mutex': [`v.Mutex.named('${name}'); v.Mutex.unlink('${name}')`, /^A mutex '/],
  'a named lock for readers and writers': [
    `v.RwLock.named('${name}'); v.RwLock.unlink('${name}')`,
    /^A read-write lock '/,
  ],
  'a named condition': [`v.Condition.named('${name}'); v.Condition.unlink('${name}')`, /^A condition '/],
  'a named barrier': [`v.Barrier.named('${name}', 2); v.Barrier.unlink('${name}')`, /^A barrier '/],
  'a file lock': [`v.FileLock.open('${folder}/lock', { create: true })`, /^A file lock '/],
  'a POSIX message queue': [`v.MessageQueue.create('${name}').unlink()`, /^A message queue '/],
  'an epoll set': [`new v.readiness.Epoll()`, /^An epoll \(fd/],
  'a pipe': [`v.pipe()`, /^A pipe (reader|writer) /, 2],
  'a pair of sockets': [`v.unix.pair()`, /^A Unix stream socket/, 2],
  'a server': [`v.tcp.listen()`, /^A TCP server/],
  'a queue': [
    `await (async () => {
      const queue = await v.Queue.open('${name}-queue');
      await queue.send(1);
      await Promise.all([queue.receive(), queue.receive({ timeout: 1 }).catch(() => {})]);
    })()`,
    /^A queue '/,
  ],
  'a topic and its subscriptions': [
    `await (async () => {
      const topic = await v.Topic.open('${name}-topic');
      const subscriptions = [topic.subscribe(), topic.subscribe()];
      await subscriptions[0].receive({ timeout: 1 }).catch(() => {});
      await topic.publish(1);
      await subscriptions[1].receive();
    })()`,
    /^A topic '/,
  ],
  'a listener': [`await v.listen('${name}')`, /^A listener '/],
  'a connection': [
    `await (async () => {
      const listener = await v.listen('${name}');
      await Promise.all([v.connect('${name}'), listener.accept()]);
      listener.close();
    })()`,
    /^A connection '/,
    2,
  ],
};
for (const [kind, [make, warning, count = 1]] of Object.entries(kinds)) {
  test(`Dropped: ${kind} is closed when it is collected, with a warning`, limit, async () => {
    const output = await runScript(
      `import { readdirSync } from 'node:fs';
      import * as v from 'vecino';
      const open = () => readdirSync('/proc/self/fd').length;
      let warnings = [];
      process.on('warning', ({ code, message }) => warnings.push(code + ' ' + message));
      const make = async () => { ${make}; };
      const collect = async () => {
        while (warnings.length < ${count}) { gc(); await new Promise((resolve) => setTimeout(resolve, 1)); }
      };
      await make(); // what the first of its kind leaves open for good
      await collect();
      const before = open();
      warnings = [];
      await make();
      await collect();
      console.log(open() - before, warnings.map((each) => each.replace('VECINO_NOT_CLOSED ', '')).join('\\n'));
      process.exit();`,
      [],
      { env },
    );
    assert.match(output, /^0 /);
    const warnings = output.slice(2).trimEnd().split('\n');
    assert.equal(warnings.length, count);
    for (const each of warnings) {
      assert.match(each, warning);
      assert.match(each, /was dropped without close\(\)$/);
    }
  });
}
test('Dropped: what is pending keeps its object, and what it needs', limit, async () => {
  const output = await runScript(
    `import * as v from 'vecino';
    import { pipe2, write } from 'vecino/system';
    const warned = [];
    process.on('warning', ({ message }) => warned.push(message));
    const collect = async () => { for (let i = 0; i < 20; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 1)); } };
    const heard = [];
    // A listener that is iterated, and each connection that is received from; nobody keeps either.
    void (async () => {
      for await (const connection of await v.listen('${name}')) {
        void (async () => { for await (const message of connection) heard.push(message); })();
      }
    })();
    const first = await v.connect('${name}');
    await collect();
    await first.send('one');
    const second = await v.connect('${name}');
    await collect();
    await second.send('two');
    // A queue, and a set of descriptors, that something waits for.
    let queue = v.MessageQueue.create('${name}');
    const message = queue.receive();
    const [reader, writer] = pipe2();
    let epoll = new v.readiness.Epoll();
    epoll.add(reader, { read: true });
    const events = epoll.wait();
    queue = epoll = undefined;
    await collect();
    const other = v.MessageQueue.open('${name}');
    other.sendSync('three');
    write(writer, new Uint8Array(1));
    heard.push(Buffer.from((await message).content).toString(), (await events).length);
    other.unlink();
    other.close();
    while (heard.length < 4) await collect();
    console.log(heard.join(), warned.filter((each) => /connection|listener/.test(each)).length);
    first.close();
    process.exit();`,
    [],
    { env },
  );
  assert.equal(output, 'one,two,three,1 0\n');
});
test(
  'Dropped: a queue or a topic that somebody waits for, or has a delivery or subscription of, stays',
  limit,
  async () => {
    const output = await runScript(
      `import * as v from 'vecino';
    const warned = [];
    process.on('warning', ({ message }) => warned.push(message));
    const collect = async () => { for (let i = 0; i < 20; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 1)); } };
    const sender = await v.Queue.open('${name}-waited');
    const publisher = await v.Topic.open('${name}-waited-topic');
    const waiting = (await v.Queue.open('${name}-waited')).receive();
    const subscription = (await v.Topic.open('${name}-waited-topic')).subscribe();
    const received = (await v.Topic.open('${name}-waited-topic')).subscribe().receive();
    await collect();
    await sender.send('one');
    const delivery = await waiting;
    await collect();
    delivery.reject();
    console.log((await sender.receive()).attempt, warned.length);
    await publisher.publish('two');
    console.log(await received, await subscription.receive());
    v.Queue.unlink('${name}-waited');
    process.exit();`,
      [],
      { env },
    );
    assert.equal(output, '2 0\ntwo two\n');
  },
);
test(
  'Dropped: the messages that a queue had in flight are delivered again, as if its consumer had been killed',
  limit,
  async () => {
    const output = await runScript(
      `import * as v from 'vecino';
    const queue = await v.Queue.open('${name}-flight');
    await queue.send('x');
    await (async () => { await (await v.Queue.open('${name}-flight')).receive(); })();
    const again = queue.receive();
    let done = false;
    void again.finally(() => { done = true; });
    while (!done) { gc(); await new Promise((resolve) => setTimeout(resolve, 1)); }
    const { value, attempt } = await again;
    console.log(value, attempt);
    v.Queue.unlink('${name}-flight');
    process.exit();`,
      [],
      { env },
    );
    assert.equal(output, 'x 2\n');
  },
);
test('Dropped: the peer of a connection gets all that was sent, then learns that it was closed', limit, async () => {
  const output = await runScript(
    `import * as v from 'vecino';
    const listener = await v.listen('${name}');
    const accepted = listener.accept();
    await (async () => { await (await v.connect('${name}')).send('x'); })();
    const connection = await accepted;
    const all = (async () => { const all = []; for await (const message of connection) all.push(message); return all; })();
    let done = false;
    void all.finally(() => { done = true; });
    while (!done) { gc(); await new Promise((resolve) => setTimeout(resolve, 1)); }
    console.log((await all).join());
    process.exit();`,
    [],
    { env },
  );
  assert.equal(output, 'x\n');
});
test('Dropped: a connection that owed its peer a wake-up leaves its descriptor alone', limit, async () => {
  const output = await runScript(
    `import * as v from 'vecino';
    import { native } from '#src/system/native.js';
    const listener = await v.listen('${name}');
    const accepted = listener.accept();
    let strokes = 0;
    const { send } = native;
    const { all } = await (async () => {
      const connection = await v.connect('${name}');
      const peer = await accepted;
      const received = (async () => { const all = []; for await (const message of peer) all.push(message); return all; })();
      await new Promise((resolve) => setTimeout(resolve, 5)); // it sleeps
      native.send = () => { strokes++; return -105; }; // ENOBUFS
      await connection.send('x');
      return { all: received };
    })();
    let done = false;
    void all.finally(() => { done = true; });
    while (!done) { gc(); await new Promise((resolve) => setTimeout(resolve, 1)); }
    const before = strokes;
    await new Promise((resolve) => setTimeout(resolve, 50)); // it would have been five more
    native.send = send;
    console.log(before > 0, strokes - before, (await all).join());
    process.exit();`,
    [],
    { env },
  );
  assert.equal(output, 'true 0 x\n');
});
test('Dropped: a segment of which somebody keeps a view is not dropped', limit, async () => {
  const output = await runScript(
    `import { readdirSync } from 'node:fs';
    import { SharedMemory } from 'vecino';
    process.on('warning', ({ message }) => console.log(message));
    const count = () => readdirSync('/proc/self/fd').length;
    console.log('begin');
    console.error('begin'); // both streams are open
    const make = () => new Int32Array(SharedMemory.anonymous(4096).buffer);
    let words = make();
    const open = count();
    const turn = async () => { gc(); await new Promise(setImmediate); };
    // Whatever else is dropped is collected meanwhile.
    let others = 0;
    const registry = new FinalizationRegistry(() => { others++; });
    for (let i = 0; others < 5; i++) { registry.register({}, i); await turn(); }
    console.log(open - count(), ++words[0]);
    words = undefined;
    while (count() >= open) await turn();
    console.log(open - count());`,
    [],
    { env },
  );
  assert.match(
    output,
    /^begin\n0 1\n(An anonymous shared memory was dropped without close\(\)\n1|1\nAn anonymous shared memory was dropped without close\(\))\n$/,
  );
});
