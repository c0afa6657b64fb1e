import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  ClosedError,
  type Codec,
  type Connection,
  connect,
  FullError,
  layout,
  listen,
  MessageTooLargeError,
  TimeoutError,
} from 'vecino';
import type { ListenOptions } from '#src/channel/index.js';
import { RingConsumer } from '#src/lock-free/ring/consumer.js';
import { temporaryFolder, uniqueName } from '../../support/processes.js';

const runtime = temporaryFolder();
process.env['VECINO_RUNTIME_DIR'] = runtime;

/** Both ends, in this process. */
async function pair<T>(options: ListenOptions<T> = {}): Promise<[Connection<T>, Connection<T>]> {
  const name = uniqueName();
  using listener = await listen<T>(name, options);
  return await Promise.all([listener.accept(), connect<T>(name, options)]);
}
const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => i % 251);

test('Connection: messages arrive whole and in order, both ways, in all three voices', async () => {
  const [a, b] = await pair<number>({ codec: 'json' });
  assert.equal(b.tryReceive(), undefined);
  await a.send(1);
  assert.equal(a.trySend(2), true);
  a.sendSync(3);
  assert.equal(b.tryReceive(), 1);
  assert.equal(await b.receive(), 2);
  assert.equal(b.receiveSync(), 3);
  const next = a.receive();
  b.sendSync(4);
  assert.equal(await next, 4);
  assert.deepEqual(a.counters, { sent: 3, sentBytes: 3, received: 1, receivedBytes: 1 });
  a.close();
  b.close();
});

for (const [codec, values] of [
  ['bytes', [bytes(0), bytes(1), bytes(64), bytes(1000), bytes(100_000)]],
  ['text', ['', 'x', 'ñandú €', '\u{1f980}'.repeat(50_000)]],
  ['json', [null, 0, false, '', { a: [1, 'two', null] }, 'x'.repeat(100_000)]],
  ['structured', [new Map([[1, new Date(0)]]), 10n ** 30n, new Set(['a']), null]],
  ['msgpack', [{ id: 1, name: 'x', tags: ['a', 'b'] }, [1.5, -1, 2 ** 40], 'x'.repeat(70_000), null, true, bytes(100)]],
  [layout({ count: 'u32', price: 'f64', name: { utf8: 16 } }), [{ count: 7, price: 1.25, name: 'ACME' }]],
  [{ encode: (n: number) => Uint8Array.of(n), decode: (b: Uint8Array) => b[0]! }, [7, 255]],
] as [Codec, unknown[]][]) {
  test(`Connection: codec ${typeof codec === 'string' ? codec : 'encode' in codec ? 'custom' : 'layout'}: what is sent is what arrives`, async () => {
    const [a, b] = await pair<unknown>({ codec, capacity: 65_536 });
    for (const value of values) {
      const [received] = await Promise.all([b.receive(), a.send(value)]);
      assert.deepEqual(received, value);
    }
    a.close();
    b.close();
  });
}

test('Connection: what was received stays what it was when more comes', async () => {
  const values = [
    { at: 1, bytes: bytes(100) },
    { at: 2, bytes: bytes(100).fill(9) },
  ];
  for (const codec of ['structured', 'msgpack'] as const) {
    const [a, b] = await pair<unknown>({ codec });
    for (const value of values) a.trySend(value);
    assert.deepEqual([b.tryReceive(), b.tryReceive()], values);
    a.close();
    b.close();
  }
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes' });
  for (const value of values) a.trySend(value.bytes);
  assert.deepEqual([b.tryReceive(), b.tryReceive()], [values[0]!.bytes, values[1]!.bytes]);
  a.close();
  b.close();
});

test('Connection: what a codec cannot carry is refused by the sender, and the next message is whole', async () => {
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  const nasty = {
    get value(): never {
      throw new Error('a getter that throws');
    },
  };
  for (const [codec, values] of [
    ['json', [cycle, () => {}, Symbol('x'), 1n, nasty]],
    ['msgpack', [cycle, () => {}, Symbol('x'), nasty]],
    ['structured', [() => {}, Symbol('x'), nasty]],
    ['text', [cycle, 1, null, nasty]],
    [layout({ count: 'u32' }), [{ count: -1 }, { count: 'x' }, {}, null]],
    [{ encode: () => 'text', decode: () => 1 }, [1]],
  ] as [Codec, unknown[]][]) {
    const [a, b] = await pair<unknown>({ codec });
    for (const value of values) {
      assert.throws(() => a.trySend(value), `${String(codec)} ${typeof value}`);
      await assert.rejects(a.send(value));
    }
    assert.equal(b.tryReceive(), undefined);
    if (typeof codec === 'string') {
      await a.send('x');
      assert.equal(b.tryReceive(), 'x');
    }
    a.close();
    b.close();
  }
});

