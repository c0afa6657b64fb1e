import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  ClosedError,
  type Codec,
  CorruptError,
  layout,
  MessageTooLargeError,
  MismatchError,
  NotEncodableError,
  SystemError,
  TimeoutError,
  Topic,
} from 'vecino';
import { findChannels } from '#src/channel/directory/list.js';
import { Participant } from '#src/channel/directory/participant.js';
import { temporaryFolder, uniqueName } from '../../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const limit = { timeout: 60_000 };
const capacity = 4096;

test('Topic: what is published arrives, in order, at every subscription and in every voice', limit, async () => {
  using topic = await Topic.open<number>(uniqueName());
  using a = topic.subscribe();
  using b = topic.subscribe();
  for (let i = 0; i < 100; i++) {
    if (i % 2 === 0) await topic.publish(i);
    else assert.equal(topic.tryPublish(i), true);
  }
  for (let i = 0; i < 100; i++) {
    assert.equal(i % 2 === 0 ? a.tryReceive() : a.receiveSync(), i);
    assert.equal(await b.receive(), i);
  }
  assert.equal(a.tryReceive(), undefined);
  assert.deepEqual([a.lost, b.lost, a.received], [0, 0, 100]);
});

test('Topic: every codec carries its values', limit, async () => {
  const point = layout({ x: 'f64', name: { utf8: 8 } });
  const own = { name: 'own', encode: (n: number) => Uint8Array.of(n), decode: (bytes: Uint8Array) => bytes[0]! };
  const cases: [Codec, unknown][] = [
    ['bytes', Uint8Array.of(1, 2, 3)],
    ['bytes', new Uint8Array(0)],
    ['text', 'größer'],
    ['json', { a: [1, null] }],
    ['structured', new Map([[1, new Date(5)]])],
    ['msgpack', { id: 1, tags: ['a', 'b'] }],
    ['msgpack', undefined],
    [point, { x: 1.5, name: 'p' }],
    [own, 7],
  ];
  for (const [codec, value] of cases) {
    using topic = await Topic.open(uniqueName(), { codec });
    using subscription = topic.subscribe();
    await topic.publish(value);
    assert.deepEqual(await subscription.receive({ timeout: 10_000 }), value);
  }
});

test('Topic: a receive that waits is woken, and several are served in order', limit, async () => {
  using topic = await Topic.open<string>(uniqueName(), { spin: 0 });
  using subscription = topic.subscribe();
  const waiting = [subscription.receive(), subscription.receive(), subscription.receive()];
  assert.equal(subscription.tryReceive(), undefined);
  for (const text of ['a', 'b', 'c', 'd']) await topic.publish(text);
  assert.deepEqual(await Promise.all(waiting), ['a', 'b', 'c']);
  assert.equal(await subscription.receive(), 'd');
});

test('Topic: a time-out and an abort lose nothing', limit, async () => {
  using topic = await Topic.open<number>(uniqueName());
  using subscription = topic.subscribe();
  await assert.rejects(subscription.receive({ timeout: 0 }), TimeoutError);
  await assert.rejects(subscription.receive({ timeout: 5 }), TimeoutError);
  assert.throws(() => subscription.receiveSync({ timeout: 5 }), TimeoutError);
  const controller = new AbortController();
  const aborted = subscription.receive({ signal: controller.signal });
  const kept = subscription.receive();
  controller.abort(new Error('enough'));
  await assert.rejects(aborted, /enough/);
  await assert.rejects(subscription.receive({ signal: controller.signal }), /enough/);
  await assert.rejects(topic.publish(0, { signal: controller.signal }), /enough/);
  await topic.publish(1);
  await topic.publish(2);
  assert.deepEqual([await kept, subscription.receiveSync()], [1, 2]);
});

test('Topic: close ends what waits, is idempotent, and ends a loop', limit, async () => {
  const topic = await Topic.open<number>(uniqueName());
  const first = topic.subscribe();
  const second = topic.subscribe();
  const waiting = [first.receive(), first.receive(), second.receive()];
  const seen: number[] = [];
  const loop = (async () => {
    for await (const value of second) seen.push(value);
    return seen;
  })();
  await topic.publish(1);
  assert.deepEqual([await waiting[0], await waiting[2]], [1, 1]);
  first.close();
  first.close();
  await assert.rejects(waiting[1]!, ClosedError);
  await topic.publish(2);
  while (seen.length === 0) await new Promise(setImmediate);
  using again = topic.subscribe(); // the topic's own seat is free again
  topic.close();
  topic.close();
  assert.deepEqual(await loop, [2]);
  assert.throws(() => again.tryReceive(), ClosedError);
  assert.throws(() => first.receiveSync(), ClosedError);
  assert.throws(() => first.drain(() => {}), ClosedError);
  await assert.rejects(first.receive(), ClosedError);
  assert.throws(() => topic.tryPublish(1), ClosedError);
  assert.throws(() => topic.reserve(1), ClosedError);
  assert.throws(() => topic.subscribe(), ClosedError);
  await assert.rejects(topic.publish(1), ClosedError);
});

