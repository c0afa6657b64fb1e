/** Guards that are released after their lock, or the memory that it lives in, was closed. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedMemory } from 'vecino/memory';
import { Barrier, Condition, type Guard, Mutex, RwLock } from 'vecino/sync';
import { ClosedError, TimeoutError } from 'vecino/system';
import { awaited, peer, segment, until } from '../support/locks.js';
import { uniqueName } from '../support/processes.js';

const limit = { timeout: 60_000 };
/** Of a RwLock, in words: whether a writer was let in, and the first reader's word. */
const WRITING = 1;
const READER = 32;

/** In the order given: closes the memory, the lock, or both. */
const closings = {
  'its memory': (memory: SharedMemory) => memory.close(),
  'its lock': (_: SharedMemory, lock: Disposable) => lock[Symbol.dispose](),
  'first its lock and then its memory': (memory: SharedMemory, lock: Disposable) => {
    lock[Symbol.dispose]();
    memory.close();
  },
  'first its memory and then its lock': (memory: SharedMemory, lock: Disposable) => {
    memory.close();
    lock[Symbol.dispose]();
  },
};
/** A guard, and the object in that memory that it is of. */
const kinds: Record<string, (memory: SharedMemory) => [Guard, Disposable]> = {
  'Mutex: a guard': (memory) => {
    const mutex = Mutex.at(memory, 8192);
    return [mutex.lockSync(), mutex];
  },
  'RwLock: a reader': (memory) => {
    const lock = RwLock.at(memory);
    return [lock.readSync(), lock];
  },
  'RwLock: a writer': (memory) => {
    const lock = RwLock.at(memory);
    return [lock.writeSync(), lock];
  },
};
for (const [what, take] of Object.entries(kinds)) {
  for (const [closed, close] of Object.entries(closings)) {
    test(`Guards: ${what} that is released after ${closed} was closed leaves nothing behind`, () => {
      using memory = segment();
      const lock = RwLock.create(memory);
      const mutex = Mutex.create(memory, 8192);
      const takeEach = [() => lock.writeSync(), () => lock.readSync(), () => mutex.lockSync()];
      for (const next of takeEach) next().release();
      const before = new Uint8Array(memory.buffer).slice();
      using own = SharedMemory.open(memory.name!);
      const [guard, object] = take(own);
      close(own, object);
      guard.markConsistent(); // nobody has died
      guard.release();
      assert.equal(guard.held, false);
      // Byte for byte what it was before anybody took it.
      assert.deepEqual(new Uint8Array(memory.buffer), before);
      for (const next of takeEach) {
        using guard = next();
        assert.equal(guard.ownerDied, false);
      }
    });
  }
}
for (const close of ['lock', 'memory']) {
  test(
    `RwLock: whoever repairs after a death, and releases after its ${close} was closed, has repaired it`,
    limit,
    async () => {
      for (const repairs of [true, false]) {
        using memory = segment();
        const lock = RwLock.create(memory);
        const victim = await peer(memory);
        assert.equal(await victim.run('globalThis.guard = RwLock.at(memory).writeSync()'), 'done');
        await victim.kill();
        using own = SharedMemory.open(memory.name!);
        const mine = RwLock.at(own);
        const guard = mine.writeSync();
        assert.equal(guard.ownerDied, true);
        if (close === 'lock') mine.close();
        else own.close();
        if (repairs) guard.markConsistent();
        guard.release();
        if (repairs) lock.writeSync().release();
        else assert.throws(() => lock.readSync(), { code: 'ENOTRECOVERABLE' });
        assert.equal(new Int32Array(memory.buffer)[WRITING], repairs ? 0 : 1);
      }
    },
  );
}
for (const close of ['lock', 'memory']) {
  test(
    `RwLock: a writer that is released after its ${close} was closed lets no later writer in beside a reader`,
    limit,
    async () => {
      using memory = segment();
      const lock = RwLock.create(memory);
      const words = new Int32Array(memory.buffer);
      const first = await peer(memory);
      const released = `const lock = RwLock.at(memory); const guard = lock.writeSync(); ${close}.close(); guard.release()`;
      assert.equal(await first.run(released), 'done');
      const reader = lock.readSync();
      const second = await peer(memory);
      second.begin('RwLock.at(memory).writeSync()');
      await until(() => awaited(words, READER)); // it waits for the reader
      await second.kill();
      const third = await peer(memory);
      assert.equal(await third.run('RwLock.at(memory).writeSync({ timeout: 50 })'), 'ERR_VECINO_TIMEOUT');
      reader.release();
      assert.equal(await third.run('if (RwLock.at(memory).writeSync().ownerDied) throw new Error()'), 'done');
      await third.kill();
      await first.kill();
    },
  );
}
test('Mutex and RwLock: guards of named ones can be released after they were closed', () => {
  const name = uniqueName('closed');
  const take = [
    () => [Mutex.named(name), (mutex: Mutex) => mutex.lockSync(), () => Mutex.unlink(name)] as const,
    () => [RwLock.named(name), (lock: RwLock) => lock.readSync(), () => RwLock.unlink(name)] as const,
    () => [RwLock.named(name), (lock: RwLock) => lock.writeSync(), () => RwLock.unlink(name)] as const,
  ] as readonly (() => readonly [Disposable, (lock: never) => Guard, () => boolean])[];
  for (const named of take) {
    const [first, lock, unlink] = named();
    const guard = lock(first as never);
    first[Symbol.dispose]();
    assert.equal(guard.held, true);
    guard.release();
    const [second, again] = named();
    for (let times = 0; times < 2; times++) {
      const next = again(second as never);
      assert.equal(next.ownerDied, false);
      next.release();
    }
    second[Symbol.dispose]();
    assert.equal(unlink(), true);
  }
});
test(
  'Condition: a wait whose condition, mutex or memory is closed meanwhile takes nothing away from the others',
  limit,
  async () => {
    using memory = segment();
    const mutex = Mutex.create(memory);
    const changed = Condition.create(memory, 64);
    for (const close of ['memory', 'mutex']) {
      using own = SharedMemory.open(memory.name!);
      const theirs = Mutex.at(own);
      const leaving = theirs.lockSync();
      const ended = assert.rejects(Condition.at(own, 64).wait(leaving, { timeout: 50 }), (error) =>
        close === 'memory' ? error instanceof ClosedError : error instanceof TimeoutError,
      );
      const staying = mutex.lockSync();
      const waiting = changed.wait(staying);
      if (close === 'memory') own.close();
      else theirs.close();
      await ended;
      assert.equal(leaving.held, false);
      changed.notifyOne();
      await waiting;
      assert.equal(staying.held, true);
      staying.release();
    }
  },
);
test(
  'Barrier: a party whose barrier or memory is closed meanwhile has left, and does not break it',
  limit,
  async () => {
    using memory = segment();
    const barrier = Barrier.create(memory, 0, 2);
    for (const close of ['memory', 'barrier']) {
      using own = SharedMemory.open(memory.name!);
      const theirs = Barrier.at(own);
      const leaving = assert.rejects(theirs.wait(), ClosedError);
      if (close === 'memory') own.close();
      else theirs.close();
      await leaving;
      assert.deepEqual([barrier.waiting, barrier.broken], [0, false]);
      const both = await Promise.all([barrier.wait(), barrier.wait()]);
      assert.deepEqual(both.sort(), [false, true]);
    }
  },
);