test('Connection: a full ring: trySend is false, sendSync and send run out of time, an abort rejects, and none of them has sent', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 4096 });
  const message = bytes(1000);
  let sent = 0;
  while (a.trySend(message)) sent++;
  assert.equal(sent, 4);
  assert.equal(a.trySend(message), false);
  assert.throws(() => a.sendSync(message, { timeout: 5 }), TimeoutError);
  await assert.rejects(a.send(message, { timeout: 5 }), TimeoutError);
  const reason = new Error('enough');
  await assert.rejects(a.send(message, { signal: AbortSignal.abort(reason) }), reason);
  const controller = new AbortController();
  const aborted = a.send(message, { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(aborted, reason);
  assert.throws(() => a.reserve(1000), FullError);
  assert.equal(a.tryReserve(1000), null);

  const waiting = a.send(bytes(999));
  assert.equal(a.trySend(message), false); // whoever waits goes first
  assert.equal((await b.receive()).length, 1000);
  await waiting;
  for (let i = 0; i < 3; i++) assert.equal((await b.receive()).length, 1000);
  assert.equal((await b.receive()).length, 999);
  assert.equal(b.tryReceive(), undefined);
  a.close();
  b.close();
});

test('Connection: an empty ring: receive runs out of time or is aborted, takes nothing, and those who wait are served in their order', async () => {
  const [a, b] = await pair<number>();
  await assert.rejects(b.receive({ timeout: 5 }), TimeoutError);
  assert.throws(() => b.receiveSync({ timeout: 5 }), TimeoutError);
  const controller = new AbortController();
  const aborted = b.receive({ signal: controller.signal });
  const waiting = [b.receive(), b.receive()];
  controller.abort();
  await assert.rejects(aborted, { name: 'AbortError' });
  await a.send(1);
  await a.send(2);
  assert.deepEqual(await Promise.all(waiting), [1, 2]);
  a.close();
  b.close();
});

test('Connection: a message longer than the ring travels in parts, in send and sendSync; trySend and reserve say that they cannot', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 4096 });
  const large = bytes(1_000_000);
  assert.throws(() => a.trySend(large), MessageTooLargeError);
  assert.throws(() => a.reserve(large.length), MessageTooLargeError);
  const sending = [a.send(bytes(10)), a.send(large), a.send(bytes(20))];
  for (const length of [10, 1_000_000, 20]) {
    const received = await b.receive();
    assert.deepEqual(received, bytes(length));
  }
  await Promise.all(sending);
  a.close();
  b.close();
});

test('Connection: parts whose sender gave up are thrown away, and the next message is whole', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 4096 });
  await assert.rejects(a.send(bytes(100_000), { timeout: 5 }), TimeoutError);
  const next = a.send(bytes(300));
  assert.deepEqual(await b.receive(), bytes(300));
  await next;
  a.close();
  b.close();
});

test('Connection: a message that the peer does not take is refused before anything is sent', async () => {
  const name = uniqueName();
  await using listener = await listen<Uint8Array>(name, { codec: 'bytes', maxMessageSize: 1000 });
  const [a, b] = await Promise.all([listener.accept(), connect<Uint8Array>(name, { codec: 'bytes' })]);
  await assert.rejects(b.send(bytes(1001)), MessageTooLargeError);
  assert.throws(() => b.reserve(1001), MessageTooLargeError);
  await b.send(bytes(1000));
  assert.equal((await a.receive()).length, 1000);
  a.close();
  b.close();
});

test('Connection: reserve and commit send without a copy; discard sends nothing; one loan at a time', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes' });
  const loan = a.reserve(8);
  loan.bytes.set([1, 2, 3, 4, 5, 6, 7, 8]);
  assert.throws(() => a.trySend(bytes(1)), { code: 'ERR_VECINO_LOAN_OPEN' });
  assert.throws(() => a.reserve(1), { code: 'ERR_VECINO_LOAN_OPEN' });
  assert.throws(() => loan.commit(9), RangeError);
  loan.commit(4);
  loan.commit();
  assert.deepEqual(b.tryReceive(), Uint8Array.of(1, 2, 3, 4));
  assert.equal(b.tryReceive(), undefined);
  a.reserve(8).discard();
  {
    using _forgotten = a.reserve(8);
  }
  assert.equal(a.trySend(bytes(1)), true);
  assert.equal(b.tryReceive()?.length, 1);
  assert.equal(b.tryReceive(), undefined);
  a.close();
  b.close();
});

