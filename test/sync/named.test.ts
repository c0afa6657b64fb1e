import '../support/leaks.js';
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { SharedMemory } from 'vecino/memory';
import { Barrier, Condition, Mutex, RwLock } from 'vecino/sync';
import { ClosedError, CorruptError } from 'vecino/system';
import { startScript, uniqueName } from '../support/processes.js';

const limit = { timeout: 120_000 };

test('Named locks: a name is the same lock for everybody, and is made on first use', () => {
  const name = uniqueName('mutex');
  const one = Mutex.named(name);
  const two = Mutex.named(`/${name}`);
  using guard = one.lockSync();
  assert.ok(guard.held);
  assert.throws(() => two.lockSync(), { code: 'EDEADLK' });
  assert.equal(statSync(`/dev/shm/vecino.mutex.${name}`).mode & 0o777, 0o600);
  assert.equal(Mutex.unlink(name), true);
  assert.equal(Mutex.unlink(name), false);
  using other = Mutex.named(name, { mode: 0o640 });
  other.lockSync().release(); // another one, now
  assert.equal(statSync(`/dev/shm/vecino.mutex.${name}`).mode & 0o777, 0o640);
  Mutex.unlink(name);
  two.close();
  guard.release();
  one.close();
  one.close();
  assert.throws(() => one.lockSync(), ClosedError);
});

test('Named locks: each kind has its own names', async () => {
  const name = uniqueName('lock');
  using mutex = Mutex.named(name);
  using lock = RwLock.named(name);
  using condition = Condition.named(name);
  using barrier = Barrier.named(name, 1);
  using guard = mutex.lockSync();
  using writer = lock.writeSync();
  assert.ok(guard.held && writer.held);
  condition.notifyAll();
  assert.equal(await barrier.wait(), true);
  assert.throws(() => Barrier.named(name, 2), { code: 'ERR_INVALID_ARG_VALUE' });
  for (const kind of [Mutex, RwLock, Condition, Barrier]) assert.equal(kind.unlink(name), true);
});

test('Named locks: a segment of that name that holds something else is refused', () => {
  const name = uniqueName('mutex');
  for (const size of [1, 64, 4096]) {
    using memory = SharedMemory.create(`vecino.mutex.${name}`, size);
    new Uint8Array(memory.buffer).fill(7);
    assert.throws(() => Mutex.named(name), CorruptError);
    memory.unlink();
  }
  const made = RwLock.named(name);
  made.close();
  assert.throws(() => Mutex.named('x'.repeat(181)), { code: 'ERR_INVALID_ARG_VALUE' });
  for (const bad of ['', '.', 'a/b', 'ä', 5, null] as string[]) {
    assert.throws(() => Mutex.named(bad), { code: /ERR_INVALID_ARG/ });
    assert.throws(() => Mutex.unlink(bad), { code: /ERR_INVALID_ARG/ });
  }
  assert.throws(() => Mutex.named(name, { mode: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  RwLock.unlink(name);
});

test('Named locks: two hundred processes that create it at once have one, and it works', limit, async () => {
  const name = uniqueName('race');
  using gate = SharedMemory.create(uniqueName('gate'), 4096);
  const words = new Int32Array(gate.buffer);
  const program = `
    import { SharedMemory } from 'vecino/memory';
    import { Mutex } from 'vecino/sync';
    import { futexWait } from 'vecino/system';
    import { statSync } from 'node:fs';
    const [gateName, name] = process.argv.slice(1);
    const words = new Int32Array(SharedMemory.open(gateName).buffer);
    Atomics.add(words, 1, 1);
    while (Atomics.load(words, 0) === 0) futexWait(words, 0, 0);
    const mutex = Mutex.named(name);
    const inode = statSync('/dev/shm/vecino.mutex.' + name).ino;
    for (let i = 0; i < 50; i++) {
      mutex.enterSync();
      words[2] = words[2] + 1; // not atomic: the mutex is to be
      mutex.exit();
    }
    console.log(inode);`;
  const processes = [];
  for (let batch = 0; batch < 10; batch++) {
    for (let i = 0; i < 20; i++) processes.push(startScript(program, [gate.name!, name]));
    // All twenty are at the gate before the next twenty are started: only what comes after the gate is to be at once.
    while (Atomics.load(words, 1) < processes.length) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  Atomics.store(words, 0, 1);
  const { futexWake } = await import('vecino/system');
  futexWake(words, 0, 200);
  const outcomes = await Promise.all(processes.map(({ ended }) => ended));
  assert.deepEqual(new Set(outcomes.map(({ code, stderr }) => `${code}${stderr}`)), new Set(['0']));
  assert.equal(new Set(outcomes.map(({ stdout }) => stdout)).size, 1);
  assert.equal(words[2], 200 * 50);
  gate.unlink();
  Mutex.unlink(name);
});
