/** Processes that are killed at random moments while they use a lock. */
import assert from 'node:assert/strict';
import type { SharedMemory } from 'vecino/memory';
import { type Running, startScript } from './processes.js';

/** Kills for each lock, of processes that are four at a time. */
export const KILLS = 300;
export const PROCESSES = 4;
/** In words: what tells all to stop, what goes wrong, the two halves of the data, then a count of each process's work. */
const STOP = 4096;
export const BROKEN = 4097;
export const DATA = 4112;
const WORK = 4128;

/**
 * Four processes run `body` over and over; again and again one of them, or two at once, are killed at a random moment and replaced.
 * In the end those that live must all go on working, and stop when they are told.
 *
 * `change(guard)` changes what is protected in two halves, and repairs it after a death; `check()` counts what is seen half changed.
 */
export async function kills(memory: SharedMemory, body: string): Promise<Int32Array> {
  const words = new Int32Array(memory.buffer);
  const program = `
    import { Barrier, Condition, Mutex, PeerDiedError, RwLock, SharedMemory, TimeoutError } from 'vecino';
    import { setPriority } from 'node:os';
    import { native } from '#src/system/native.js';
    native.setParentDeathSignal(9);
    setPriority(5); // those that are starting go first
    const memory = SharedMemory.open(process.argv[1]);
    const words = new Int32Array(memory.buffer);
    const work = ${WORK} + Number(process.argv[2]);
    const check = () => { if (words[${DATA}] !== words[${DATA + 1}]) Atomics.add(words, ${BROKEN}, 1); };
    const change = (guard) => {
      if (guard.ownerDied) { words[${DATA + 1}] = words[${DATA}]; guard.markConsistent(); Atomics.add(words, ${DATA + 2}, 1); }
      check();
      words[${DATA}]++;
      for (let i = 0; i < 50; i++) Atomics.load(words, 0); // half changed for a while
      words[${DATA + 1}]++;
    };
    const stopped = () => Atomics.load(words, ${STOP}) !== 0;
    for (let i = Number(process.argv[2]); !stopped(); i++) {
      ${body}
      words[work]++;
      if (i % 64 === 0) await new Promise(setImmediate);
    }
    process.exit(0);`;
  let started = 0;
  const start = () => {
    const running = startScript(program, [memory.name!, String(started)]);
    return { index: WORK + started++, running };
  };
  const alive = Array.from({ length: PROCESSES }, start);
  const works = async ({ index, running }: { index: number; running: Running }, since = Atomics.load(words, index)) => {
    while (Atomics.load(words, index) === since) {
      assert.equal(running.child.exitCode, null, 'a process ended by itself');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  for (let killed = 0; killed < KILLS; ) {
    const index = killed % PROCESSES;
    await works(alive[index]!, 0);
    const victims = killed % 5 === 4 ? [index, (index + 1) % PROCESSES] : [index];
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 8));
    for (const victim of victims) alive[victim]!.running.child.kill('SIGKILL');
    killed += victims.length;
    for (const victim of victims) {
      const { running } = alive[victim]!;
      alive[victim] = start();
      const { code, signal, stderr } = await running.ended;
      assert.deepEqual([code, signal, stderr], [null, 'SIGKILL', '']);
    }
  }
  await Promise.all(alive.map((process) => works(process)));
  Atomics.store(words, STOP, 1);
  for (const { running } of alive) {
    const { code, signal, stderr } = await running.ended;
    assert.deepEqual([code, signal, stderr], [0, null, '']);
  }
  return words;
}
