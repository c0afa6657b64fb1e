import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedMemory } from 'vecino/memory';
import { RwLock } from 'vecino/sync';
import { ClosedError, CorruptError, TimeoutError } from 'vecino/system';
import { peer, segment, until } from '../support/locks.js';

const limit = { timeout: 60_000 };
const code = (code: string) => ({ code });
/** Of the writers' lock and the first reader, in words. */
const WRITERS = 16;
const READER = 32;
const isTaken = (words: Int32Array, index: number) => (Atomics.load(words, index) & 0x3fffffff) !== 0;

function fresh(): { memory: SharedMemory; lock: RwLock } & Disposable {
  const memory = SharedMemory.anonymous(RwLock.byteLength);
  const lock = RwLock.create(memory);
  return {
    memory,
    lock,
    [Symbol.dispose]() {
      lock.close();
      memory.close();
    },
  };
}

test('RwLock: many read or one writes', async () => {
  using it = fresh();
  const { lock } = it;
  const readers = [lock.readSync(), await lock.read(), lock.tryRead()!];
  assert.equal(lock.tryWrite(), null);
  for (const reader of readers) {
    reader.markConsistent(); // does nothing
    reader.release();
  }
  for (const take of [() => lock.writeSync(), () => lock.write(), () => lock.tryWrite()!]) {
    const writer = await take();
    assert.equal(lock.tryRead(), null);
    assert.equal(lock.tryWrite(), null);
    writer.release();
    assert.throws(() => writer.release(), code('EPERM'));
  }
  lock.readSync().release();
});

test('RwLock: a thread that would wait for itself gets EDEADLK', () => {
  using it = fresh();
  const twin = RwLock.at(it.memory);
  const reader = it.lock.readSync();
  assert.throws(() => it.lock.writeSync(), code('EDEADLK'));
  assert.throws(() => twin.writeSync(), code('EDEADLK'));
  it.lock.readSync().release(); // reading twice is no conflict
  reader.release();
  const writer = it.lock.writeSync();
  for (const lock of [it.lock, twin]) {
    assert.throws(() => lock.readSync(), code('EDEADLK'));
    assert.throws(() => lock.writeSync(), code('EDEADLK'));
  }
  writer.release();
  it.lock.writeSync().release();
  twin.close();
});

test(
  'RwLock: who waits in a thread is served in order, and time-outs and aborts leave nothing held',
  limit,
  async () => {
    using it = fresh();
    const { lock } = it;
    const reader = lock.readSync();
    const order: string[] = [];
    const controller = new AbortController();
    const aborted = lock.write({ signal: controller.signal });
    const writes = lock.write().then((guard) => {
      order.push('write');
      guard.release();
    });
    const reads = lock.read().then((guard) => {
      order.push('read');
      guard.release();
    });
    await assert.rejects(lock.read({ timeout: 5 }), TimeoutError); // behind the writer
    controller.abort(new Error('enough'));
    await assert.rejects(aborted, /enough/);
    assert.deepEqual(order, []);
    reader.release();
    await Promise.all([writes, reads]);
    assert.deepEqual(order, ['write', 'read']);
    const writer = lock.writeSync();
    await assert.rejects(lock.write({ timeout: 5 }), TimeoutError);
    await assert.rejects(lock.read({ timeout: 5 }), TimeoutError);
    writer.release();
    lock.writeSync().release();
  },
);

test('RwLock: a writer that waits stops new readers, and lets them in when it gives up', limit, async () => {
  using memory = segment();
  const lock = RwLock.create(memory);
  const there = await peer(memory);
  assert.equal(await there.run('globalThis.lock = RwLock.at(memory); globalThis.guard = lock.readSync()'), 'done');
  const writing = lock.write({ timeout: 200 });
  assert.equal(await there.run('if (lock.tryRead() !== null) throw new Error("let in")'), 'done');
  there.begin('globalThis.second = await lock.read()'); // reads only once the writer has gone
  await assert.rejects(writing, TimeoutError);
  assert.equal(await there.line(), 'done');
  assert.throws(() => lock.writeSync({ timeout: 5 }), TimeoutError);
  assert.equal(await there.run('guard.release(); second.release()'), 'done');
  lock.writeSync().release();
  await there.kill();
});