test('Connection: positions run over 31 and 32 bits, and nothing is lost or found twice', async () => {
  const capacity = 2 ** 24;
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity });
  const most = (capacity / 8) * 3 - 8;
  let next = 0;
  const visit = (memory: Uint8Array, offset: number, length: number) => {
    assert.equal(new DataView(memory.buffer, offset).getUint32(0), next);
    assert.equal(length, most - 8 * (next++ % 1000));
  };
  let sent = 0;
  for (let position = 0; position < 2 ** 33 + 2 ** 31; position += most) {
    const loan = a.reserve(most - 8 * (sent % 1000));
    new DataView(loan.bytes.buffer, loan.offset).setUint32(0, sent++); // the rest stays untouched, and costs nothing
    loan.commit();
    assert.equal(b.drain(visit), 1);
  }
  assert.equal(next, sent);
  assert.equal(a.counters.sentBytes, b.counters.receivedBytes);
  a.close();
  b.close();
});

test('Connection: drain hands over what is there, where it lies, up to a limit', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 8192 });
  for (let i = 0; i < 10; i++) a.trySend(bytes(i));
  const lengths: number[] = [];
  const visit = (memory: Uint8Array, offset: number, length: number) => {
    assert.deepEqual(memory.slice(offset, offset + length), bytes(length));
    lengths.push(length);
  };
  assert.equal(b.drain(visit, 4), 4);
  assert.equal(b.drain(visit), 6);
  assert.equal(b.drain(visit), 0);
  assert.deepEqual(lengths, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);

  a.trySend(bytes(1));
  a.trySend(bytes(2));
  assert.throws(() => b.drain(() => void b.tryReceive()), { code: 'ERR_VECINO_DRAINING' });
  assert.throws(
    () =>
      b.drain(() => {
        throw new Error('mine');
      }),
    /mine/,
  );
  assert.equal(b.drain(visit), 0); // both were received
  a.trySend(bytes(3));
  assert.equal(
    b.drain(() => b.close()),
    1,
  );
  assert.throws(() => b.drain(visit), ClosedError);
  a.close();
});

test('Connection: drain loses nothing: neither by what is no visitor, nor by a limit of 0 when the peer is gone', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes' });
  const lengths: number[] = [];
  const visit = (_memory: Uint8Array, _offset: number, length: number) => void lengths.push(length);
  a.trySend(bytes(1));
  a.trySend(bytes(2));
  for (const none of [undefined, null, 5, {}]) {
    assert.throws(() => b.drain(none as never), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const limit of [Number.NaN, -1, 1.5, Number.NEGATIVE_INFINITY]) {
    assert.throws(() => b.drain(visit, limit), { code: 'ERR_OUT_OF_RANGE' });
  }
  for (const limit of ['1', null, 1n, {}]) {
    assert.throws(() => b.drain(visit, limit as never), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  a.close();
  assert.equal(b.drain(visit, 0), 0);
  assert.equal(b.drain(visit, Number.POSITIVE_INFINITY), 2);
  assert.deepEqual(lengths, [1, 2]);
  assert.throws(() => b.drain(visit), ClosedError);
  b.close();
});

test('Connection: drain comes to an end though more is sent all the time', { timeout: 60_000 }, async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 4096 });
  const message = bytes(64);
  a.trySend(message);
  const visit = () => void a.trySend(message);
  for (let i = 0; i < 3; i++) {
    const count = b.drain(visit);
    assert.ok(count > 10 && count <= 4096 / 72 + 1, String(count));
  }
  a.close();
  b.close();
});

test('Connection: a ring whose messages were all received has room for the longest that goes at once', {
  timeout: 60_000,
}, async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 4096 });
  for (let i = 0; i < 3000; i++) {
    for (let count = i % 5; count >= 0; count--) {
      a.trySend(bytes((i * 40) % 1000));
      assert.ok(b.tryReceive() !== undefined);
    }
    assert.equal(a.trySend(bytes(1528)), true, `round ${i}`);
    assert.ok(b.tryReceive() !== undefined);
  }
  a.close();
  b.close();
});

