import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedMemory } from 'vecino/memory';
import { Condition, type Guard, Mutex, RwLock } from 'vecino/sync';
import { ClosedError, CorruptError, TimeoutError } from 'vecino/system';
import { peer, segment, until } from '../support/locks.js';

const limit = { timeout: 60_000 };
const code = (code: string) => ({ code });
/** Where the tests have their condition, and the bit of its word that says that somebody sleeps. */
const AT = 64;
const SLEEPS = 1;
const sleeps = (words: Int32Array) => (Atomics.load(words, AT / 4 + 1) & SLEEPS) !== 0;

test('Condition: a waiter gives the mutex back and has it again when it goes on', limit, async () => {
  using memory = SharedMemory.anonymous(4096);
  const mutex = Mutex.create(memory);
  const condition = Condition.create(memory, AT);
  for (const notify of [() => condition.notifyOne(), () => condition.notifyAll()]) {
    const guard = await mutex.lock();
    const waiting = condition.wait(guard);
    assert.equal(guard.held, false);
    const mine = mutex.tryLock()!;
    notify();
    mine.release();
    await waiting;
    assert.equal(guard.held, true);
    assert.equal(mutex.tryLock(), null);
    guard.release();
  }
});

test('Condition: notifyAll() ends the waits of all processes, in both voices', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const condition = Condition.create(memory, AT);
  const words = new Int32Array(memory.buffer);
  const peers = await Promise.all([peer(memory), peer(memory), peer(memory)]);
  const waits = ['c.waitSync(g)', 'await c.wait(g)', 'await c.wait(g)'];
  for (const [i, there] of peers.entries()) {
    there.begin(
      `const m = Mutex.at(memory), c = Condition.at(memory, ${AT}); const g = await m.lock(); words[100]++;
       while (words[101] === 0) ${waits[i]}; words[102]++; g.release()`.replaceAll('\n', ' '),
    );
  }
  await until(() => words[100] === 3 && sleeps(words));
  {
    using guard = await mutex.lock();
    assert.ok(guard.held);
    words[101] = 1;
    condition.notifyAll();
  }
  for (const there of peers) assert.equal(await there.line(), 'done');
  assert.equal(words[102], 3);
  for (const there of peers) await there.kill();
});

test('Condition: a notification is not lost with a waiter that is killed', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const condition = Condition.create(memory, AT);
  const words = new Int32Array(memory.buffer);
  const victim = await peer(memory);
  const waiter = await peer(memory);
  const wait = `const m = Mutex.at(memory), c = Condition.at(memory, ${AT}); const g = m.lockSync(); words[100]++; while (words[101] === 0) c.waitSync(g); g.release()`;
  victim.begin(wait);
  await until(() => words[100] === 1 && sleeps(words));
  waiter.begin(wait);
  await until(() => words[100] === 2);
  mutex.lockSync().release(); // the second one waits, too
  victim.child.kill('SIGKILL');
  {
    using guard = mutex.lockSync();
    guard.markConsistent();
    words[101] = 1;
    condition.notifyOne();
  }
  assert.equal(await waiter.line(), 'done');
  await victim.ended;
  await waiter.kill();
});

test('Condition: the death of the owner is seen after the wait', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const condition = Condition.create(memory, AT);
  const there = await peer(memory);
  const guard = mutex.lockSync();
  const waiting = condition.wait(guard);
  assert.equal(
    await there.run(`globalThis.g = Mutex.at(memory).lockSync(); Condition.at(memory, ${AT}).notifyAll()`),
    'done',
  );
  await there.kill();
  await waiting;
  assert.equal(guard.ownerDied, true);
  guard.markConsistent();
  guard.release();
  mutex.lockSync().release();
});

test('Condition: a time-out and an abort come back with the mutex held', limit, async () => {
  using memory = SharedMemory.anonymous(4096);
  const mutex = Mutex.create(memory);
  const condition = Condition.create(memory, AT);
  const guard = mutex.lockSync();
  await assert.rejects(condition.wait(guard, { timeout: 5 }), TimeoutError);
  assert.equal(guard.held, true);
  assert.throws(() => condition.waitSync(guard, { timeout: 5 }), TimeoutError);
  assert.equal(guard.held, true);
  const controller = new AbortController();
  const aborted = condition.wait(guard, { signal: controller.signal });
  controller.abort(new Error('enough'));
  await assert.rejects(aborted, /enough/);
  assert.equal(guard.held, true);
  await assert.rejects(condition.wait(guard, { signal: controller.signal }), /enough/);
  guard.release();
});

test('Condition: if the mutex cannot be had again after a time-out, the guard says so', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const condition = Condition.create(memory, AT);
  const there = await peer(memory);
  const guard = mutex.lockSync();
  const waiting = condition.wait(guard, { timeout: 500 });
  assert.equal(await there.run('globalThis.g = Mutex.at(memory).lockSync()'), 'done');
  await assert.rejects(waiting, TimeoutError);
  assert.equal(guard.held, false);
  guard[Symbol.dispose](); // nothing to release
  await there.kill();
});

test('Condition: only the held guard of a mutex can wait', limit, async () => {
  using memory = SharedMemory.anonymous(16384);
  const condition = Condition.create(memory, AT);
  const guard = Mutex.create(memory).lockSync();
  guard.release();
  await assert.rejects(condition.wait(guard), code('EPERM'));
  const lock = RwLock.create(memory, 4096);
  using reader = lock.readSync();
  await assert.rejects(condition.wait(reader), code('ERR_INVALID_ARG_VALUE'));
  for (const bad of [null, {}, 5] as unknown as Guard[])
    assert.throws(() => condition.waitSync(bad), code('ERR_INVALID_ARG_TYPE'));
});

test('Condition: notifying when nobody waits is no system call, and leaves nothing for later', limit, async () => {
  using memory = SharedMemory.anonymous(4096);
  const mutex = Mutex.create(memory);
  const condition = Condition.create(memory, AT);
  condition.notifyAll();
  condition.notifyOne();
  const guard = mutex.lockSync();
  assert.throws(() => condition.waitSync(guard, { timeout: 5 }), TimeoutError);
  guard.release();
});

test('Condition: bad places are refused, and a closed one', limit, async () => {
  const memory = SharedMemory.anonymous(4096);
  assert.throws(() => Condition.at(memory), CorruptError);
  assert.throws(() => Condition.create(memory, 4088), code('ERR_OUT_OF_RANGE'));
  assert.throws(() => Condition.create(memory, 4), code('ERR_INVALID_ARG_VALUE'));
  const condition = Condition.create(memory, AT);
  const guard = Mutex.create(memory).lockSync();
  const waiting = condition.wait(guard);
  memory.close();
  await assert.rejects(waiting, ClosedError);
  assert.equal(guard.held, false);
  assert.throws(() => condition.notifyAll(), ClosedError);
  condition.close();
  assert.throws(() => condition.notifyOne(), ClosedError);
});
