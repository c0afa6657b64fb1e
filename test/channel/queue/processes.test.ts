import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Queue } from 'vecino';
import { another, queueName } from './support.js';

const limit = { timeout: 120_000 };

test(
  'Queue: what each producer sends arrives in its order, in each priority, through many rounds of a small queue',
  limit,
  async () => {
    const name = queueName();
    const count = 30_000;
    using queue = await Queue.open<number[]>(name, { codec: 'json', capacity: 32, messageSize: 64, priorities: 2 });
    const voices = ['queue.sendSync', 'await queue.send', 'queue.sendSync'];
    const peers = voices.map((send, who) =>
      another(name, `for (let i = 0; i < ${count}; i++) ${send}([${who}, i], { priority: i & 1 });`),
    );
    const next = voices.map(() => [0, 1]);
    for (let received = 0; received < count * voices.length; received++) {
      const delivery = received & 1 ? queue.receiveSync() : await queue.receive();
      const [who, i] = delivery.value as [number, number];
      assert.equal(delivery.priority, i & 1);
      assert.equal(i, next[who]![i & 1]);
      next[who]![i & 1] = i + 2;
      delivery.acknowledge();
    }
    for (const peer of peers) assert.equal((await peer.ended).code, 0);
    assert.deepEqual([queue.stats().ready, queue.stats().inFlight], [0, 0]);
  },
);

test('Queue: with several producers and consumers each message is received once', limit, async () => {
  const name = queueName();
  const count = 40_000;
  using queue = await Queue.open<number>(name, { codec: 'json', capacity: 128, messageSize: 32 });
  const producers = [0, 1].map((who) =>
    another(name, `for (let i = 0; i < ${count}; i++) queue.sendSync(i * 2 + ${who}, { type: i % 3 });`),
  );
  const consumers = ['queue.receiveSync()', 'await queue.receive()', 'queue.receiveSync({ types: [0, 1, 2] })'].map(
    (receive) =>
      another(
        name,
        `let count = 0, sum = 0;
       for (;;) { const { value } = globalThis.kept = ${receive}; kept.acknowledge(); if (value < 0) break; count++; sum += value; }
       say(count + ' ' + sum);`,
      ),
  );
  for (const producer of producers) assert.equal((await producer.ended).code, 0);
  for (const _ of consumers) await queue.send(-1);
  let total = 0;
  let sum = 0;
  for (const consumer of consumers) {
    const [mine, mySum] = (await consumer.line()).split(' ').map(Number);
    total += mine!;
    sum += mySum!;
    await consumer.ended;
  }
  assert.deepEqual([total, sum], [2 * count, (2 * count * (2 * count - 1)) / 2]);
});

test('Queue: no wake-up is lost in 20,000 rounds of sleeping', limit, async () => {
  const names = [queueName(), queueName()] as const;
  using there = await Queue.open<number>(names[0], { codec: 'json', messageSize: 16, capacity: 2, spin: 0 });
  using back = await Queue.open<number>(names[1], { codec: 'json', messageSize: 16, capacity: 2, spin: 0 });
  const peer = another(
    names[0],
    `const back = await Queue.open(args[0]);
     for (let i = 0; i < 20000; i++) {
       const delivery = i % 3 === 0 ? await queue.receive() : queue.receiveSync();
       back.sendSync(delivery.value);
       delivery.acknowledge();
     }`,
    [names[1]],
  );
  for (let i = 0; i < 20_000; i++) {
    there.sendSync(i);
    const delivery = i % 5 === 0 ? await back.receive() : back.receiveSync();
    assert.equal(delivery.value, i);
    delivery.acknowledge();
  }
  assert.equal((await peer.ended).code, 0);
});

test('Queue: what was sent immediately before the end is there', limit, async () => {
  const name = queueName();
  using queue = await Queue.open<string>(name);
  const sleeper = queue.receive();
  for (const end of ['process.exit(0)', `process.kill(process.pid, 'SIGKILL')`, 'process.abort()']) {
    await another(name, `queue.sendSync('last'); ${end};`).ended;
  }
  const first = await sleeper;
  assert.equal(first.value, 'last');
  first.acknowledge();
  for (let i = 0; i < 2; i++) {
    const delivery = queue.receiveSync();
    assert.deepEqual([delivery.value, delivery.attempt], ['last', 1]);
    delivery.acknowledge();
  }
});