test('Connection: close: what was sent before is received, then receive throws and a loop ends; sends fail', async () => {
  const [a, b] = await pair<number>();
  const waiting = a.receive();
  for (let i = 0; i < 5; i++) await b.send(i);
  b.close();
  b.close();
  assert.equal(await waiting, 0);
  const rest: number[] = [];
  for await (const n of a) rest.push(n);
  assert.deepEqual(rest, [1, 2, 3, 4]);
  await assert.rejects(a.receive(), ClosedError);
  assert.throws(() => a.tryReceive(), ClosedError);
  assert.throws(() => a.receiveSync(), ClosedError);
  await assert.rejects(async () => {
    for (;;) await a.send(1);
  }, ClosedError);
  assert.throws(() => b.trySend(1), ClosedError);
  await assert.rejects(b.receive(), ClosedError);
  a.close();
});

test('Connection: close while waiting ends each wait with ClosedError, on both sides', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 4096 });
  while (a.trySend(bytes(500)));
  const mine = [a.send(bytes(500)), a.receive()].map((each) => assert.rejects(each, ClosedError));
  const theirs = assert.rejects(
    b
      .receive()
      .then(() => b.receive({ timeout: 0 }))
      .then(async () => {
        for (;;) await b.receive();
      }),
    ClosedError,
  );
  a.close();
  await Promise.all([...mine, theirs]);
  b.close();
});

test('Connection: end: the peer reads to the end and can still answer', async () => {
  const [a, b] = await pair<string>({ codec: 'text' });
  await a.send('question');
  await a.end();
  await assert.rejects(a.send('more'), ClosedError);
  const heard: string[] = [];
  for await (const text of b) heard.push(text);
  assert.deepEqual(heard, ['question']);
  await b.send('answer');
  assert.equal(await a.receive(), 'answer');
  a.close();
  b.close();
});

test('Connection: nothing is sent behind the end: not what waited behind it, nor what was reserved before', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 4096 });
  const loan = a.reserve(4);
  await assert.rejects(a.end(), { code: 'ERR_VECINO_LOAN_OPEN' });
  loan.discard();
  while (a.trySend(bytes(1000)));
  const before = a.send(bytes(999));
  const end = a.end();
  const behind = assert.rejects(a.send(bytes(5)), ClosedError);
  const lengths: number[] = [];
  for await (const message of b) lengths.push(message.length);
  assert.deepEqual(lengths, [1000, 1000, 1000, 1000, 999]);
  await Promise.all([before, end, behind]);
  assert.throws(() => b.tryReceive(), ClosedError);

  while (b.trySend(bytes(1000)));
  const waiting = b.send(bytes(999));
  const over = b.end();
  for (let i = 0; i < 5; i++) a.tryReceive();
  assert.throws(() => b.sendSync(bytes(5)), ClosedError); // after those that wait, of which one is the end
  await Promise.all([waiting, over]);
  assert.equal((await a.receive()).length, 999);
  await assert.rejects(a.receive(), ClosedError);
  a.close();
  b.close();
});