test('RwLock: processes wait for each other in each voice', limit, async () => {
  using memory = segment();
  const lock = RwLock.create(memory);
  const words = new Int32Array(memory.buffer);
  const there = await peer(memory);
  assert.equal(await there.run('globalThis.lock = RwLock.at(memory)'), 'done');
  for (const mine of [() => lock.readSync(), () => lock.writeSync()]) {
    for (const wait of ['lock.writeSync()', 'await lock.write()']) {
      const guard = mine();
      there.begin(`globalThis.guard = ${wait}`);
      await until(() => words[WRITERS]! < 0 || words[READER]! < 0);
      guard.release();
      assert.equal(await there.line(), 'done');
      const reading = lock.read();
      assert.throws(() => lock.readSync({ timeout: 5 }), TimeoutError);
      assert.equal(await there.run('guard.release()'), 'done');
      (await reading).release();
    }
  }
  await there.kill();
});

test('RwLock: a reader that is killed is forgotten, by who waits and by who comes later', limit, async () => {
  using memory = segment();
  const lock = RwLock.create(memory);
  const words = new Int32Array(memory.buffer);
  for (const wait of [() => lock.write(), () => lock.writeSync()]) {
    const there = await peer(memory);
    assert.equal(await there.run('globalThis.guard = RwLock.at(memory).readSync()'), 'done');
    assert.ok(isTaken(words, READER));
    let waiting: unknown;
    if (wait.toString().includes('write()')) {
      waiting = wait();
      await until(() => words[READER]! < 0);
    }
    await there.kill();
    const guard = await ((waiting ?? wait()) as ReturnType<typeof wait>);
    assert.equal(guard.ownerDied, false);
    guard.release();
  }
});

test(
  'RwLock: a writer that is killed is reported to the next one, who may be a reader and is alone',
  limit,
  async () => {
    using memory = segment();
    const lock = RwLock.create(memory);
    const other = await peer(memory);
    assert.equal(await other.run('globalThis.lock = RwLock.at(memory)'), 'done');
    for (const next of [() => lock.writeSync(), () => lock.read(), () => lock.tryRead()!, () => lock.tryWrite()!]) {
      const there = await peer(memory);
      assert.equal(await there.run('globalThis.guard = RwLock.at(memory).writeSync()'), 'done');
      await there.kill();
      const guard = await next();
      assert.equal(guard.ownerDied, true);
      assert.equal(await other.run('if (lock.tryRead() !== null) throw new Error("let in")'), 'done');
      guard.markConsistent();
      guard.release();
      using reader = lock.readSync();
      assert.equal(reader.ownerDied, false);
    }
    await other.kill();
  },
);

test('RwLock: those who wait while the writer dies go on, and one of them is told', limit, async () => {
  using memory = segment();
  const lock = RwLock.create(memory);
  const words = new Int32Array(memory.buffer);
  const there = await peer(memory);
  assert.equal(await there.run('globalThis.guard = RwLock.at(memory).writeSync()'), 'done');
  const repaired: boolean[] = [];
  const waits = [lock.read(), lock.write(), lock.read()].map(async (wait) => {
    using guard = await wait;
    repaired.push(guard.ownerDied);
    guard.markConsistent();
  });
  await until(() => words[WRITERS]! < 0);
  await there.kill();
  await Promise.all(waits);
  assert.deepEqual(repaired, [true, false, false]);
});

test(
  'RwLock: a writer that is killed while it waits for readers has changed nothing, and nobody is told',
  limit,
  async () => {
    using memory = segment();
    const lock = RwLock.create(memory);
    const words = new Int32Array(memory.buffer);
    const reader = lock.readSync();
    const there = await peer(memory);
    there.begin('RwLock.at(memory).writeSync()');
    await until(() => isTaken(words, WRITERS) && words[READER]! < 0);
    await there.kill();
    using second = lock.readSync();
    assert.equal(second.ownerDied, false);
    reader.release();
  },
);

test('RwLock: released without repair it is unusable, to read and to write', limit, async () => {
  using memory = segment();
  const lock = RwLock.create(memory);
  const there = await peer(memory);
  assert.equal(await there.run('globalThis.guard = RwLock.at(memory).writeSync()'), 'done');
  await there.kill();
  lock.readSync().release();
  // Were this process killed within the release, the next owner would still be told.
  assert.equal(new Int32Array(memory.buffer)[1], 1, 'somebody writes');
  assert.throws(() => lock.readSync(), code('ENOTRECOVERABLE'));
  assert.throws(() => lock.writeSync(), code('ENOTRECOVERABLE'));
  await assert.rejects(lock.read(), code('ENOTRECOVERABLE'));
  await assert.rejects(lock.write(), code('ENOTRECOVERABLE'));
});

