import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Condition, Mutex } from 'vecino/sync';
import { BROKEN, DATA, KILLS, kills } from '../support/kills.js';
import { segment } from '../support/locks.js';

const limit = { timeout: 290_000 };

test(`Condition: ${KILLS} kills of waiters and notifiers`, limit, async (t) => {
  using memory = segment();
  Mutex.create(memory);
  Condition.create(memory, 64);
  // Each adds one, says so, and waits until another one has added one.
  const words = await kills(
    memory,
    `globalThis.mutex ??= Mutex.at(memory);
     globalThis.condition ??= Condition.at(memory, 64);
     const guard = i % 2 ? await mutex.lock() : mutex.lockSync();
     change(guard);
     if (i % 3) condition.notifyAll(); else condition.notifyOne();
     const seen = words[${DATA}];
     while (words[${DATA}] === seen && !stopped()) {
       if (i % 4 < 2) await condition.wait(guard); else condition.waitSync(guard);
       if (guard.ownerDied) { words[${DATA + 1}] = words[${DATA}]; guard.markConsistent(); }
     }
     if (stopped()) condition.notifyAll();
     guard.release();`,
  );
  assert.equal(words[BROKEN], 0);
  t.diagnostic(`${words[DATA]} changes`);
});