test('Connection: a loan of a connection that has closed says so, and is not committed in vain', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes' });
  const loan = a.reserve(4);
  const { bytes: memory } = loan;
  for (const length of [-1, 5, 1.5, Number.NaN]) assert.throws(() => loan.commit(length), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => loan.commit('1' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  a.close();
  assert.equal(memory.length, 0);
  assert.throws(() => loan.commit(), ClosedError);
  const other = b.reserve(4);
  b.close();
  assert.throws(() => other.bytes, ClosedError);
  other.discard();
  other.discard();
});

test('Connection: leaving a loop early leaves the connection open', async () => {
  const [a, b] = await pair<number>();
  for (let i = 0; i < 3; i++) await a.send(i);
  for await (const n of b) if (n === 1) break;
  assert.equal(await b.receive(), 2);
  a.close();
  b.close();
});

for (const [way, leave] of Object.entries({
  break: async (b: Connection<Uint8Array>, last: number) => {
    for await (const message of b) if (numberOf(message) === last) break;
  },
  throw: async (b: Connection<Uint8Array>, last: number) => {
    const loop = async () => {
      for await (const message of b) if (numberOf(message) === last) throw new RangeError('enough');
    };
    await assert.rejects(loop(), RangeError);
  },
  return: async (b: Connection<Uint8Array>, last: number) => {
    const loop = async () => {
      for await (const message of b) if (numberOf(message) === last) return message;
      return undefined;
    };
    assert.equal(numberOf((await loop())!), last);
  },
})) {
  test(`Connection: leaving a \`for await\` loop early, by ${way}, loses no message`, async () => {
    const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 4096 });
    let sent = 0;
    let next = 0;
    const fill = () => {
      while (a.trySend(numbered(sent, 4 + ((sent * 7) % 90)))) sent++;
    };
    // In every voice, and often round the ring.
    for (let round = 0; round < 40; round++) {
      fill();
      await leave(b, next + 2);
      next += 3;
      assert.equal(numberOf(await b.receive()), next++);
      await leave(b, next);
      next++;
      assert.equal(numberOf(b.tryReceive()!), next++);
      assert.equal(numberOf(b.receiveSync()), next++);
      b.drain((memory, offset, length) => {
        assert.equal(numberOf(memory.slice(offset, offset + length)), next++);
      }, 2);
      fill();
      await leave(b, sent - 1);
      next = sent;
      assert.equal(b.tryReceive(), undefined);
      const coming = b.receive();
      fill();
      assert.equal(numberOf(await coming), next++);
    }
    assert.equal(b.counters.received, next);
    a.close();
    b.close();
  });
}
/** A message that says which it is, and whose other bytes do too. */
function numbered(number: number, length: number): Uint8Array {
  const message = new Uint8Array(length).fill(number);
  new DataView(message.buffer).setUint32(0, number);
  return message;
}
function numberOf(message: Uint8Array): number {
  const number = new DataView(message.buffer, message.byteOffset).getUint32(0);
  assert.ok(message.subarray(4).every((byte) => byte === (number & 255)));
  return number;
}

test("Connection: received bytes are their reader's, whatever comes later and whatever becomes of those before", async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 16_384 });
  const kept: Uint8Array[] = [];
  let sent = 0;
  for (let round = 0; round < 60; round++) {
    while (a.trySend(numbered(sent, 4 + ((sent * 13) % (round % 3 === 0 ? 6000 : 200))))) sent++;
    while (kept.length < sent) {
      const message = (kept.length % 2 === 0 ? b.tryReceive() : await b.receive())!;
      assert.equal(numberOf(message), kept.length);
      assert.deepEqual([message.constructor, message.byteOffset % 8], [Uint8Array, 0]);
      kept.push(message);
      if (kept.length % 50 !== 0) continue;
      try {
        // From Node 21 on; some later ones refuse it.
        (message.buffer as { transfer?(): ArrayBuffer }).transfer?.();
      } catch (error) {
        assert.ok(error instanceof TypeError);
      }
    }
  }
  for (const [number, message] of kept.entries()) if (message.length > 0) assert.equal(numberOf(message), number);
  a.close();
  b.close();
});

test('Connection: results that are always there do not starve the event loop', async () => {
  const [a, b] = await pair<number>();
  let turns = 0;
  let over = false;
  void (async () => {
    while (!over) {
      await turn();
      turns++;
    }
  })();
  for (let i = 0; i < 5000; i++) {
    await a.send(i);
    assert.equal(await b.receive(), i);
  }
  over = true;
  assert.ok(turns > 10, `${turns} turns`);
  a.close();
  b.close();
});

test('Connection: a loop over messages that are there already does not starve the event loop either', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 2 ** 20 });
  let sent = 0;
  while (a.trySend(bytes(8))) sent++;
  let turns = 0;
  const turned = () => {
    turns++;
    if (sent > 0) setImmediate(turned);
  };
  setImmediate(turned);
  for await (const _ of b) if (--sent === 0) break;
  assert.ok(turns > 100, `${turns} turns`);
  a.close();
  b.close();
});