test('Topic: leaving a for-await loop closes nothing and loses nothing', limit, async () => {
  await using topic = await Topic.open<number>(uniqueName());
  await using subscription = topic.subscribe();
  for (let i = 0; i < 10; i++) await topic.publish(i);
  for await (const value of subscription) if (value === 4) break;
  assert.equal(subscription.tryReceive(), 5);
  for await (const value of subscription) if (value === 9) break;
});

test('Topic: messages that never stop coming leave the event loop its turn', limit, async () => {
  using topic = await Topic.open<number>(uniqueName());
  using subscription = topic.subscribe();
  let turned = false;
  setImmediate(() => {
    turned = true;
  });
  for (let i = 0; !turned; i++) {
    await topic.publish(i);
    assert.ok(i < 1000);
  }
  turned = false;
  setImmediate(() => {
    turned = true;
  });
  for (let i = 0; !turned; i++) {
    topic.tryPublish(i);
    await subscription.receive();
    assert.ok(i < 1000);
  }
});

test(
  'Topic: a slow subscription loses the oldest, and knows exactly how many; publishing does not wait',
  limit,
  async () => {
    using topic = await Topic.open(uniqueName(), { codec: 'bytes', capacity });
    using subscription = topic.subscribe();
    const message = new Uint8Array(48);
    for (let i = 0; i < 1000; i++) {
      new DataView(message.buffer).setUint32(0, i);
      assert.equal(topic.tryPublish(message), true);
    }
    const seen: number[] = [];
    for (let bytes = subscription.tryReceive(); bytes !== undefined; bytes = subscription.tryReceive())
      seen.push(new DataView(bytes.buffer).getUint32(0));
    assert.ok(seen.length >= (capacity / 64) * (13 / 16) && seen.length < capacity / 64, `${seen.length} were kept`);
    assert.deepEqual(
      seen,
      Array.from(seen, (_, i) => 1000 - seen.length + i),
    );
    assert.equal(subscription.lost, 1000 - seen.length);
  },
);

test(
  "Topic: from 'oldest' reads exactly what the rings hold, also of publishers that are gone; from 'now' nothing of it",
  limit,
  async () => {
    const name = uniqueName();
    using witness = await Topic.open<number>(name, { capacity });
    using all = witness.subscribe();
    for (const count of [3, 2]) {
      using publisher = await Topic.open<number>(name);
      for (let i = 0; i < count; i++) await publisher.publish(i);
    }
    assert.equal(
      readdirSync(join(process.env['VECINO_RUNTIME_DIR']!, name)).filter((file) => file.startsWith('ring')).length,
      1,
    );
    using late = await Topic.open<number>(name);
    using history = late.subscribe({ from: 'oldest' });
    using now = late.subscribe({ from: 'now' });
    const read = (subscription: { tryReceive(): number | undefined }) => {
      const seen: number[] = [];
      for (let value = subscription.tryReceive(); value !== undefined; value = subscription.tryReceive())
        seen.push(value);
      return seen;
    };
    assert.deepEqual(read(history), [0, 1, 2, 0, 1]);
    assert.deepEqual(read(now), []);
    assert.deepEqual(read(all), [0, 1, 2, 0, 1]);
    await witness.publish(9);
    assert.deepEqual([read(history), read(now), history.lost, now.lost], [[9], [9], 0, 0]);
    for (let i = 0; i < 1000; i++) await witness.publish(i);
    using later = late.subscribe({ from: 'oldest' });
    const kept = read(later);
    assert.deepEqual(
      kept,
      Array.from(kept, (_, i) => 1000 - kept.length + i),
    );
    assert.equal(later.lost, 0);
    assert.deepEqual(read(now), kept);
    assert.equal(now.lost, 1000 - kept.length);
  },
);

