// @ts-check
/** What rows/lock-waiters.mjs measures:  node waiters.mjs MEMORY MILLISECONDS */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as window } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SharedMemory } from 'vecino/memory';
import { Mutex } from 'vecino/sync';

const MUTEXES = 1000;
/** Bytes of each mutex; behind them, in milliseconds of the clock that all processes share, when each was given and got. */
const STRIDE = 64;
const GIVEN = MUTEXES * STRIDE;
const GOT = GIVEN + MUTEXES * 8;
const [name, milliseconds, role] = process.argv.slice(2);
const clock = () => performance.timeOrigin + performance.now();

if (role === 'wait') {
  const memory = SharedMemory.open(name);
  const got = new Float64Array(memory.buffer, GOT, MUTEXES);
  const before = readdirSync('/proc/self/task').length;
  const waits = Array.from({ length: MUTEXES }, async (_, i) => {
    const guard = await Mutex.at(memory, i * STRIDE).lock();
    got[i] = clock();
    guard.release();
  });
  console.log(before);
  await Promise.all(waits);
} else {
  const memory = SharedMemory.create(name, GOT + MUTEXES * 8);
  try {
    const mutexes = Array.from({ length: MUTEXES }, (_, i) => Mutex.create(memory, i * STRIDE));
    const guards = mutexes.map((mutex) => mutex.lockSync());
    const given = new Float64Array(memory.buffer, GIVEN, MUTEXES);
    const got = new Float64Array(memory.buffer, GOT, MUTEXES);
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), name, milliseconds, 'wait'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [before] = await once(child.stdout, 'data');
    await window(1000); // a process that has just begun still has something to tidy up
    const used = processorTime(child.pid);
    await window(Number(milliseconds));
    const waiting = ((processorTime(child.pid) - used) * 1000) / Number(milliseconds);
    const threads = readdirSync(`/proc/${child.pid}/task`).length - Number(before);
    for (const [i, guard] of guards.entries()) {
      given[i] = clock();
      guard.release();
      for (const end = given[i] + 1000; got[i] === 0 && clock() < end; ) await window(0.2);
    }
    await once(child, 'exit');
    const late = Array.from(got, (time, i) => (time - given[i]) * 1e6).sort((a, b) => a - b);
    console.log(JSON.stringify({ p50: late[MUTEXES / 2], longest: late[MUTEXES - 1], waiting, threads }));
  } finally {
    memory.unlink();
    memory.close();
  }
}

/** Of all threads, in nanoseconds, by the scheduler's own statistics. @param {number | undefined} pid */
function processorTime(pid) {
  let time = 0;
  for (const task of readdirSync(`/proc/${pid}/task`))
    time += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  return time;
}