test('Connection: whoever waits behind one that is aborted is tried: what is there, or fits, is had without a wake-up', {
  timeout: 60_000,
}, async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 4096, spin: 0 });
  const aborted = (wait: (signal: AbortSignal) => Promise<unknown>, next: () => Promise<unknown>) => {
    const controller = new AbortController();
    const first = assert.rejects(wait(controller.signal), { name: 'AbortError' });
    const second = next();
    controller.abort();
    return Promise.all([first, second]);
  };
  for (let i = 0; i < 3; i++) a.trySend(bytes(1000));
  await aborted(
    (signal) => a.send(bytes(1400), { signal }),
    () => a.send(bytes(10)),
  );
  while (b.tryReceive() !== undefined);
  // Now and then the first waits for a turn of the event loop, with the message there already.
  for (let i = 0; i < 200; i++) {
    a.trySend(bytes(1));
    if (i % 3 === 0) {
      await b.receive();
      a.trySend(bytes(1));
    }
    const controller = new AbortController();
    const [first, second] = [b.receive({ signal: controller.signal }), b.receive()];
    controller.abort();
    if (
      await first.then(
        () => true,
        () => false,
      )
    )
      a.trySend(bytes(1));
    await second;
  }
  a.close();
  b.close();
});

test('Connection: both directions waiting at once, in mixed voices, lose no wake-up', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 4096 });
  while (a.trySend(bytes(500)));
  const received = a.receive();
  const sent = a.send(bytes(1)); // waits for room, while the receive waits for a message
  b.sendSync(bytes(2));
  assert.equal((await received).length, 2);
  const again = a.receive();
  for (let i = 0; i < 4; i++) b.tryReceive();
  await sent;
  b.sendSync(bytes(3));
  assert.equal((await again).length, 3);
  a.close();
  b.close();
});

test('Connection: what waits to be sent is what it was then, also from a Buffer that is used again', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 4096, spin: 0 });
  while (a.trySend(bytes(1000)));
  const buffer = Buffer.alloc(1000, 1);
  const waiting = a.send(buffer);
  buffer.fill(2);
  for (let i = 0; i < 4; i++) assert.deepEqual(await b.receive(), bytes(1000));
  assert.deepEqual(await b.receive(), new Uint8Array(1000).fill(1));
  await waiting;
  a.close();
  b.close();
});

test('Connection: a codec that closes the connection while it decodes breaks nothing', async () => {
  for (const voice of ['tryReceive', 'receive', 'waiting', 'loop'] as const) {
    let close = () => {};
    const decode = (value: Uint8Array) => {
      close();
      return value.length;
    };
    const codec = { encode: (length: number) => bytes(length), decode };
    const [a, b] = await pair<number>({ codec, capacity: 4096, spin: 0 });
    close = () => b.close();
    const waiting = voice === 'waiting' ? [b.receive(), b.receive()] : [];
    a.sendSync(1500);
    if (voice === 'tryReceive') assert.equal(b.tryReceive(), 1500);
    else if (voice === 'loop') {
      const values: number[] = [];
      for await (const value of b) values.push(value);
      assert.deepEqual(values, [1500]);
    } else if (voice === 'receive') assert.equal(await b.receive(), 1500);
    for (const each of waiting) await assert.rejects(each, ClosedError); // close() ends what waits
    assert.throws(() => b.tryReceive(), ClosedError);
    a.close();
  }
});

test('Connection: a stream says that it cannot carry null, and does not end as if all had come', async () => {
  const [a, b] = await pair<unknown>({ codec: 'json' });
  for (const value of [1, null, 2]) a.trySend(value);
  a.close();
  const values: unknown[] = [];
  await assert.rejects(
    async () => {
      for await (const value of b.toStreams().readable) values.push(value);
    },
    { code: 'ERR_INVALID_ARG_VALUE' },
  );
  assert.ok(values.length <= 1);
  assert.equal(b.closed, true);
});

test('Connection: a listener has read its options: what becomes of the object later changes nothing', async () => {
  const options: ListenOptions<unknown> = { codec: 'text' };
  const name = uniqueName();
  await using listener = await listen(`/${name}`, options);
  assert.equal(listener.name, name);
  Object.assign(options, { codec: 'json', spin: -1 });
  const [a, b] = await Promise.all([listener.accept(), connect(name, { codec: 'text' })]);
  await b.send('hello');
  assert.equal(await a.receive(), 'hello');
  a.close();
  b.close();
});

test('Connection: only true allows a peer: not a promise, and not an exception', { timeout: 60_000 }, async () => {
  const throws = () => {
    throw new Error('mine');
  };
  for (const no of [() => false, async () => true, () => 1, throws] as (() => never)[]) {
    const name = uniqueName();
    await using listener = await listen(name, { allow: no });
    const accepted = assert.rejects(listener.accept(), ClosedError);
    await assert.rejects(connect(name), { code: 'EACCES' });
    listener.close();
    await accepted;
  }
  const name = uniqueName();
  await using listener = await listen(name);
  const controller = new AbortController();
  const accepted = assert.rejects(listener.accept({ signal: controller.signal }), { name: 'AbortError' });
  await assert.rejects(connect(name, { allow: (async () => true) as never }), { code: 'EACCES' });
  await assert.rejects(connect(name, { allow: throws }), /mine/);
  controller.abort();
  await accepted;
});