test('RwLock: neither writers nor readers starve', limit, async () => {
  using memory = segment();
  const lock = RwLock.create(memory);
  const words = new Int32Array(memory.buffer, RwLock.byteLength);
  const flags = RwLock.byteLength / 4;
  for (const voice of ['readSync', 'writeSync'] as const) {
    words.fill(0);
    const peers = [await peer(memory), await peer(memory)];
    for (const there of peers) {
      there.begin(
        `const lock = RwLock.at(memory);
         while (words[${flags}] === 0) {
           const guard = lock.${voice}();
           for (const end = performance.now() + 1; performance.now() < end;);
           words[${flags + 1}]++;
           guard.release();
         }`.replaceAll('\n', ' '),
      );
    }
    await until(() => words[1]! > 0);
    for (let i = 0; i < 10; i++) {
      (await lock.write()).release();
      (await lock.read()).release();
      lock.writeSync().release();
      lock.readSync().release();
    }
    words[0] = 1;
    for (const there of peers) {
      assert.equal(await there.line(), 'done');
      await there.kill();
    }
  }
});

test('RwLock: a thread more than can read waits until one is done', limit, async () => {
  using memory = segment();
  const lock = RwLock.create(memory);
  const others = Array.from({ length: 64 }, () => RwLock.at(memory)); // each is a reader of its own
  const guards = others.map((other) => other.readSync());
  assert.equal(lock.tryRead(), null);
  assert.throws(() => lock.readSync({ timeout: 5 }), { code: /EDEADLK|ERR_VECINO_TIMEOUT/ });
  const waiting = lock.read();
  setImmediate(() => guards[40]!.release());
  (await waiting).release();
  for (const [i, guard] of guards.entries()) if (i !== 40) guard.release();
  for (const other of others) other.close();
  lock.writeSync().release();
});

test('RwLock: guards outlive the closing of the lock and of the memory', limit, async () => {
  const memory = SharedMemory.anonymous(RwLock.byteLength);
  const twin = SharedMemory.fromFd(memory.fd);
  const lock = RwLock.create(memory);
  const guard = lock.readSync();
  const waiting = lock.write();
  lock.close();
  await assert.rejects(waiting, ClosedError);
  memory.close();
  assert.throws(() => lock.readSync(), ClosedError);
  assert.throws(() => lock.tryWrite(), ClosedError);
  const other = RwLock.at(twin);
  assert.equal(other.tryWrite(), null);
  guard.release();
  other.writeSync().release();
  twin.close();
});

test('RwLock: bad arguments are refused', () => {
  using memory = SharedMemory.anonymous(RwLock.byteLength);
  assert.throws(() => RwLock.at(memory), CorruptError);
  for (const offset of [-8, 8, 1.5, Number.NaN, 2 ** 53])
    assert.throws(() => RwLock.create(memory, offset), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => RwLock.create(null as unknown as SharedMemory), code('ERR_INVALID_ARG_TYPE'));
  const lock = RwLock.create(memory);
  assert.throws(() => lock.readSync({ timeout: -1 }), code('ERR_OUT_OF_RANGE'));
  assert.throws(() => lock.writeSync({ timeout: '1' as unknown as number }), code('ERR_INVALID_ARG_TYPE'));
  lock.writeSync().release();
});

test('RwLock: a claim to be first that outlives its process keeps nobody out who cannot wait', limit, async () => {
  using it = fresh();
  const words = new Int32Array(it.memory.buffer);
  words[WRITERS + 5] = 0x3fffffff; // as of one that was killed
  const short = { timeout: 3 };
  for (const take of [
    () => it.lock.tryRead(),
    () => it.lock.tryWrite(),
    () => it.lock.readSync({ timeout: 0 }),
    () => it.lock.writeSync({ timeout: 0 }),
    () => it.lock.read(short),
    () => it.lock.write(short),
  ]) {
    const guard = await take();
    assert.notEqual(guard, null);
    guard!.release();
  }
  assert.equal(words[WRITERS + 5], 0x3fffffff);
  it.lock.writeSync({ timeout: 10_000 }).release(); // gives way, and sees that nobody comes
  assert.equal(words[WRITERS + 5], 0);
});

test('RwLock: a closed lock gives nothing, in no voice', async () => {
  using it = fresh();
  const { lock } = it;
  const reader = lock.readSync();
  const closed = async () => {
    assert.throws(() => lock.tryRead(), ClosedError);
    assert.throws(() => lock.tryWrite(), ClosedError);
    assert.throws(() => lock.readSync(), ClosedError);
    assert.throws(() => lock.writeSync(), ClosedError);
    await assert.rejects(lock.read(), ClosedError);
    await assert.rejects(lock.write(), ClosedError);
  };
  lock.close();
  await closed();
  reader.release();
  await closed();
});
