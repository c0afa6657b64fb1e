import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ClosedError, Queue, TimeoutError } from 'vecino';
import { asleep, switches } from '../../support/tasks.js';
import { another, openQueue, queueName } from './support.js';

const limit = { timeout: 60_000 };
const full = async () => {
  const queue = await openQueue<number>({ codec: 'json', capacity: 4, messageSize: 64 });
  for (let i = 0; i < 4; i++) queue.sendSync(i);
  return queue;
};

test('Queue: an empty queue: undefined, a time-out in both voices that wait, an abort', limit, async () => {
  using queue = await openQueue<number>();
  assert.equal(queue.tryReceive(), undefined);
  assert.throws(() => queue.receiveSync({ timeout: 5 }), TimeoutError);
  assert.throws(() => queue.receiveSync({ timeout: 0 }), TimeoutError);
  await assert.rejects(queue.receive({ timeout: 5 }), TimeoutError);
  await assert.rejects(queue.receive({ timeout: 0 }), TimeoutError);
  const reason = new Error('enough');
  await assert.rejects(queue.receive({ signal: AbortSignal.abort(reason) }), reason);
  const controller = new AbortController();
  const waiting = assert.rejects(queue.receive({ signal: controller.signal }), reason);
  setImmediate(() => controller.abort(reason));
  await waiting;
  queue.sendSync(1);
  await assert.rejects(queue.receive({ signal: AbortSignal.abort(reason) }), reason);
  assert.equal((await queue.receive()).value, 1, 'an abort eats no message');
});

test('Queue: a full queue: false, a time-out in both voices that wait, an abort; nothing is sent', limit, async () => {
  using queue = await full();
  assert.equal(queue.trySend(9), false);
  assert.throws(() => queue.sendSync(9, { timeout: 5 }), TimeoutError);
  await assert.rejects(queue.send(9, { timeout: 5 }), TimeoutError);
  const reason = new Error('enough');
  const controller = new AbortController();
  const waiting = assert.rejects(queue.send(9, { signal: controller.signal }), reason);
  setImmediate(() => controller.abort(reason));
  await waiting;
  const seen: number[] = [];
  for (let next = queue.tryReceive(); next !== undefined; next = queue.tryReceive()) {
    seen.push(next.value);
    next.acknowledge();
  }
  assert.deepEqual(seen, [0, 1, 2, 3]);
});

test('Queue: those who wait to send are served in order, as there is room', limit, async () => {
  using queue = await full();
  const order: number[] = [];
  const sends = [10, 11, 12, 13, 14].map((value) => queue.send(value).then(() => order.push(value)));
  assert.equal(queue.trySend(99), false, 'nobody overtakes them');
  const seen: number[] = [];
  while (seen.length < 9) {
    const delivery = await queue.receive();
    seen.push(delivery.value);
    delivery.acknowledge();
  }
  await Promise.all(sends);
  assert.deepEqual(order, [10, 11, 12, 13, 14]);
  assert.deepEqual(seen, [0, 1, 2, 3, 10, 11, 12, 13, 14]);
});

test('Queue: those who wait to receive are served in order, each by type', limit, async () => {
  using queue = await openQueue<string>();
  using other = await Queue.open<string>(queue.name);
  const seen: string[] = [];
  const wait = (who: string, types?: number[]) =>
    queue.receive(types === undefined ? {} : { types }).then((delivery) => {
      seen.push(`${who} ${delivery.value}`);
      delivery.acknowledge();
    });
  const all = [wait('only 1', [1]), wait('any, first'), wait('any, second'), wait('only 2', [2])];
  await delay(1);
  other.sendSync('two', { type: 2 });
  other.sendSync('three', { type: 3 });
  other.sendSync('two again', { type: 2 });
  other.sendSync('one', { type: 1 });
  await Promise.all(all);
  assert.deepEqual(seen.sort(), ['any, first two', 'any, second three', 'only 1 one', 'only 2 two again']);
});

test('Queue: close ends every wait', limit, async () => {
  const queue = await full();
  const empty = await openQueue<number>();
  const ends = [queue.send(5), queue.send(6), empty.receive(), empty.receive({ types: [1] })].map((wait) =>
    assert.rejects(wait, ClosedError),
  );
  const loop = (async () => {
    for await (const _ of empty);
    return 'ended';
  })();
  await delay(1);
  queue.close();
  empty.close();
  await Promise.all(ends);
  assert.equal(await loop, 'ended');
});

test('Queue: a loop acknowledges when it asks for the next; leaving it gives the one in hand back', limit, async () => {
  using queue = await openQueue<number>({ capacity: 8 });
  for (let i = 0; i < 6; i++) queue.sendSync(i);
  for await (const { value } of queue) if (value === 2) break;
  assert.equal(queue.stats().ready, 4);
  await assert.rejects(async () => {
    for await (const delivery of queue) {
      if (delivery.value === 2) assert.equal(delivery.attempt, 2);
      if (delivery.value === 3) throw new Error('body');
    }
  }, /body/);
  assert.equal(queue.stats().ready, 3);
  const attempts: number[] = [];
  for await (const delivery of queue) {
    attempts.push(delivery.attempt);
    if (delivery.value === 3 && delivery.attempt < 4)
      delivery.reject(); // the loop leaves what is settled alone
    else if (delivery.value === 5) {
      delivery.acknowledge();
      break;
    }
  }
  assert.deepEqual(attempts, [2, 3, 4, 1, 1]);
  assert.deepEqual([queue.stats().ready, queue.stats().inFlight], [0, 0]);
});