test('Connection: streams carry messages, and end with the connection', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes' });
  const { readable, writable } = a.toStreams();
  const answers: number[] = [];
  const echo = (async () => {
    for await (const message of b) await b.send(message);
    await b.end();
  })();
  for (let i = 1; i <= 100; i++) writable.write(bytes(i));
  writable.end();
  for await (const chunk of readable) answers.push((chunk as Uint8Array).length);
  assert.deepEqual(
    answers,
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  await echo;
  b.close();
  a.close();
});

test('Connection: bad arguments are refused before anything happens', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes' });
  for (const value of ['x', 1, null, undefined, {}, [1], new ArrayBuffer(8)]) {
    assert.throws(() => a.trySend(value as never), { code: 'ERR_VECINO_NOT_ENCODABLE' });
    await assert.rejects(a.send(value as never), { code: 'ERR_VECINO_NOT_ENCODABLE' });
  }
  for (const length of [-1, 1.5, Number.NaN, 2 ** 53, '1', null])
    assert.throws(() => a.reserve(length as never), /length/);
  await assert.rejects(a.send(bytes(1), { timeout: -1 }), RangeError);
  await assert.rejects(a.receive({ timeout: Number.NaN }), RangeError);
  assert.equal(b.tryReceive(), undefined);
  a.close();
  b.close();
  for (const options of [
    { capacity: 5000 },
    { capacity: 2048 },
    { capacity: 2 ** 30 },
    { capacity: 2 ** 31 },
    null,
    { codec: 'xml' },
    { spin: -1 },
    { maxMessageSize: 0 },
    { allow: 1 },
    5,
  ]) {
    await assert.rejects(listen(uniqueName(), options as never), /must be/);
    await assert.rejects(connect(uniqueName(), options as never), /must be/);
  }
  for (const name of ['', 'a/b', '..', 'x'.repeat(201), 5]) {
    await assert.rejects(listen(name as never), /name must be/);
    await assert.rejects(connect(name as never), /name must be/);
  }
});

test('Connection: undefined cannot be sent where it would pass for no message', async () => {
  const [a, b] = await pair<unknown>({ codec: 'msgpack' });
  await assert.rejects(a.send(undefined), { code: 'ERR_VECINO_NOT_ENCODABLE', path: 'value' });
  await a.send(null);
  assert.equal(await b.receive(), null);
  a.close();
  b.close();
});

test('Connection: msgpack: values that send others while they are encoded, values of any length, and some that cannot be encoded, in turn', async () => {
  const [a, b] = await pair<unknown>({ codec: 'msgpack', capacity: 2 ** 24 });
  const [c, d] = await pair<unknown>({ codec: 'msgpack', capacity: 2 ** 24 });
  for (const length of [1, 100, 511, 512, 513, 5000, 100_000, 2 ** 21, 3, 9000, 0]) {
    const text = 'é'.repeat(length >> 1);
    const nested = {
      get outer() {
        c.sendSync({ inner: text });
        a.sendSync([length]);
        return text;
      },
    };
    a.sendSync([nested, length]);
    assert.deepEqual(await b.receive(), [length]);
    assert.deepEqual(await b.receive(), [{ outer: text }, length]);
    assert.deepEqual(await d.receive(), { inner: text });
    const refused = {
      text,
      get more() {
        return assert.fail('refused');
      },
    };
    assert.throws(() => a.sendSync([refused]), /refused/);
    await assert.rejects(a.send({ text, refused }), /refused/);
    a.sendSync({ length });
    assert.deepEqual(await b.receive(), { length });
  }
  for (const connection of [a, b, c, d]) connection.close();
});

