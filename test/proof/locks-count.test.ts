import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SharedMemory } from 'vecino/memory';
import { Mutex, RwLock } from 'vecino/sync';
import { segment } from '../support/locks.js';
import { runScript } from '../support/processes.js';

const limit = { timeout: 240_000 };
const PROCESSES = 4;
const COUNT = 8192 / 4;

/** Runs the loop body `times` times in each of four processes that begin together; what the counter says then. */
async function count(memory: SharedMemory, times: number, body: string): Promise<number> {
  const words = new Int32Array(memory.buffer);
  words[COUNT] = 0;
  words[COUNT + 1] = 0;
  const program = `
    import { Mutex, RwLock, SharedMemory } from 'vecino';
    const memory = SharedMemory.open(process.argv[1]);
    const words = new Int32Array(memory.buffer);
    const mutex = Mutex.at(memory, 0);
    const lock = RwLock.at(memory, 64);
    const step = () => { words[${COUNT}] = words[${COUNT}] + 1; };
    Atomics.add(words, ${COUNT + 1}, 1);
    while (Atomics.load(words, ${COUNT + 1}) < ${PROCESSES});
    for (let i = 0; i < ${times}; i++) { ${body} }`;
  await Promise.all(Array.from({ length: PROCESSES }, () => runScript(program, [memory.name!])));
  return words[COUNT]!;
}

const loops: [title: string, times: number, body: string][] = [
  ['Mutex.enterSync', 250_000, 'mutex.enterSync(); step(); mutex.exit();'],
  ['Mutex.lockSync', 250_000, 'const guard = mutex.lockSync(); step(); guard.release();'],
  ['Mutex.lock', 250_000, 'const guard = await mutex.lock(); step(); guard.release();'],
  ['RwLock.writeSync', 250_000, 'const guard = lock.writeSync(); step(); guard.release();'],
  ['RwLock.write', 25_000, 'const guard = await lock.write(); step(); guard.release();'],
  [
    'each voice in turn',
    50_000,
    'const guard = i % 3 === 0 ? await mutex.lock() : i % 3 === 1 ? mutex.lockSync() : (mutex.tryLock() ?? mutex.lockSync()); step(); guard.release();',
  ],
];
for (const [title, times, body] of loops) {
  test(`Locks: ${PROCESSES} processes count to ${times * PROCESSES} exactly: ${title}`, limit, async () => {
    using memory = segment();
    Mutex.create(memory, 0);
    RwLock.create(memory, 64);
    assert.equal(await count(memory, times, body), times * PROCESSES);
  });
}

test('Locks: the same without a lock loses counts', limit, async () => {
  using memory = segment();
  Mutex.create(memory, 0);
  RwLock.create(memory, 64);
  let lost = 0;
  while (lost === 0) lost = PROCESSES * 250_000 - (await count(memory, 250_000, 'step();'));
  assert.ok(lost > 0);
});

test('Locks: readers never see half of what a writer does', limit, async () => {
  using memory = segment();
  Mutex.create(memory, 0);
  RwLock.create(memory, 64);
  const a = COUNT + 10;
  const halves = await count(
    memory,
    20_000,
    `if (i % 8 === 0) {
       const guard = lock.writeSync(); words[${a}]++; words[${a + 1}] = words[${a}]; words[${a + 2}] = -words[${a}]; guard.release();
     } else {
       const guard = i % 2 ? lock.readSync() : await lock.read();
       if (words[${a}] !== words[${a + 1}] || words[${a}] !== -words[${a + 2}]) Atomics.add(words, ${COUNT}, 1);
       guard.release();
     }`,
  );
  assert.equal(halves, 0);
  assert.equal(new Int32Array(memory.buffer)[a], (PROCESSES * 20_000) / 8);
});
