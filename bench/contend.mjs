// @ts-check
/** One of the two processes of rows/lock-contended.mjs:  node contend.mjs MEMORY ROLE enter|sync|async WARM_UP_MS DURATION_MS */
import { SharedMemory } from 'vecino/memory';
import { Mutex } from 'vecino/sync';

const CALIBRATIONS = 2000;
const STEPS = 2000;
const STRIDE = 64;
/** In words. */
const HERE = 256;

const [name, role, voice, ...times] = process.argv.slice(2);
const [warmUp, duration] = times.map(Number);
const memory = SharedMemory.open(name);
const mutex = Mutex.at(memory, 0);
const words = new Int32Array(memory.buffer);
const sink = new Int32Array(1);

/** Each step waits for the one before, as in c/lock.c. @param {number} steps */
function work(steps) {
  let value = sink[0];
  for (let i = 0; i < steps; i++) value = (Math.imul(value, 1664525) + 1013904223) | 0;
  sink[0] = value;
}
function stepsOfAMicrosecond() {
  let least = Infinity;
  for (let i = 0; i < CALIBRATIONS; i++) {
    const began = performance.now();
    work(STEPS);
    const time = performance.now() - began;
    if (i > CALIBRATIONS / 2 && time < least) least = time; // compiled by then
  }
  return Math.floor((1e-3 * STEPS) / least);
}
/** @type {Record<string, (steps: number) => void | Promise<void>>} */
const strides = {
  enter(steps) {
    for (let i = 0; i < STRIDE; i++) {
      mutex.enterSync();
      work(steps);
      mutex.exit();
    }
  },
  sync(steps) {
    for (let i = 0; i < STRIDE; i++) {
      const guard = mutex.lockSync();
      work(steps);
      guard.release();
    }
  },
  async async(steps) {
    for (let i = 0; i < STRIDE; i++) {
      const guard = await mutex.lock();
      work(steps);
      guard.release();
    }
  },
};
const stride = strides[voice];
const steps = stepsOfAMicrosecond();
Atomics.store(words, HERE + Number(role), 1);
while (Atomics.load(words, HERE + 1 - Number(role)) === 0)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0.1);
const warm = performance.now() + warmUp;
const end = warm + duration;
let count = 0;
for (let time = 0; time < end; ) {
  const ended = stride(steps);
  if (ended !== undefined) await ended;
  time = performance.now();
  if (time >= warm && time < end) count += STRIDE;
}
console.log(count / (duration / 1e3));
