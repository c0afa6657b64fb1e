/** What each lock promises for the death of those who hold it, wait for it, or take part. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Barrier, Condition, FileLock, type Guard, Mutex, RwLock, Semaphore, SysVSemaphore } from 'vecino/sync';
import { segment } from '../support/locks.js';
import { mayhem } from '../support/mayhem.js';
import { temporaryFolder, uniqueName } from '../support/processes.js';

const KILLS = 300;
const PARTIES = 3;
const folder = temporaryFolder();
/** In bytes. */
const [MUTEX, WAITED_WITH, CONDITION, RW_LOCK, BARRIER, DATA] = [0, 64, 128, 256, 8192, 16384];
/** In words of the data, for each kind: two halves, equal while nobody is inside; how many deaths were reported. */
const [STRIDE, DEATHS] = [16, 2];

/**
 * A start of Node costs more than all that follows, so each victim uses all of them: a kill is one for each. With the asynchronous
 * voice it does so at the same time, so that it dies with several held; with the one that blocks some of them nested.
 */
const victim = `
  import { Barrier, Condition, FileLock, Mutex, RwLock, Semaphore, SysVSemaphore } from 'vecino/sync';
  import { PeerDiedError, TimeoutError } from 'vecino/system';
  const [voice, name, path, id, semaphoreName] = rest;
  const sync = voice === 'sync';
  const locks = SharedMemory.open(name);
  const data = new Int32Array(locks.buffer, ${DATA});
  const mutex = Mutex.at(locks, ${MUTEX});
  const waitedWith = Mutex.at(locks, ${WAITED_WITH});
  const condition = Condition.at(locks, ${CONDITION});
  const rwLock = RwLock.at(locks, ${RW_LOCK});
  const barrier = Barrier.at(locks, ${BARRIER});
  const fileLock = FileLock.open(path);
  const set = SysVSemaphore.open({ id: Number(id) });
  const semaphore = Semaphore.open(semaphoreName);
  const take = [{ index: 0, delta: -1, undo: true }, { index: 1, delta: 1, undo: true }, { index: 2, delta: -2, undo: true }];
  const give = [{ index: 2, delta: 2, undo: true }, { index: 1, delta: -1, undo: true }, { index: 0, delta: 1, undo: true }];
  let turns = 0;
  const check = (kind, guard) => {
    const at = kind * ${STRIDE};
    if (guard.ownerDied) {
      data[at + 1] = data[at];
      guard.markConsistent();
      Atomics.add(data, at + ${DEATHS}, 1);
    }
    if (data[at] !== data[at + 1]) clashed(kind);
  };
  const change = async (kind, guard) => {
    enter(kind);
    check(kind, guard);
    data[kind * ${STRIDE}]++;
    if (turns++ % 4) await pause(voice);
    data[kind * ${STRIDE} + 1]++;
    leave(kind);
  };
  const write = async () => {
    const guard = sync ? rwLock.writeSync() : await rwLock.write();
    await change(1, guard);
    guard.release();
  };
  const kinds = [
    async () => {
      const guard = mutex.tryLock() ?? (sync ? mutex.lockSync() : await mutex.lock());
      await change(0, guard);
      if (sync && turns % 2) await write();
      guard.release();
    },
    async () => {
      for (let i = 0; i < 3; i++) {
        const guard = sync ? rwLock.readSync() : await rwLock.read();
        check(1, guard);
        if (turns++ % 2) await pause(voice);
        check(1, guard);
        guard.release();
      }
      await write();
    },
    // Changes, says so, and waits until another one has changed.
    async () => {
      const guard = sync ? waitedWith.lockSync() : await waitedWith.lock();
      await change(2, guard);
      if (turns % 3) condition.notifyAll();
      else condition.notifyOne();
      for (const seen = data[${2 * STRIDE}]; data[${2 * STRIDE}] === seen; check(2, guard)) {
        if (sync) condition.waitSync(guard);
        else await condition.wait(guard);
      }
      guard.release();
    },
    async () => {
      for (;;) {
        try {
          // Who dies before it comes is not known to the barrier.
          const last = sync ? barrier.waitSync({ timeout: 50 }) : await barrier.wait({ timeout: 50 });
          Atomics.add(data, ${3 * STRIDE} + (last ? 0 : 1), 1);
          return;
        } catch (error) {
          if (error instanceof PeerDiedError) {
            Atomics.add(data, ${3 * STRIDE + DEATHS}, 1);
            if (barrier.broken) barrier.reset();
          } else if (!(error instanceof TimeoutError)) throw error;
          if (sync) return;
        }
      }
    },
    async () => {
      if (turns % 4 === 0) {
        const shared = sync ? fileLock.sharedSync() : await fileLock.shared();
        clash(4);
        await pause(voice);
        shared.release();
      }
      const guard = sync ? fileLock.exclusiveSync() : await fileLock.exclusive();
      enter(4);
      if (turns++ % 8) await pause(voice);
      leave(4);
      guard.release();
    },
    async () => {
      if (sync) set.operateSync(take);
      else await set.operate(take);
      enter(5);
      if (turns++ % 8) await pause(voice);
      leave(5);
      if (sync) set.operateSync(give);
      else await set.operate(give);
    },
    async () => {
      if (sync) semaphore.acquireSync();
      else await semaphore.acquire();
      if (turns++ % 8) await pause(voice);
      semaphore.release();
    },
  ];
  const turn = async (kind) => { await kinds[kind](); progress(kind); };
  if (sync) for (;;) for (const kind of kinds.keys()) await turn(kind);
  await Promise.all([0, 0, 1, 1, 2, 3, 4, 5, 6].map(async (kind) => { for (;;) await turn(kind); }));`;

