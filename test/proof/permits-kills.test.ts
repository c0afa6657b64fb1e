/** What the kernel and the C library promise for the death of those who hold or wait, and what vecino makes of it. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileLock, Semaphore, SysVSemaphore } from 'vecino';
import { mayhem } from '../support/mayhem.js';
import { temporaryFolder, uniqueName } from '../support/processes.js';

const KILLS = 300;
const folder = temporaryFolder();

/** A start of Node costs more than all that follows, so each victim uses all three: a kill is one for each of them. */
const victim = `
  import { FileLock, Semaphore, SysVSemaphore } from 'vecino/sync';
  const [path, id, name, voice] = rest;
  const sync = voice === 'sync';
  const lock = FileLock.open(path);
  const set = SysVSemaphore.open({ id: Number(id) });
  const semaphore = Semaphore.open(name);
  const take = [{ index: 0, delta: -1, undo: true }, { index: 1, delta: 1, undo: true }, { index: 2, delta: -2, undo: true }];
  const give = [{ index: 2, delta: 2, undo: true }, { index: 1, delta: -1, undo: true }, { index: 0, delta: 1, undo: true }];
  let turns = 0;
  const kinds = [
    async () => {
      if (turns++ % 4 === 0) {
        const shared = sync ? lock.sharedSync() : await lock.shared();
        clash(0);
        await pause(voice);
        shared.release();
      }
      const guard = sync ? lock.exclusiveSync() : await lock.exclusive();
      enter(0);
      if (turns % 8) await pause(voice);
      leave(0);
      guard.release();
      progress(0);
    },
    async () => {
      if (sync) set.operateSync(take);
      else await set.operate(take);
      enter(1);
      if (turns % 8) await pause(voice);
      leave(1);
      if (sync) set.operateSync(give);
      else await set.operate(give);
      progress(1);
    },
    async () => {
      if (sync) semaphore.acquireSync();
      else await semaphore.acquire();
      if (turns % 8) await pause(voice);
      semaphore.release();
      progress(2);
    },
  ];
  // Without a voice that blocks, all at the same time; with it, one after the other.
  if (sync) for (;;) for (const kind of kinds) await kind();
  await Promise.all(kinds.map(async (kind) => { for (;;) await kind(); }));`;

test('of those who use file locks and semaphores 300 are killed: nobody hangs, never are two inside, what is promised comes back', {
  timeout: 290_000,
}, async () => {
  const path = join(folder, 'kills');
  using lock = FileLock.open(path, { create: true });
  using set = SysVSemaphore.create('private', [1, 0, 5]);
  using semaphore = Semaphore.create(uniqueName('kills'), 2);
  try {
    const clashes = await mayhem({
      source: victim,
      args: (slot) => [path, String(set.id), semaphore.name!, slot % 2 === 0 ? 'sync' : 'async'],
      kinds: 3,
      kills: KILLS,
      // The dead one may have had a permit of the POSIX semaphore, which nobody else gives back.
      after: () => semaphore.release(),
    });
    assert.deepEqual(clashes, [0, 0, 0]);
    lock.tryExclusive()!.release();
    assert.deepEqual(set.values(), [1, 0, 5]);
    // Each of the dead took at most one with it; for the last six nobody gave one.
    const { value } = semaphore;
    assert.ok(value <= 2 + KILLS && value >= 0, String(value));
  } finally {
    set.remove();
    semaphore.unlink();
  }
});
