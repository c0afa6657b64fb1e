import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Barrier } from 'vecino/sync';
import { DATA, KILLS, kills, PROCESSES } from '../support/kills.js';
import { segment } from '../support/locks.js';

const limit = { timeout: 290_000 };

test(`Barrier: ${KILLS} kills of parties`, limit, async (t) => {
  using memory = segment();
  Barrier.create(memory, 0, PROCESSES - 1);
  // Whoever dies before it comes is missing for good: so who waits looks around after a while.
  const words = await kills(
    memory,
    `globalThis.barrier ??= Barrier.at(memory);
     try {
       const last = i % 2 ? await barrier.wait({ timeout: 50 }) : barrier.waitSync({ timeout: 50 });
       Atomics.add(words, ${DATA} + (last ? 0 : 1), 1);
     } catch (error) {
       if (error instanceof PeerDiedError) { Atomics.add(words, ${DATA + 2}, 1); if (barrier.broken) barrier.reset(); }
       else if (!(error instanceof TimeoutError)) throw error;
     }`,
  );
  // One in three comes last; those who were killed before they could count are missing.
  const rounds = words[DATA]!;
  assert.ok(Math.abs(words[DATA + 1]! - 2 * rounds) <= 2 * KILLS, `${rounds} last, ${words[DATA + 1]} not last`);
  t.diagnostic(`${rounds} rounds, ${words[DATA + 2]} told of a death`);
});