test('Topic: two publishers have a ring each; what both say arrives, of each in order', limit, async () => {
  const name = uniqueName();
  using a = await Topic.open<[string, number]>(name);
  using b = await Topic.open<[string, number]>(name);
  using subscription = a.subscribe();
  for (let i = 0; i < 500; i++) {
    await a.publish(['a', i]);
    if (i % 3 === 0) await b.publish(['b', i / 3]);
  }
  const next: Record<string, number> = { a: 0, b: 0 };
  for (let i = 0; i < 500 + 167; i++) {
    const [who, number] = await subscription.receive({ timeout: 10_000 });
    assert.equal(number, next[who]!++);
  }
  assert.equal(subscription.tryReceive(), undefined);
});

test('Topic: a message of half the ring goes through at any position, a longer one is refused', limit, async () => {
  using topic = await Topic.open(uniqueName(), { codec: 'bytes', capacity });
  using subscription = topic.subscribe();
  assert.equal(topic.longest, capacity / 2 - 16);
  for (let i = 0; i < 300; i++) {
    await topic.publish(new Uint8Array((i * 48) % 700).fill(1));
    const large = new Uint8Array(topic.longest - (i % 40)).fill(i);
    await topic.publish(large);
    let last: Uint8Array | undefined;
    for (let bytes = subscription.tryReceive(); bytes !== undefined; bytes = subscription.tryReceive()) last = bytes;
    assert.deepEqual(last, large);
  }
  assert.equal(subscription.received + subscription.lost, 600);
  const tooLarge = new Uint8Array(topic.longest + 1);
  assert.throws(() => topic.tryPublish(tooLarge), MessageTooLargeError);
  await assert.rejects(topic.publish(tooLarge), MessageTooLargeError);
  assert.throws(() => topic.reserve(tooLarge.length), MessageTooLargeError);
});

test('Topic: a loan is filled in place; meanwhile publish() waits and tryPublish() says false', limit, async () => {
  using topic = await Topic.open(uniqueName(), { codec: 'text' });
  using subscription = topic.subscribe();
  const loan = topic.reserve(10);
  loan.bytes.set(Buffer.from('first'));
  assert.equal(topic.tryPublish('no'), false);
  assert.throws(() => topic.reserve(1), { code: 'EBUSY' });
  const second = topic.publish('second');
  const third = topic.publish('third');
  const controller = new AbortController();
  const aborted = topic.publish('aborted', { signal: controller.signal });
  await assert.rejects(topic.publish('late', { timeout: 1 }), TimeoutError);
  controller.abort(new Error('enough'));
  await assert.rejects(aborted, /enough/);
  assert.equal(subscription.tryReceive(), undefined);
  assert.throws(() => loan.commit(11), RangeError);
  loan.commit(5);
  await Promise.all([second, third]);
  loan.commit();
  loan.discard();
  topic.reserve(3).discard();
  {
    using forgotten = topic.reserve(3);
    forgotten.bytes.fill(65);
  }
  assert.deepEqual(
    [1, 2, 3, 4].map(() => subscription.tryReceive()),
    ['first', 'second', 'third', undefined],
  );
  const last = topic.reserve(3);
  const { bytes } = last;
  const never = topic.publish('never');
  topic.close();
  await assert.rejects(never, ClosedError);
  assert.throws(() => last.commit(), ClosedError);
  assert.equal(bytes.length, 0);
});

test(
  'Topic: what waits for a loan is what it was when it was published, also from a Buffer that is used again',
  limit,
  async () => {
    using topic = await Topic.open(uniqueName(), { codec: 'bytes' });
    using subscription = topic.subscribe();
    const loan = topic.reserve(1);
    const buffer = Buffer.from('right');
    const waiting = topic.publish(buffer);
    buffer.write('spoil');
    loan.discard();
    await waiting;
    assert.equal(Buffer.from(await subscription.receive()).toString(), 'right');
  },
);

/** A value whose own code closes the topic. */
const closing = (topic: Topic<unknown>) => ({
  get value() {
    topic.close();
    return 1;
  },
});
test('Topic: a topic that its codec closes publishes nothing', limit, async () => {
  for (const voice of ['publish', 'tryPublish'] as const) {
    for (const first of [true, false]) {
      using topic = await Topic.open(uniqueName(), { codec: 'json' });
      if (!first) topic.tryPublish(1);
      await assert.rejects(async () => topic[voice](closing(topic)), ClosedError);
    }
  }
});

