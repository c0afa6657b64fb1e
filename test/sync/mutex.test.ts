import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SharedMemory, SysVSharedMemory } from 'vecino/memory';
import { type Guard, Mutex } from 'vecino/sync';
import { ClosedError, CorruptError, TimeoutError } from 'vecino/system';
import { awaited, peer, segment, until } from '../support/locks.js';

const limit = { timeout: 60_000 };
const code = (code: string) => ({ code });
function fresh(): { memory: SharedMemory; mutex: Mutex; words: Int32Array } & Disposable {
  const memory = SharedMemory.anonymous(4096);
  const mutex = Mutex.create(memory);
  return {
    memory,
    mutex,
    words: new Int32Array(memory.buffer),
    [Symbol.dispose]() {
      mutex.close();
      memory.close();
    },
  };
}

test('Mutex: the three voices take it, and each guard gives it back', async () => {
  using it = fresh();
  const { mutex } = it;
  {
    using guard = await mutex.lock();
    assert.equal(guard.held, true);
    assert.equal(guard.ownerDied, false);
    assert.equal(mutex.tryLock(), null);
  }
  {
    using guard = mutex.lockSync();
    guard.markConsistent(); // does nothing
    assert.equal(mutex.tryLock(), null);
  }
  const guard = mutex.tryLock()!;
  guard.release();
  assert.equal(guard.held, false);
  assert.equal(mutex.enterSync(), false);
  assert.equal(mutex.tryLock(), null);
  mutex.exit();
  mutex.tryLock()!.release();
});

test('Mutex: taking it twice in a thread is EDEADLK in the synchronous voice, null in the other', () => {
  using it = fresh();
  using guard = it.mutex.lockSync();
  assert.ok(guard.held);
  assert.throws(() => it.mutex.lockSync(), code('EDEADLK'));
  assert.throws(() => it.mutex.enterSync({ timeout: 5 }), code('EDEADLK'));
  const same = Mutex.at(it.memory);
  assert.throws(() => same.lockSync(), code('EDEADLK'));
  assert.equal(same.tryLock(), null);
  same.close();
});

test('Mutex: releasing what is not held is EPERM', () => {
  using it = fresh();
  const guard = it.mutex.lockSync();
  guard.release();
  assert.throws(() => guard.release(), code('EPERM'));
  assert.throws(() => guard.markConsistent(), code('EPERM'));
  guard[Symbol.dispose](); // for `using`, which must not fail after a release
  assert.throws(() => it.mutex.exit(), code('EPERM'));
  assert.throws(() => it.mutex.markConsistent(), code('EPERM'));
  const next = it.mutex.lockSync();
  assert.throws(() => guard.release(), code('EPERM')); // the old guard has no power over the next one's lock
  next.release();
});

test('Mutex: another thread can neither take nor release it', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const guard = mutex.lockSync();
  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    import { Mutex, SharedMemory } from ${JSON.stringify(import.meta.resolve('vecino'))};
    const memory = SharedMemory.open(workerData);
    const mutex = Mutex.at(memory);
    const failure = (act) => { try { act(); } catch (error) { return error.code; } };
    const answer = [mutex.tryLock(), failure(() => mutex.exit()), failure(() => mutex.lockSync({ timeout: 5 }))];
    memory.close();
    parentPort.postMessage(answer);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData: memory.name });
  const answer = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  assert.deepEqual(answer, [null, 'EPERM', 'ERR_VECINO_TIMEOUT']);
  await worker.terminate();
  guard.release();
});

test('Mutex: the tasks of a thread get it in the order they asked', limit, async () => {
  using it = fresh();
  const order: number[] = [];
  const first = it.mutex.lockSync();
  const tasks = Array.from({ length: 50 }, async (_, i) => {
    using guard = await it.mutex.lock();
    order.push(i);
    await null;
    assert.ok(guard.held);
  });
  await new Promise(setImmediate);
  assert.deepEqual(order, []);
  first.release();
  await Promise.all(tasks);
  assert.deepEqual(
    order,
    Array.from({ length: 50 }, (_, i) => i),
  );
});

test('Mutex: two objects for one mutex in a thread exclude each other', limit, async () => {
  using it = fresh();
  const other = Mutex.at(it.memory);
  const guard = other.lockSync();
  const waiting = it.mutex.lock();
  setImmediate(() => guard.release());
  (await waiting).release();
  other.close();
});

test('Mutex: a lock that is always free does not starve the event loop', limit, async () => {
  using it = fresh();
  let turned = false;
  setImmediate(() => {
    turned = true;
  });
  while (!turned) (await it.mutex.lock()).release();
  turned = false;
  setImmediate(() => {
    turned = true;
  });
  const task = async () => {
    while (!turned) (await it.mutex.lock()).release();
  };
  await Promise.all([task(), task()]);
});