test('Connection: a layout whose values send, fail or close while they are written into the ring spoils nothing', async () => {
  const plan = layout({ id: 'u32', name: { utf8: 8 } });
  const [a, b] = await pair({ codec: plan });
  const value = (name: () => string) => ({
    id: 1,
    get name() {
      return name();
    },
  });
  const open = { code: 'ERR_VECINO_LOAN_OPEN' };
  assert.throws(() => a.trySend(value(() => (a.trySend({ id: 2, name: 'inner' }) ? 'sent' : 'full'))), open);
  assert.throws(() => a.trySend(value(() => a.tryReserve(4)!.bytes.toString())), open);
  assert.throws(() => a.trySend(value(() => 'much too long')), { path: 'value.name' });
  assert.throws(() => a.trySend(undefined as never), { path: 'value' });
  assert.ok(a.trySend(value(() => 'outer')));
  assert.deepEqual(b.tryReceive(), { id: 1, name: 'outer' });
  assert.equal(b.tryReceive(), undefined);
  const closing = value(() => {
    a.close();
    return 'closed';
  });
  assert.throws(() => a.trySend(closing), ClosedError);
  await assert.rejects(b.receive(), ClosedError);
  b.close();
});

test('Connection: a value whose getter closes the connection, reserves or ends is not sent, in any voice', async () => {
  const acts: [(a: Connection<unknown>) => unknown, object][] = [
    [(a) => a.close(), { code: 'ERR_VECINO_CLOSED' }],
    [(a) => void a.end(), { code: 'ERR_VECINO_CLOSED' }],
    [(a) => a.reserve(4), { code: 'ERR_VECINO_LOAN_OPEN' }],
  ];
  for (const [act, error] of acts) {
    for (const voice of ['trySend', 'sendSync', 'send'] as const) {
      const [a, b] = await pair<unknown>({ codec: 'msgpack' });
      const value = {
        get text() {
          act(a);
          return 'text';
        },
      };
      await assert.rejects(async () => a[voice](value), error);
      a.close();
      await assert.rejects(b.receive(), ClosedError);
      b.close();
    }
  }
});

test('Connection: what is sent and closed between two looks is received, by tryReceive, by drain and by those who wait', async () => {
  const real = Object.getOwnPropertyDescriptor(RingConsumer.prototype, 'producerClosed')!;
  const received: number[] = [];
  for (const look of [
    (a: Connection<Uint8Array>) => received.push(a.tryReceive()?.length ?? 0),
    (a: Connection<Uint8Array>) => a.drain((_memory, _offset, length) => received.push(length)),
    async (a: Connection<Uint8Array>) => received.push((await a.receive()).length),
    (a: Connection<Uint8Array>) => received.push(a.receiveSync().length),
  ]) {
    const [a, b] = await pair<Uint8Array>({ codec: 'bytes', spin: 0 });
    // The first look was in vain; whether the peer has closed is asked after it.
    Object.defineProperty(RingConsumer.prototype, 'producerClosed', {
      configurable: true,
      get() {
        Object.defineProperty(RingConsumer.prototype, 'producerClosed', real);
        b.trySend(bytes(received.length + 1));
        b.close();
        return true;
      },
    });
    await look(a);
    assert.throws(() => a.tryReceive(), ClosedError);
    a.close();
  }
  assert.deepEqual(received, [1, 2, 3, 4]);
});

test('Connection: one receive makes room for a sender that waits, in each voice, and before this side blocks', async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 4096, spin: 0 });
  for (const receive of [() => b.receive(), () => b.tryReceive(), () => b.receiveSync(), () => b.drain(() => {}, 1)]) {
    while (a.trySend(bytes(64)));
    const sending = a.send(bytes(64));
    await receive();
    await sending;
  }
  while (b.trySend(bytes(64)));
  const sending = a.send(bytes(64));
  await b.receive();
  assert.throws(() => b.sendSync(bytes(64), { timeout: 1 }), TimeoutError);
  await sending;
  a.close();
  b.close();
});

test('Connection: nothing is left in the runtime folder', () => {
  assert.ok(!existsSync(runtime) || readdirSync(runtime).length === 0);
});

test('Connection: without any spin, messages longer than the ring go both ways at once', {
  timeout: 60_000,
}, async () => {
  const [a, b] = await pair<Uint8Array>({ codec: 'bytes', capacity: 4096, spin: 0 });
  const message = bytes(100_000);
  for (let i = 0; i < 20; i++) {
    const waits = i % 2 === 0 ? [a.receive(), b.receive()] : [];
    await Promise.all(
      [a.send(message), b.send(message), ...waits].concat(i % 2 === 0 ? [] : [a.receive(), b.receive()]),
    );
  }
  a.close();
  b.close();
});