test(
  'Topic: drain shows messages where they lie, up to a limit; what was overwritten meanwhile is counted',
  limit,
  async () => {
    using topic = await Topic.open(uniqueName(), { codec: 'bytes', capacity });
    using subscription = topic.subscribe();
    for (let i = 0; i < 10; i++) topic.tryPublish(Uint8Array.of(i, i));
    const seen: number[] = [];
    const visit = (memory: Uint8Array, offset: number, length: number) => {
      assert.equal(length, 2);
      assert.throws(() => subscription.tryReceive(), { code: 'ERR_VECINO_DRAINING' });
      assert.equal(subscription.whole, true);
      seen.push(memory[offset]!);
    };
    assert.equal(subscription.drain(visit, 3), 3);
    assert.equal(subscription.drain(visit), 7);
    assert.equal(subscription.drain(visit), 0);
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);

    topic.tryPublish(Uint8Array.of(7));
    let whole = true;
    const count = subscription.drain(() => {
      for (let i = 0; i < 200; i++) topic.tryPublish(new Uint8Array(48));
      whole = subscription.whole;
    }, 1);
    assert.deepEqual([count, whole, subscription.overtaken], [1, false, 1]);
    assert.ok(subscription.lost > 1 && subscription.lost < 200); // it, and those that went with it
    const rest = subscription.drain(() => {});
    assert.equal(subscription.received + subscription.lost, 10 + 1 + 200);
    assert.equal(rest, subscription.received - 10);

    topic.tryPublish(Uint8Array.of(1));
    topic.tryPublish(Uint8Array.of(2));
    assert.throws(
      () =>
        subscription.drain(() => {
          throw new Error('no');
        }),
      /^Error: no$/,
    );
    assert.deepEqual(subscription.tryReceive(), Uint8Array.of(2));
    topic.tryPublish(Uint8Array.of(3));
    topic.tryPublish(Uint8Array.of(4));
    assert.equal(
      subscription.drain(() => topic.close()),
      1,
    );
    assert.throws(() => subscription.drain(() => {}), ClosedError);
  },
);

test('Topic: a message that the codec cannot decode is an error, and the next one arrives', limit, async () => {
  using topic = await Topic.open(uniqueName(), { codec: 'json' });
  using subscription = topic.subscribe();
  using loan = topic.reserve(1);
  loan.bytes[0] = 123;
  loan.commit();
  topic.tryPublish('next');
  await assert.rejects(subscription.receive(), (error) => {
    return error instanceof CorruptError && error.cause instanceof SyntaxError;
  });
  assert.equal(await subscription.receive(), 'next');
});

test('Topic: a subscriber cannot write: it spoils its own view only, and is told', limit, async () => {
  const name = uniqueName();
  using topic = await Topic.open(name, { codec: 'bytes' });
  using vandal = topic.subscribe();
  using other = topic.subscribe();
  topic.tryPublish(Uint8Array.of(1, 2, 3));
  vandal.drain((memory, offset) => {
    memory[offset] = 99;
  });
  assert.deepEqual(other.tryReceive(), Uint8Array.of(1, 2, 3));
  using late = topic.subscribe({ from: 'oldest' });
  assert.deepEqual(late.tryReceive(), Uint8Array.of(1, 2, 3));
  await assert.rejects(vandal.receive(), CorruptError);
  await assert.rejects(vandal.receive(), CorruptError);
});

test('Topic: a ring that somebody truncates is a CorruptError for who reads it', limit, async () => {
  const name = uniqueName();
  using topic = await Topic.open(name, { codec: 'bytes' });
  using subscription = topic.subscribe();
  topic.tryPublish(Uint8Array.of(1));
  assert.ok(subscription.tryReceive());
  const { truncateSync } = await import('node:fs');
  truncateSync(join(process.env['VECINO_RUNTIME_DIR']!, name, 'ring-0'), 0);
  await assert.rejects(subscription.receive({ timeout: 10_000 }), CorruptError);
  assert.throws(() => topic.subscribe(), CorruptError);
});

test(
  'Topic: another kind, codec or capacity is refused with both; a capacity that is not given is what is there',
  limit,
  async () => {
    const name = uniqueName();
    using topic = await Topic.open(name, { codec: 'json', capacity: 8192 });
    await assert.rejects(Topic.open(name, { codec: 'text' }), /codec json, but text/);
    await assert.rejects(Topic.open(name, { codec: 'json', capacity }), /capacity of 8192, but 4096/);
    using same = await Topic.open(name, { codec: 'json' });
    assert.deepEqual([same.capacity, topic.capacity], [8192, 8192]);
    const other = uniqueName();
    using participant = Participant.open(other, { kind: 'queue', codec: 'msgpack', geometry: {} });
    await assert.rejects(Topic.open(participant.name), MismatchError);
  },
);

