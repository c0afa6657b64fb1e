import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RwLock } from 'vecino/sync';
import { BROKEN, DATA, KILLS, kills } from '../support/kills.js';
import { segment } from '../support/locks.js';

const limit = { timeout: 290_000 };

test(`RwLock: ${KILLS} kills of readers and writers`, limit, async (t) => {
  using memory = segment();
  RwLock.create(memory);
  const words = await kills(
    memory,
    `globalThis.lock ??= RwLock.at(memory);
     if (i % 4 === 0) {
       const guard = i % 8 === 0 ? await lock.write() : lock.writeSync();
       change(guard);
       guard.release();
     } else {
       const guard = i % 4 === 1 ? await lock.read() : i % 4 === 2 ? lock.readSync() : lock.tryRead();
       if (guard?.ownerDied) change(guard);
       else if (guard) check();
       guard?.release();
     }`,
  );
  assert.equal(words[BROKEN], 0);
  t.diagnostic(`${words[DATA]} changes, ${words[DATA + 2]} deaths reported`);
});
