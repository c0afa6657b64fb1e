import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mutex } from 'vecino/sync';
import { BROKEN, DATA, KILLS, kills } from '../support/kills.js';
import { segment } from '../support/locks.js';

const limit = { timeout: 290_000 };

test(`Mutex: ${KILLS} kills; no survivor hangs and no half change is seen unreported`, limit, async (t) => {
  using memory = segment();
  Mutex.create(memory);
  const words = await kills(
    memory,
    `globalThis.mutex ??= Mutex.at(memory);
     const guard = i % 4 === 0 ? await mutex.lock() : i % 4 === 1 ? mutex.lockSync() : i % 4 === 2 ? mutex.tryLock() : await Promise.all(
       [1, 2].map(async () => { const guard = await mutex.lock(); change(guard); guard.release(); })) && null;
     if (guard !== null) { change(guard); guard.release(); }`,
  );
  assert.equal(words[BROKEN], 0);
  t.diagnostic(`${words[DATA]} changes, ${words[DATA + 2]} deaths reported`);
});