test('Queue: a program that only receives what is there does not starve its timers', limit, async () => {
  using queue = await openQueue<number>({ capacity: 16 });
  let fired = false;
  setTimeout(() => {
    fired = true;
  }, 1);
  while (!fired) {
    await queue.send(1);
    (await queue.receive()).acknowledge();
  }
});

for (const voice of ['receiveSync()', 'await queue.receive()']) {
  test(`Queue: ${voice} in another process is woken by each voice of send, and sleeps in between`, limit, async () => {
    const name = queueName();
    using queue = await Queue.open<number>(name);
    const peer = another(
      name,
      `for (;;) { const delivery = ${voice.replace('receiveSync', 'queue.receiveSync')}; say('got ' + delivery.value); delivery.acknowledge(); }`,
    );
    for (let i = 0; i < 30; i++) {
      await asleep(peer.pid);
      if (i % 3 === 0) queue.sendSync(i);
      else if (i % 3 === 1) await queue.send(i);
      else assert.ok(queue.trySend(i));
      assert.equal(await peer.line(), `got ${i}`);
    }
    await peer.kill();
  });
}

for (const voice of ['queue.sendSync(i)', 'await queue.send(i)']) {
  test(`Queue: ${voice} in another process goes on when there is room`, limit, async () => {
    const name = queueName();
    using queue = await Queue.open<number>(name, { capacity: 4 });
    const peer = another(name, `for (let i = 0; i < 40; i++) ${voice}; say('done');`);
    for (let i = 0; i < 40; i++) {
      if (i % 8 === 0) await asleep(peer.pid);
      const delivery = await queue.receive();
      assert.equal(delivery.value, i);
      delivery.acknowledge();
    }
    assert.equal(await peer.line(), 'done');
    await peer.ended;
  });
}

test('Queue: one who waits sleeps: no looking now and then', limit, async () => {
  const name = queueName();
  const peer = another(name, `say('up'); (await queue.receive()).acknowledge(); say('got');`);
  await peer.line();
  await delay(1500); // the looks after the opening are over
  let woken: [string, number][] = [];
  // What looks now and then does so all the time; on a busy machine what the engine does after the start may come late.
  for (let tries = 0; tries < 5; tries++) {
    await asleep(peer.pid);
    const before = switches(peer.pid);
    await delay(1500);
    woken = [...switches(peer.pid)].filter(([task, count]) => count - (before.get(task) ?? count) > 3);
    if (woken.length === 0) break;
  }
  assert.deepEqual(woken, []);
  using queue = await Queue.open<number>(name);
  queue.sendSync(1);
  assert.equal(await peer.line(), 'got');
  await peer.ended;
});

test('Queue: a consumer that waits for a type is woken for it, whoever else sleeps', limit, async () => {
  const name = queueName();
  using queue = await Queue.open<string>(name);
  const loop = (types: string) =>
    another(
      name,
      `say('up'); for (;;) { const delivery = queue.receiveSync({ types: [${types}] }); say(delivery.value); delivery.acknowledge(); }`,
    );
  const peers = [loop('1'), loop('2'), loop('3')];
  for (const peer of peers) await peer.line();
  for (let i = 0; i < 20; i++) {
    for (const [index, peer] of peers.entries()) {
      await asleep(peer.pid);
      queue.sendSync(`for ${index + 1}`, { type: index + 1 });
      assert.equal(await peer.line(), `for ${index + 1}`);
    }
  }
  await Promise.all(peers.map((peer) => peer.kill()));
});

test(
  'Queue: who gives up or closes when he was just woken for room leaves it to the next, wherever it is',
  limit,
  async (t) => {
    const name = queueName();
    const shape = { codec: 'json', capacity: 7, messageSize: 64 } as const;
    using consumer = await Queue.open<number>(name, shape);
    for (let i = 0; i < 7; i++) consumer.sendSync(i);
    const taken = Array.from({ length: 7 }, () => consumer.receiveSync());
    // Whoever wakes others looks again some time later: not here.
    t.mock.timers.enable({ apis: ['setTimeout'] });
    for (const how of ['abort', 'close']) {
      const producers = await Promise.all([1, 2, 3].map(() => Queue.open<number>(name, shape)));
      const abort = new AbortController();
      const outcomes: string[] = [];
      const sends = producers.map((producer, index) =>
        producer.send(index, index < 2 ? { signal: abort.signal } : {}).then(
          () => outcomes.push('sent'),
          () => outcomes.push('gave up'),
        ),
      );
      taken.pop()!.acknowledge(); // the last slot, at which no producer looks first
      if (how === 'abort') abort.abort();
      else for (const producer of producers.slice(0, 2)) producer.close();
      await Promise.all(sends);
      assert.deepEqual(outcomes.sort(), ['gave up', 'gave up', 'sent']);
      for (const producer of producers) producer.close();
      taken.push(consumer.receiveSync());
    }
    for (const delivery of taken) delivery.acknowledge();
  },
);

test(
  'Queue: what waits to be sent is what it was when it was sent, also from a Buffer that is used again',
  limit,
  async () => {
    using queue = await openQueue<Uint8Array>({ codec: 'bytes', capacity: 1 });
    const buffer = Buffer.from('first');
    await queue.send(buffer);
    buffer.write('other');
    const waiting = queue.send(buffer);
    buffer.write('spoil');
    for (const expected of ['first', 'other']) {
      const delivery = await queue.receive();
      assert.equal(Buffer.from(delivery.value).toString(), expected);
      delivery.acknowledge();
    }
    await waiting;
  },
);
