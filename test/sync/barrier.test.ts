import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedMemory } from 'vecino/memory';
import { Barrier } from 'vecino/sync';
import { ClosedError, CorruptError, PeerDiedError, TimeoutError } from 'vecino/system';
import { peer, segment, until } from '../support/locks.js';

const limit = { timeout: 60_000 };
const code = (code: string) => ({ code });

test(
  'Barrier: all go on when the last has come, round after round, and one is told that it was last',
  limit,
  async () => {
    using memory = SharedMemory.anonymous(Barrier.byteLength);
    const barrier = Barrier.create(memory, 0, 5);
    for (let round = 0; round < 50; round++) {
      const waits = [1, 2, 3, 4].map(() => barrier.wait());
      await new Promise(setImmediate);
      assert.equal(barrier.waiting, 4);
      assert.equal(barrier.waitSync(), true);
      assert.deepEqual(await Promise.all(waits), [false, false, false, false]);
      assert.equal(barrier.waiting, 0);
    }
    const alone = Barrier.create(memory, 0, 1);
    assert.equal(await alone.wait(), true);
    assert.equal(alone.waitSync({ timeout: 0 }), true);
  },
);

test('Barrier: processes meet in both voices, and no round mixes with the next', limit, async () => {
  using memory = segment();
  Barrier.create(memory, 0, 4);
  const peers = await Promise.all([1, 2, 3, 4].map(() => peer(memory)));
  const at = Barrier.byteLength / 4;
  for (const [i, there] of peers.entries()) {
    // Each writes its round before the barrier; after it, all must have written at least that, and nobody more than one further.
    there.begin(
      `const barrier = Barrier.at(memory);
       for (let round = 1; round <= 200; round++) {
         Atomics.store(words, ${at + i}, round);
         if (${i % 2 === 0 ? 'await barrier.wait()' : 'barrier.waitSync()'}) Atomics.add(words, ${at + 10}, 1);
         for (let k = 0; k < 4; k++) {
           const other = Atomics.load(words, ${at} + k);
           if (other < round || other > round + 1) throw new Error('round ' + round + ' met ' + other);
         }
       }`.replaceAll(/\n|\/\/.*/g, ' '),
    );
  }
  for (const there of peers) assert.equal(await there.line(), 'done');
  assert.equal(new Int32Array(memory.buffer)[at + 10], 200);
  for (const there of peers) await there.kill();
});

test('Barrier: a party that is killed while it waits is reported to all, until reset()', limit, async () => {
  using memory = segment();
  const barrier = Barrier.create(memory, 0, 5);
  const victim = await peer(memory);
  const others = await Promise.all([peer(memory), peer(memory)]);
  victim.begin('Barrier.at(memory).waitSync()');
  others[0]!.begin('await Barrier.at(memory).wait()');
  others[1]!.begin('Barrier.at(memory).waitSync()');
  const mine = assert.rejects(barrier.wait(), PeerDiedError);
  await until(() => barrier.waiting === 4);
  await victim.kill();
  await mine;
  for (const there of others) assert.equal(await there.line(), 'ERR_VECINO_PEER_DIED');
  assert.equal(barrier.broken, true);
  await assert.rejects(barrier.wait(), { code: 'ERR_VECINO_PEER_DIED', message: /reset/ });
  assert.throws(() => barrier.waitSync(), PeerDiedError);
  barrier.reset();
  assert.equal(barrier.broken, false);
  for (const there of others) there.begin('await Barrier.at(memory).wait()');
  const again = [barrier.wait(), barrier.wait(), barrier.wait()];
  for (const there of others) assert.equal(await there.line(), 'done');
  await Promise.all(again);
  for (const there of others) await there.kill();
});

test(
  'Barrier: who comes after a death in the middle of a round is told, also if nobody else waited',
  limit,
  async () => {
    using memory = segment();
    const barrier = Barrier.create(memory, 0, 3);
    const victim = await peer(memory);
    victim.begin('Barrier.at(memory).waitSync()');
    await until(() => barrier.waiting === 1);
    await victim.kill();
    await assert.rejects(barrier.wait(), PeerDiedError);
  },
);

test('Barrier: a wait that times out or is aborted leaves as if it had never come', limit, async () => {
  using memory = SharedMemory.anonymous(Barrier.byteLength);
  const barrier = Barrier.create(memory, 0, 3);
  await assert.rejects(barrier.wait({ timeout: 5 }), TimeoutError);
  assert.throws(() => barrier.waitSync({ timeout: 5 }), TimeoutError);
  const controller = new AbortController();
  const aborted = barrier.wait({ signal: controller.signal });
  const staying = barrier.wait();
  controller.abort(new Error('enough'));
  await assert.rejects(aborted, /enough/);
  assert.equal(barrier.waiting, 1);
  await Promise.all([barrier.wait(), barrier.wait(), staying]);
});

test('Barrier: one more than the parties waits for the next round', limit, async () => {
  using memory = SharedMemory.anonymous(Barrier.byteLength);
  const barrier = Barrier.create(memory, 0, 2);
  const results = await Promise.all([1, 2, 3, 4].map(() => barrier.wait()));
  assert.equal(results.filter(Boolean).length, 2);
});

test('Barrier: reset() ends the waits of an unbroken round with an error', limit, async () => {
  using memory = SharedMemory.anonymous(Barrier.byteLength);
  const barrier = Barrier.create(memory, 0, 3);
  const waits = [barrier.wait(), barrier.wait()];
  await new Promise(setImmediate);
  barrier.reset();
  for (const wait of waits) await assert.rejects(wait, { code: 'ERR_VECINO_PEER_DIED', message: /reset/ });
  await Promise.all([barrier.wait(), barrier.wait(), barrier.wait()]);
});

test('Barrier: closing the barrier or the memory while one waits is leaving', limit, async () => {
  using memory = segment();
  const barrier = Barrier.create(memory, 0, 3);
  for (const close of [
    (own: SharedMemory, _: Barrier) => own.close(),
    (_: SharedMemory, own: Barrier) => own.close(),
  ]) {
    using own = SharedMemory.open(memory.name!);
    const other = Barrier.at(own);
    const leaving = assert.rejects(other.wait(), ClosedError);
    const staying = assert.rejects(barrier.wait({ timeout: 100 }), TimeoutError);
    assert.equal(barrier.waiting, 2);
    close(own, other);
    await leaving;
    assert.equal(barrier.waiting, 1);
    await staying;
    await assert.rejects(other.wait(), ClosedError);
  }
});

test('Barrier: bad arguments are refused', () => {
  using memory = SharedMemory.anonymous(Barrier.byteLength);
  assert.throws(() => Barrier.at(memory), CorruptError);
  for (const parties of [0, -1, 121, 1.5, Number.NaN, 2 ** 53])
    assert.throws(() => Barrier.create(memory, 0, parties), code('ERR_OUT_OF_RANGE'));
  assert.throws(() => Barrier.create(memory, 0, '3' as unknown as number), code('ERR_INVALID_ARG_TYPE'));
  assert.throws(() => Barrier.create(memory, 8, 3), code('ERR_OUT_OF_RANGE'));
  assert.throws(() => Barrier.create({} as SharedMemory, 0, 3), code('ERR_INVALID_ARG_TYPE'));
});
