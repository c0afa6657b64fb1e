import './support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Queue } from 'vecino/channel';
import { SharedMemory } from 'vecino/memory';
import { Mutex, RwLock } from 'vecino/sync';
import { budgetIsSpent } from '#src/system/cooperative-budget.js';
import { uniqueName } from './support/processes.js';

/** Longer than the shortest timer: its callback comes before that of an immediate that was asked for earlier. */
const LONGER_THAN_A_TIMER_MS = 3;
const OPERATIONS = 2_000;
const limit = { timeout: 0 };
const word = new Int32Array(new SharedArrayBuffer(4));

/** The thread is busy whenever the event loop is to have its turn before the operation is tried. */
async function often(operation: () => Promise<void>): Promise<number> {
  let turns = 0;
  for (let i = 0; i < OPERATIONS; i++) {
    const spent = budgetIsSpent();
    const result = operation();
    if (spent) {
      turns++;
      Atomics.wait(word, 0, 0, LONGER_THAN_A_TIMER_MS);
    }
    await result;
  }
  return turns;
}

for (const kind of ['Mutex', 'RwLock']) {
  test(`${kind}: a lock that is free is acquired with a time-out of 0, also where the event loop gets its turn first`, async () => {
    using memory = SharedMemory.anonymous(16_384);
    using lock = kind === 'Mutex' ? Mutex.create(memory) : RwLock.create(memory);
    const turns = await often(async () => {
      using _guard = lock instanceof Mutex ? await lock.lock(limit) : await lock.write(limit);
    });
    assert.ok(turns > 1);
  });
}
test('Queue: a message that is there is received, and one that has room is sent, with a time-out of 0, also where the event loop gets its turn first', async () => {
  const name = uniqueName('zero');
  await using queue = await Queue.open<number>(name);
  const receptions = await often(async () => {
    queue.trySend(1);
    (await queue.receive(limit)).acknowledge();
  });
  assert.ok(receptions > 1);
  const sends = await often(async () => {
    await queue.send(2, limit);
    queue.tryReceive()!.acknowledge();
  });
  assert.ok(sends > 1);
  Queue.unlink(name);
});