test(`Kills: of those who use all kinds of locks ${KILLS} are killed: nobody hangs, never are two inside, what is promised holds`, {
  timeout: 600_000,
}, async (t) => {
  using memory = segment();
  const data = new Int32Array(memory.buffer, DATA);
  const mutex = Mutex.create(memory, MUTEX);
  const waitedWith = Mutex.create(memory, WAITED_WITH);
  Condition.create(memory, CONDITION);
  const rwLock = RwLock.create(memory, RW_LOCK);
  Barrier.create(memory, BARRIER, PARTIES);
  const path = join(folder, 'kills');
  using fileLock = FileLock.open(path, { create: true });
  using set = SysVSemaphore.create('private', [1, 0, 5]);
  using semaphore = Semaphore.create(uniqueName('kills'), 2);
  try {
    const clashes = await mayhem({
      source: victim,
      args: (slot) => [slot % 2 === 0 ? 'sync' : 'async', memory.name!, path, String(set.id), semaphore.name!],
      kinds: 7,
      kills: KILLS,
      // The dead one may have had a permit of the POSIX semaphore, which nobody else gives back.
      after: () => semaphore.release(),
    });
    assert.deepEqual(clashes, [0, 0, 0, 0, 0, 0, 0]);
    const left: Guard[] = [mutex.lockSync(), rwLock.readSync(), waitedWith.lockSync()];
    for (const [kind, guard] of left.entries()) {
      const [half, other, deaths] = data.subarray(kind * STRIDE);
      assert.ok(guard.ownerDied || half === other, `kind ${kind}: ${half} and ${other}, and no death reported`);
      t.diagnostic(`${['mutex', 'read-write lock', 'condition'][kind]}: ${half} changes, ${deaths} deaths reported`);
      guard.release();
    }
    // One of three comes last; those who were killed before they could count are missing.
    const [rounds, others, told] = data.subarray(3 * STRIDE);
    assert.ok(Math.abs(others! - (PARTIES - 1) * rounds!) <= PARTIES * KILLS, `${rounds} last, ${others} not last`);
    t.diagnostic(`barrier: ${rounds} rounds, ${told} told of a death`);
    fileLock.tryExclusive()!.release();
    assert.deepEqual(set.values(), [1, 0, 5]);
    // Each of the dead took at most one with it; for the last six nobody gave one.
    const { value } = semaphore;
    assert.ok(value <= 2 + KILLS && value >= 0, String(value));
  } finally {
    set.remove();
    semaphore.unlink();
  }
});