test('Mutex: a time-out and an abort end the wait; the next one in line is served', limit, async () => {
  using it = fresh();
  const guard = it.mutex.lockSync();
  await assert.rejects(it.mutex.lock({ timeout: 5 }), TimeoutError);
  await assert.rejects(it.mutex.lock({ timeout: 0 }), TimeoutError);
  const controller = new AbortController();
  const reason = new Error('enough');
  const aborted = it.mutex.lock({ signal: controller.signal });
  const next = it.mutex.lock();
  controller.abort(reason);
  await assert.rejects(aborted, reason);
  await assert.rejects(it.mutex.lock({ signal: controller.signal }), reason);
  guard.release();
  (await next).release();
  (await it.mutex.lock({ timeout: 0 })).release(); // free: one try is enough
});

test('Mutex: a process waits for another one, in each voice', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const words = new Int32Array(memory.buffer);
  const there = await peer(memory);
  assert.equal(await there.run('globalThis.mutex = Mutex.at(memory)'), 'done');

  for (const wait of ['mutex.lockSync()', 'await mutex.lock()']) {
    const guard = mutex.lockSync();
    there.begin(`globalThis.guard = ${wait}`);
    await until(() => awaited(words, 0));
    guard.release();
    assert.equal(await there.line(), 'done');
    assert.equal(mutex.tryLock(), null);
    assert.throws(() => mutex.lockSync({ timeout: 5 }), TimeoutError);
    await assert.rejects(mutex.lock({ timeout: 5 }), TimeoutError);
    const waiting = mutex.lock();
    await until(() => awaited(words, 0));
    assert.equal(await there.run('guard.release()'), 'done');
    (await waiting).release();
  }
  await there.kill();
});

test('Mutex: an owner that is killed is reported to the next one, in each voice', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const words = new Int32Array(memory.buffer);
  const voices: (() => Guard | Promise<Guard>)[] = [() => mutex.lock(), () => mutex.lockSync(), () => mutex.tryLock()!];
  for (const [index, voice] of voices.entries()) {
    const there = await peer(memory);
    assert.equal(await there.run('globalThis.guard = Mutex.at(memory).lockSync()'), 'done');
    let early: Promise<Guard> | undefined;
    if (index === 0) {
      early = mutex.lock(); // waits already when the owner dies
      await until(() => awaited(words, 0));
    }
    await there.kill();
    const guard = await (early ?? voice());
    assert.equal(guard.ownerDied, true);
    guard.markConsistent();
    guard.markConsistent();
    guard.release();
    using next = mutex.lockSync();
    assert.equal(next.ownerDied, false);
  }
});

test('Mutex: one that is killed before it has repaired is reported again', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  for (const act of ['', 'if (!guard.ownerDied) throw new Error("not told")']) {
    const there = await peer(memory);
    assert.equal(await there.run(`globalThis.guard = Mutex.at(memory).lockSync(); ${act}`), 'done');
    await there.kill();
  }
  const guard = mutex.lockSync();
  assert.equal(guard.ownerDied, true);
  guard.markConsistent();
  guard.release();
});

test('Mutex: released without repair it is unusable, for everybody and with the reason', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const words = new Int32Array(memory.buffer);
  const there = await peer(memory);
  const survivor = await peer(memory);
  assert.equal(await there.run('globalThis.guard = Mutex.at(memory).lockSync()'), 'done');
  await there.kill();
  const guard = mutex.lockSync();
  survivor.begin('await Mutex.at(memory).lock()');
  await until(() => awaited(words, 0));
  guard.release();
  assert.equal(await survivor.line(), 'ENOTRECOVERABLE');
  assert.equal(await survivor.run('Mutex.at(memory).lockSync()'), 'ENOTRECOVERABLE');
  assert.throws(() => mutex.lockSync(), { code: 'ENOTRECOVERABLE', message: /markConsistent/ });
  assert.throws(() => mutex.tryLock(), code('ENOTRECOVERABLE'));
  await assert.rejects(mutex.lock(), code('ENOTRECOVERABLE'));
  Mutex.create(memory);
  mutex.lockSync().release(); // made anew
  await survivor.kill();
});

test('Mutex: nobody starves: an asynchronous waiter against a tight loop of another process', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const there = await peer(memory);
  // Holds it all the time but for the moment between exit and enter.
  there.begin(
    `
    const mutex = Mutex.at(memory);
    while (words[100] === 0) {
      mutex.enterSync();
      for (const end = performance.now() + 1; performance.now() < end;);
      words[101]++;
      mutex.exit();
    }`.replaceAll('\n', ' '),
  );
  const words = new Int32Array(memory.buffer);
  await until(() => words[101] > 0);
  for (let i = 0; i < 20; i++) (await mutex.lock()).release();
  for (let i = 0; i < 20; i++) mutex.lockSync().release();
  words[100] = 1;
  assert.equal(await there.line(), 'done');
  await there.kill();
});

