import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  ClosedError,
  type Codec,
  type Delivery,
  IpcError,
  layout,
  MessageTooLargeError,
  MismatchError,
  Queue,
} from 'vecino';
import { Participant } from '#src/channel/directory/participant.js';
import { openQueue, queueName } from './support.js';

const contents = (queue: Queue<unknown>) => {
  const values: unknown[] = [];
  for (let next = queue.tryReceive(); next !== undefined; next = queue.tryReceive()) {
    values.push(next.value);
    next.acknowledge();
  }
  return values;
};

test('Queue: what is sent is received, in order, by one consumer', async () => {
  using queue = await openQueue<{ id: number }>();
  using other = await Queue.open<{ id: number }>(queue.name);
  for (let id = 0; id < 10; id++) await queue.send({ id });
  const seen: number[] = [];
  for (let id = 0; id < 10; id++) {
    const delivery = await (id % 2 === 0 ? queue : other).receive();
    assert.deepEqual([delivery.attempt, delivery.priority, delivery.type], [1, 0, 0]);
    seen.push(delivery.value.id);
    delivery.acknowledge();
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(other.tryReceive(), undefined);
});

test('Queue: the highest priority goes first, and within one the oldest', async () => {
  using queue = await openQueue<string>({ priorities: 3 });
  for (const text of ['0a', '2a', '1a', '0b', '2b', '1b']) queue.sendSync(text, { priority: Number(text[0]) });
  assert.deepEqual(contents(queue), ['2a', '2b', '1a', '1b', '0a', '0b']);
});

test('Queue: a rejected message comes back in its place, with one attempt more', async () => {
  using queue = await openQueue<string>();
  for (const text of ['a', 'b', 'c', 'd']) queue.sendSync(text);
  queue.sendSync('urgent', { priority: 1 });
  const held = Array.from({ length: 4 }, () => queue.tryReceive()!); // urgent a b c
  assert.deepEqual(
    held.map(({ value }) => value),
    ['urgent', 'a', 'b', 'c'],
  );
  queue.sendSync('e');
  held[3]!.reject();
  held[1]!.reject();
  held[0]!.reject();
  held[2]!.acknowledge();
  const seen: [string, number][] = [];
  for (let next = queue.tryReceive(); next !== undefined; next = queue.tryReceive()) {
    seen.push([next.value, next.attempt]);
    next.acknowledge();
  }
  assert.deepEqual(seen, [
    ['urgent', 2],
    ['a', 2],
    ['c', 2],
    ['d', 1],
    ['e', 1],
  ]);
});

test('Queue: a message that returns does not overtake older ones that nobody has taken', async () => {
  using queue = await openQueue<string>();
  queue.sendSync('old', { type: 1 });
  queue.sendSync('new', { type: 2 });
  queue.tryReceive({ types: [2] })!.reject();
  assert.deepEqual(contents(queue), ['old', 'new']);
});

test('Queue: consumers choose by type; what they leave stays in order', async () => {
  using queue = await openQueue<string>();
  for (const text of ['1a', '2a', '3a', '1b', '2b', '3b']) queue.sendSync(text, { type: Number(text[0]) });
  const take = (types: number[]) => {
    const delivery = queue.tryReceive({ types });
    delivery?.acknowledge();
    return delivery?.value;
  };
  assert.deepEqual(
    [take([2]), take([3, 2]), take([2]), take([2]), take([9])],
    ['2a', '3a', '2b', undefined, undefined],
  );
  assert.deepEqual(contents(queue), ['1a', '1b', '3b']);
});

test('Queue: one that nobody wants is passed by for many rounds, and keeps its place', async () => {
  using queue = await openQueue<number>({ capacity: 8 });
  queue.sendSync(-1, { type: 7 });
  queue.sendSync(-2, { type: 7 });
  for (let round = 0; round < 1000; round++) {
    for (let i = 0; i < 6; i++) assert.ok(queue.trySend(round * 6 + i));
    assert.ok(!queue.trySend(0), 'it is full');
    for (let i = 0; i < 6; i++) {
      const delivery = queue.tryReceive({ types: [0] })!;
      assert.equal(delivery.value, round * 6 + i);
      delivery.acknowledge();
    }
  }
  queue.sendSync(5);
  assert.deepEqual(contents(queue), [-1, -2, 5]);
  assert.deepEqual([queue.stats().ready, queue.stats().inFlight], [0, 0]);
});

test('Queue: what others have passed by is found by one who comes later, however often the index came round meanwhile', async () => {
  const name = queueName();
  using chooser = await Queue.open<number>(name, { capacity: 4, priorities: 1 });
  const pass = (count: number) => {
    for (let i = 0; i < count; i++) {
      chooser.sendSync(i, { type: 1 });
      chooser.receiveSync({ types: [1] }).acknowledge();
    }
  };
  chooser.sendSync(100);
  pass(32);
  chooser.sendSync(200);
  pass(31);
  using later = await Queue.open<number>(name);
  assert.deepEqual(
    [1, 2, 3].map(() => later.tryReceive()?.value),
    [100, 200, undefined],
  );
});

test('Queue: whatever is done in whatever order, what comes is what the rules say', async () => {
  let state = 77;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  interface Message {
    value: number;
    priority: number;
    type: number;
    attempt: number;
    held: boolean;
  }
  for (let run = 0; run < 150; run++) {
    const name = queueName();
    const [capacity, priorities] = [1 + random(20), 1 + random(3)];
    /** In the order of commit. */
    let messages: Message[] = [];
    let users: { queue: Queue<number>; held: [Delivery<number>, Message][] }[] = [];
    const open = async () => {
      const queue = await Queue.open<number>(name, { codec: 'json', capacity, priorities, messageSize: 32 });
      users.push({ queue, held: [] });
    };
    await open();
    await open();
    for (let value = 0; value < 400; value++) {
      const user = users[random(users.length)]!;
      const step = random(100);
      if (step < 40) {
        const options = { priority: random(priorities), type: random(3) };
        assert.equal(user.queue.trySend(value, options), messages.length < capacity);
        if (messages.length < capacity) messages.push({ value, ...options, attempt: 0, held: false });
      } else if (step < 70) {
        const types = random(3) === 0 ? [random(3)] : [0, 1, 2];
        const delivery = user.queue.tryReceive(types.length === 1 ? { types } : undefined);
        const ready = messages.filter((each) => !each.held && types.includes(each.type));
        const expected = ready.find((each) => !ready.some((other) => other.priority > each.priority));
        if (expected !== undefined) expected.attempt++;
        const { value: found, priority, type, attempt } = delivery ?? {};
        assert.deepEqual(
          [found, priority, type, attempt],
          [expected?.value, expected?.priority, expected?.type, expected?.attempt],
        );
        if (expected === undefined) continue;
        expected.held = true;
        user.held.push([delivery!, expected]);
      } else if (step < 95) {
        if (user.held.length === 0) continue;
        const [[delivery, message]] = user.held.splice(random(user.held.length), 1) as [[Delivery<number>, Message]];
        message.held = false;
        if (random(3) === 0) delivery.reject();
        else {
          delivery.acknowledge();
          messages = messages.filter((each) => each !== message);
        }
      } else if (step < 97 && users.length > 1) {
        user.queue.close();
        for (const [, message] of user.held) message.held = false;
        users = users.filter((each) => each !== user);
      } else if (users.length < 4) await open();
      const { ready, inFlight } = users[0]!.queue.stats();
      const held = messages.filter((each) => each.held).length;
      assert.deepEqual([ready, inFlight], [messages.length - held, held]);
    }
    for (const { queue } of users) queue.close();
    Queue.unlink(name);
  }
});

test('Queue: a delivery is settled once', async () => {
  using queue = await openQueue<string>();
  const settled = (error: unknown) => error instanceof IpcError && error.code === 'ERR_VECINO_SETTLED';
  queue.sendSync('a');
  const first = queue.tryReceive()!;
  first.reject();
  first.reject();
  assert.throws(() => first.acknowledge(), settled);
  {
    using second = queue.tryReceive()!;
    assert.equal(second.attempt, 2);
  }
  const third = queue.tryReceive()!;
  assert.equal(third.attempt, 3, 'what was not settled was rejected');
  third.acknowledge();
  third.acknowledge();
  third[Symbol.dispose]();
  assert.throws(() => third.reject(), settled);
  assert.equal(queue.stats().ready, 0);
});

test('Queue: closing gives back what is in hand; then it cannot be acknowledged', async () => {
  const name = queueName();
  const queue = await Queue.open<string>(name);
  queue.sendSync('a');
  queue.sendSync('b');
  const [a, b] = [queue.tryReceive()!, queue.tryReceive()!];
  b.acknowledge();
  queue.close();
  queue.close();
  assert.throws(() => a.acknowledge(), ClosedError);
  a[Symbol.dispose]();
  for (const use of [() => queue.tryReceive(), () => queue.trySend('c'), () => queue.stats()])
    assert.throws(use, ClosedError);
  await assert.rejects(queue.receive(), ClosedError);
  await assert.rejects(queue.send('c'), ClosedError);
  using again = await Queue.open<string>(name);
  const back = again.tryReceive()!;
  assert.deepEqual([back.value, back.attempt], ['a', 2]);
});

test('Queue: messages stay without participants, until it is unlinked', async () => {
  const name = queueName();
  {
    using queue = await Queue.open<number>(name, { codec: 'json', capacity: 5, messageSize: 100, priorities: 2 });
    for (let i = 0; i < 5; i++) queue.sendSync(i, { priority: i & 1 });
  }
  {
    using queue = await Queue.open<number>(name);
    const { ready, capacity, messageSize, priorities } = queue.stats();
    assert.deepEqual([queue.codec, ready, capacity, messageSize, priorities], ['json', 5, 5, 100, 2]);
    assert.deepEqual(contents(queue), [1, 3, 0, 2, 4]);
  }
  assert.equal(Queue.unlink(name), true);
  assert.equal(Queue.unlink(name), false);
  assert.ok(!existsSync(join(process.env['VECINO_RUNTIME_DIR']!, name)));
});

test('Queue: after unlink those who have it open go on, and a new one of the name is another', async () => {
  const name = queueName();
  const old = await Queue.open<string>(name);
  const peer = await Queue.open<string>(name);
  Queue.unlink(name);
  using fresh = await Queue.open<string>(name);
  const waiting = peer.receive();
  old.sendSync('to the old');
  const delivery = await waiting;
  assert.equal(delivery.value, 'to the old');
  delivery.acknowledge();
  assert.equal(fresh.tryReceive(), undefined);
  const folders = () => readdirSync(process.env['VECINO_RUNTIME_DIR']!).filter((folder) => folder.startsWith('~'));
  assert.equal(folders().length, 1);
  old.close();
  peer.close();
  assert.equal(folders().length, 0, 'the last has removed it');
});

test('Queue: what is asked for must be as it was made; what is not asked for need not', async () => {
  using queue = await openQueue({ codec: 'json', capacity: 10, messageSize: 200, priorities: 2 });
  const { name } = queue;
  await assert.rejects(Queue.open(name, { codec: 'text' }), /codec json, but text/);
  await assert.rejects(Queue.open(name, { capacity: 11 }), /capacity of 10, but 11/);
  await assert.rejects(Queue.open(name, { messageSize: 100 }), MismatchError);
  await assert.rejects(Queue.open(name, { priorities: 4 }), MismatchError);
  const own: Codec<number> = { name: 'own', encode: (value) => Uint8Array.of(value), decode: (bytes) => bytes[0]! };
  await assert.rejects(Queue.open(name, { codec: own }), MismatchError);
  (await Queue.open(name, { codec: 'json', capacity: 10 })).close();
});

test('Queue: the name of another kind of channel is refused, and left alone', async () => {
  const name = queueName();
  using participant = Participant.open(name, { kind: 'topic', codec: 'msgpack', geometry: {} });
  await assert.rejects(Queue.open(name), /kind topic, but queue/);
  assert.throws(() => Queue.unlink(name), MismatchError);
  assert.ok(existsSync(participant.folder));
});

test('Queue: every codec carries its values', async () => {
  const point = layout({ x: 'f64', y: 'i32' });
  const own: Codec<number> = { name: 'own', encode: (value) => Uint8Array.of(value), decode: (bytes) => bytes[0]! };
  const cases: [Codec, unknown][] = [
    ['bytes', Uint8Array.of(1, 2, 3)],
    ['text', 'ñ'.repeat(100)],
    ['json', { a: [1, null] }],
    ['structured', new Map([[1, new Date(0)]])],
    ['msgpack', { a: [1, 'b'] }],
    [point, { x: 1.5, y: -2 }],
    [own, 42],
  ];
  for (const [codec, value] of cases) {
    using queue = await openQueue<unknown>({ codec });
    for (let i = 0; i < 3; i++) queue.sendSync(value);
    assert.deepEqual(contents(queue), [value, value, value]);
  }
});

test('Queue: a message as long as messageSize fits, one byte more does not, an empty one does', async () => {
  using queue = await openQueue<Uint8Array>({ codec: 'bytes', messageSize: 100, capacity: 2 });
  const value = new Uint8Array(100).map((_, index) => index);
  queue.sendSync(value);
  queue.sendSync(new Uint8Array(0));
  assert.throws(() => queue.trySend(new Uint8Array(101)), MessageTooLargeError);
  assert.throws(() => queue.sendSync(new Uint8Array(101)), MessageTooLargeError);
  await assert.rejects(queue.send(new Uint8Array(101)), MessageTooLargeError);
  assert.deepEqual(contents(queue), [value, new Uint8Array(0)]);
});

test('Queue: a value whose buffer was resized between two sends is sent as it is by then', async () => {
  using queue = await openQueue<Uint8Array>({ codec: 'bytes' });
  // Newer than the library of types that is asked for.
  const buffer = new (
    ArrayBuffer as unknown as new (
      length: number,
      options: object,
    ) => ArrayBuffer & { resize(length: number): void }
  )(8, { maxByteLength: 64 });
  const value = new Uint8Array(buffer);
  for (const length of [8, 8, 8, 24, 16, 0]) {
    buffer.resize(length);
    value.fill(length);
    queue.sendSync(value);
  }
  assert.deepEqual(
    contents(queue),
    [8, 8, 8, 24, 16, 0].map((length) => new Uint8Array(length).fill(length)),
  );
});

test('Queue: a message that cannot be decoded is delivered: its value throws, and it can be acknowledged', async () => {
  const name = queueName();
  using writer = await Queue.open<string>(name, {
    codec: { name: 'picky', encode: (value) => Buffer.from(value), decode: () => assert.fail('not mine') },
  });
  writer.sendSync('x');
  const delivery = await writer.receive();
  assert.throws(() => delivery.value, /not mine/);
  delivery.acknowledge();
  assert.equal(writer.stats().ready, 0);
});

test('Queue: the smallest queue works', async () => {
  using queue = await openQueue<number>({ codec: 'json', capacity: 1, messageSize: 8, priorities: 1 });
  for (let i = 0; i < 200; i++) {
    assert.ok(queue.trySend(i));
    assert.ok(!queue.trySend(i));
    const delivery = queue.tryReceive()!;
    assert.equal(delivery.value, i);
    if (i % 3 === 0) {
      delivery.reject();
      queue.tryReceive()!.acknowledge();
    } else delivery.acknowledge();
  }
});

test('Queue: a queue that is closed by what the value or the options call is closed: no call goes on, or waits', async () => {
  /** Something whose property closes the queue. */
  const closing = (queue: Queue<unknown>, name: string) =>
    Object.defineProperty({}, name, {
      get: () => queue.close() ?? (name === 'types' ? undefined : 1),
      enumerable: true,
    });
  const calls: ((queue: Queue<unknown>) => unknown)[] = [
    (queue) => queue.send(closing(queue, 'value')),
    (queue) => queue.trySend(closing(queue, 'value')),
    (queue) => queue.sendSync(closing(queue, 'value')),
    (queue) => queue.send(1, closing(queue, 'type')),
    (queue) => queue.trySend(1, closing(queue, 'type')),
    (queue) => queue.sendSync(1, closing(queue, 'type')),
    (queue) => queue.receive(closing(queue, 'types')),
    (queue) => queue.tryReceive(closing(queue, 'types')),
    (queue) => queue.receiveSync(closing(queue, 'types')),
  ];
  for (const call of calls) {
    using queue = await openQueue<unknown>({ codec: 'json' });
    queue.tryReceive(); // has just looked for the dead
    await assert.rejects(async () => call(queue), ClosedError);
  }
});

test('Queue: bad arguments are refused before anything happens', async () => {
  const refused = (code: string) => (error: unknown) => (error as { code?: string }).code === code;
  const range = refused('ERR_OUT_OF_RANGE');
  const type = refused('ERR_INVALID_ARG_TYPE');
  const unfit = { code: 'ERR_VECINO_NOT_ENCODABLE', path: 'value' };
  const name = queueName();
  for (const bad of ['', 'a/b', '..', 'x'.repeat(201), '~x'])
    await assert.rejects(Queue.open(bad), refused('ERR_INVALID_ARG_VALUE'));
  await assert.rejects(Queue.open(null as never), type);
  for (const key of ['capacity', 'messageSize', 'priorities']) {
    for (const bad of [0, -1, 1.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY])
      await assert.rejects(Queue.open(name, { [key]: bad }), range);
    await assert.rejects(Queue.open(name, { [key]: '8' }), type);
  }
  await assert.rejects(Queue.open(name, { spin: -1 }), range);
  await assert.rejects(Queue.open(name, { capacity: 65536, messageSize: 2 ** 24 }), range);
  await assert.rejects(Queue.open(name, { codec: 'xml' as never }), refused('ERR_INVALID_ARG_VALUE'));
  await assert.rejects(Queue.open(name, 7 as never), type);
  assert.ok(!existsSync(join(process.env['VECINO_RUNTIME_DIR']!, name)));

  using queue = await Queue.open<unknown>(name, { codec: 'bytes' });
  const bytes = new Uint8Array(1);
  for (const bad of [-1, 4, 0.5, Number.NaN, 2 ** 53]) {
    assert.throws(() => queue.trySend(bytes, { priority: bad }), range);
    await assert.rejects(queue.send(bytes, { priority: bad }), range);
  }
  for (const bad of [-1, 2 ** 31, 0.5, Number.NaN]) {
    assert.throws(() => queue.sendSync(bytes, { type: bad }), range);
    assert.throws(() => queue.tryReceive({ types: [bad] }), range);
  }
  assert.throws(() => queue.tryReceive({ types: 3 as never }), type);
  assert.throws(() => queue.receiveSync({ types: [] }), type);
  assert.throws(() => queue.receiveSync({ timeout: -1 }), range);
  await assert.rejects(queue.receive({ timeout: '1' as never }), type);
  await assert.rejects(queue.receive({ signal: {} as never }), type);
  const gone = new Uint8Array(8);
  structuredClone(gone, { transfer: [gone.buffer] });
  for (const bad of ['text', null, undefined, {}, [1]]) assert.throws(() => queue.trySend(bad), unfit);
  assert.throws(() => queue.trySend(gone), unfit);
  assert.throws(() => Queue.unlink('a/b'), refused('ERR_INVALID_ARG_VALUE'));
  assert.deepEqual([queue.stats().ready, queue.stats().sent], [0, 0]);
});