test('Topic: bad arguments are errors before anything is done', limit, async () => {
  // biome-ignore lint/suspicious/noExplicitAny: what a program without types may pass
  const open = Topic.open as (name: any, options?: any) => Promise<Topic<unknown>>;
  for (const name of ['', '../x', 'a/b', 'a\0', 5, null, undefined, 'x'.repeat(201)])
    await assert.rejects(open(name), TypeError);
  for (const bad of [0, -1, 4095, 4097, 2 ** 31, 2 ** 53, Number.NaN, 1.5, '4096', null, {}])
    await assert.rejects(open(uniqueName(), { capacity: bad }), /options.capacity/);
  for (const bad of [-1, Number.NaN, '5', null, 1e10])
    await assert.rejects(open(uniqueName(), { spin: bad }), /options.spin/);
  for (const bad of ['xml', 5, null, {}]) await assert.rejects(open(uniqueName(), { codec: bad }), /options.codec/);
  await assert.rejects(open(uniqueName(), null), TypeError);
  assert.deepEqual(readdirSync(process.env['VECINO_RUNTIME_DIR']!), []);
  using topic = await Topic.open(uniqueName(), { codec: 'bytes' });
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const any = topic as any;
  const detached = new Uint8Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  for (const bad of ['x', null, undefined, 5, [1], detached]) {
    assert.throws(() => any.tryPublish(bad), NotEncodableError);
    await assert.rejects(any.publish(bad), NotEncodableError);
  }
  for (const bad of [-1, Number.NaN, 1.5, 2 ** 53, '1', null, undefined, {}])
    assert.throws(() => any.reserve(bad), /length/);
  for (const bad of ['first', 1, null]) assert.throws(() => any.subscribe({ from: bad }), /options.from/);
  assert.throws(() => any.subscribe(null), TypeError);
  using subscription = any.subscribe();
  assert.throws(() => subscription.drain(), TypeError);
  for (const bad of [0, -1, Number.NaN, '1', null]) assert.throws(() => subscription.drain(() => {}, bad), /limit/);
  await assert.rejects(subscription.receive({ timeout: -1 }), RangeError);
  await assert.rejects(subscription.receive({ signal: {} }), TypeError);
  assert.equal(subscription.received, 0);
});

test('Topic: a runtime folder of another user is refused', { ...limit, skip: process.getuid!() !== 0 }, async () => {
  const folder = join(temporaryFolder(), 'theirs');
  mkdirSync(folder, { mode: 0o700 });
  const { chownSync } = await import('node:fs');
  chownSync(folder, 12345, 12345);
  const before = process.env['VECINO_RUNTIME_DIR'];
  process.env['VECINO_RUNTIME_DIR'] = folder;
  try {
    await assert.rejects(Topic.open('theirs'), (error) => error instanceof SystemError && error.code === 'EACCES');
  } finally {
    process.env['VECINO_RUNTIME_DIR'] = before;
  }
});

test('Topic: participants and their counters can be listed; with the last everything goes', limit, async () => {
  const name = uniqueName();
  const topic = await Topic.open(name, { codec: 'bytes', capacity });
  const first = topic.subscribe();
  const second = topic.subscribe();
  for (let i = 0; i < 5; i++) topic.tryPublish(new Uint8Array(10));
  second.drain(() => {}, 2);
  const [found] = findChannels();
  assert.deepEqual(
    [found!.name, found!.description],
    [name, { kind: 'topic', codec: 'bytes', geometry: { capacity } }],
  );
  assert.deepEqual(
    found!.participants.map(({ pid, role, counters }) => [pid, role, counters.slice(0, 5)]),
    [
      [process.pid, 3, [5, 50, 0, 0, 0]],
      [process.pid, 2, [0, 0, 2, 20, 0]],
    ],
  );
  const folder = found!.folder;
  assert.equal(statSync(join(folder, 'ring-0')).mode & 0o777, 0o600);
  first.close();
  topic.close();
  assert.throws(() => second.tryReceive(), ClosedError);
  assert.ok(!existsSync(folder));
});