test('Mutex: a guard outlives the closing of its mutex and of its memory', limit, async () => {
  const memory = SharedMemory.anonymous(4096);
  const mutex = Mutex.create(memory);
  const twin = SharedMemory.fromFd(memory.fd);
  const guard = mutex.lockSync();
  const waiting = mutex.lock();
  mutex.close();
  await assert.rejects(waiting, ClosedError);
  memory.close();
  await assert.rejects(mutex.lock(), ClosedError);
  assert.throws(() => mutex.lockSync(), ClosedError);
  assert.throws(() => mutex.tryLock(), ClosedError);
  const other = Mutex.at(twin);
  assert.equal(other.tryLock(), null); // still held
  guard.release();
  other.lockSync().release();
  twin.close();
});

test('Mutex: closing the memory ends waits for a lock that others hold', limit, async () => {
  using memory = segment();
  const there = await peer(memory);
  Mutex.create(memory);
  assert.equal(await there.run('globalThis.guard = Mutex.at(memory).lockSync()'), 'done');
  const mine = SharedMemory.open(memory.name!);
  const mutex = Mutex.at(mine);
  const waits = [mutex.lock(), mutex.lock()];
  await new Promise(setImmediate);
  mine.close();
  for (const wait of waits) await assert.rejects(wait, ClosedError);
  await there.kill();
});

test('Mutex: it lives in System V memory too', () => {
  using memory = SysVSharedMemory.create('private', 4096);
  const mutex = Mutex.create(memory, 64);
  mutex.lockSync().release();
  memory.remove();
});

test('Mutex: a place without a mutex, or with one that is not robust, is refused', () => {
  using memory = SharedMemory.anonymous(4096);
  assert.throws(() => Mutex.at(memory, 0), CorruptError);
  for (const kind of [0, 2, 130, 18, 16 | 32 | 128, -1]) {
    new Int32Array(memory.buffer)[4] = kind;
    assert.throws(() => Mutex.at(memory, 0), CorruptError, `kind ${kind}`);
  }
});

test('Mutex: bad arguments are refused', async () => {
  using it = fresh();
  using readOnly = (() => {
    using memory = segment();
    return SharedMemory.open(memory.name!, { readOnly: true });
  })();
  const closed = SharedMemory.anonymous(4096);
  closed.close();
  for (const make of [Mutex.create, Mutex.at]) {
    for (const memory of [null, undefined, 5, {}, new ArrayBuffer(64)] as unknown as SharedMemory[])
      assert.throws(() => make(memory, 0), code('ERR_INVALID_ARG_TYPE'));
    for (const offset of [-8, 1.5, Number.NaN, 2 ** 53, 4096, 4064]) {
      assert.throws(() => make(it.memory, offset), { code: /ERR_OUT_OF_RANGE|ERR_INVALID_ARG_VALUE/ }, String(offset));
    }
    assert.throws(() => make(it.memory, 4), code('ERR_INVALID_ARG_VALUE'));
    assert.throws(() => make(it.memory, '0' as unknown as number), code('ERR_INVALID_ARG_TYPE'));
    assert.throws(() => make(readOnly, 0), code('ERR_INVALID_ARG_VALUE'));
    assert.throws(() => make(closed, 0), ClosedError);
  }
  assert.throws(() => it.mutex.lockSync({ timeout: -1 }), code('ERR_OUT_OF_RANGE'));
  assert.throws(() => it.mutex.lockSync({ timeout: Number.NaN }), code('ERR_OUT_OF_RANGE'));
  assert.throws(() => it.mutex.lockSync({ timeout: '5' as unknown as number }), code('ERR_INVALID_ARG_TYPE'));
  await assert.rejects(it.mutex.lock({ signal: {} as AbortSignal }), code('ERR_INVALID_ARG_TYPE'));
  it.mutex.lockSync().release(); // nothing was taken by those
});

test('Mutex: a claim to be first that outlives its process keeps nobody out who cannot wait', limit, async () => {
  using it = fresh();
  it.words[5] = 0x3fffffff; // as of one that was killed
  it.mutex.lockSync({ timeout: 0 }).release();
  it.mutex.lockSync({ timeout: 3 }).release();
  (await it.mutex.lock({ timeout: 0 })).release();
  (await it.mutex.lock({ timeout: 3 })).release();
  assert.equal(it.words[5], 0x3fffffff);
  (await it.mutex.lock({ timeout: 10_000 })).release(); // gives way, and sees that nobody comes
  assert.equal(it.words[5], 0);
});

test('Mutex: closed while it is held, it gives nothing more', async () => {
  using it = fresh();
  const guard = it.mutex.lockSync();
  it.mutex.close();
  assert.throws(() => it.mutex.tryLock(), ClosedError);
  assert.throws(() => it.mutex.lockSync(), ClosedError);
  await assert.rejects(it.mutex.lock(), ClosedError);
  guard.release();
  assert.throws(() => it.mutex.tryLock(), ClosedError);
});
