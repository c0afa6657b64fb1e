import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mutex } from 'vecino/sync';
import { segment } from '../support/locks.js';
import { startScript } from '../support/processes.js';

const limit = { timeout: 120_000 };
const MUTEXES = 1000;
/** In bytes: when each was released, in milliseconds of the clock that all processes share. */
const TIMES = MUTEXES * 64;

for (const [way, threads] of [
  ['ring', 0],
  ['thread', 1],
] as const) {
  test(
    `Locks: ${MUTEXES} tasks wait for ${MUTEXES} mutexes of another process by '${way}': ${threads} threads`,
    limit,
    async (t) => {
      using memory = segment(TIMES + MUTEXES * 8);
      const mutexes = Array.from({ length: MUTEXES }, (_, i) => Mutex.create(memory, i * 64));
      const times = new Float64Array(memory.buffer, TIMES);
      const guards = mutexes.map((mutex) => mutex.lockSync());
      const waiter = startScript(
        `import { readdirSync } from 'node:fs';
       import { Mutex, SharedMemory } from 'vecino';
       const threads = () => readdirSync('/proc/self/task').length;
       const memory = SharedMemory.open(process.argv[1]);
       const times = new Float64Array(memory.buffer, ${TIMES});
       const before = threads();
       const late = [];
       const waits = Array.from({ length: ${MUTEXES} }, async (_, i) => {
         const guard = await Mutex.at(memory, i * 64).lock();
         late.push(performance.timeOrigin + performance.now() - times[i]);
         guard.release();
       });
       await new Promise((resolve) => setTimeout(resolve, 100));
       const used = process.cpuUsage();
       await new Promise((resolve) => setTimeout(resolve, 1000));
       const { user, system } = process.cpuUsage(used);
       console.log(JSON.stringify({ extra: threads() - before, cpu: user + system }));
       await Promise.all(waits);
       late.sort((a, b) => a - b);
       console.log(JSON.stringify({ median: late[500], p99: late[990], worst: late[999] }));
       while (threads() > before) await new Promise((resolve) => setTimeout(resolve, 5));`,
        [memory.name!],
        { env: { ...process.env, VECINO_WORDS: way } },
      );
      const { extra, cpu } = JSON.parse(await waiter.line()) as { extra: number; cpu: number };
      assert.equal(extra, threads);
      assert.ok(cpu < 200_000, `${cpu} µs of CPU in a second of waiting`);
      for (const [i, guard] of guards.entries()) {
        times[i] = performance.timeOrigin + performance.now();
        guard.release();
        await new Promise(setImmediate);
      }
      t.diagnostic(`${cpu} µs of CPU in 1 s of waiting; woken after (ms): ${await waiter.line()}`);
      assert.equal((await waiter.ended).code, 0);
    },
  );
}
