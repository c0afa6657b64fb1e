import '../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SharedMemory } from 'vecino/memory';
import { ClosedError, Deadline, futexWaitAsync, futexWake, TimeoutError } from 'vecino/system';
import { endWaits, waitWord, waitWordSync, waitWords, wordWay } from '#src/system/word-wait.js';
import { compile, runScript, start, startScript, temporaryFolder, uniqueName } from '../support/processes.js';

const forever = () => new Deadline('wait');
const within = (timeout: number) => new Deadline('wait', { timeout });
function words(count: number): Int32Array & Disposable {
  const memory = SharedMemory.anonymous(count * 4);
  return Object.assign(new Int32Array(memory.buffer), { [Symbol.dispose]: () => memory.close() });
}
const change = (memory: Int32Array, index: number, value: number, count = 1) => {
  Atomics.store(memory, index, value);
  return futexWake(memory, index, count);
};
const limit = { timeout: 60_000 };

test('Words: a wait for a word that has changed already resolves at once, without a descriptor', async () => {
  using memory = words(1);
  await waitWord(memory, 0, 5, forever());
  assert.equal(wordWay(), undefined);
});

test('Words: a wait ends when the word changes and somebody wakes it', limit, async () => {
  using memory = words(4);
  let changed = false;
  const waiting = waitWord(memory, 3, 0, forever()).then(() => assert.ok(changed));
  setImmediate(() => {
    changed = true;
    assert.equal(change(memory, 3, 1), 1);
  });
  await waiting;
});

test('Words: a time-out and an abort end the wait, and the word can be waited for again', limit, async () => {
  using memory = words(1);
  await assert.rejects(waitWord(memory, 0, 0, within(5)), TimeoutError);
  await assert.rejects(waitWord(memory, 0, 0, within(0)), TimeoutError);
  const controller = new AbortController();
  const reason = new Error('enough');
  const aborted = waitWord(memory, 0, 0, new Deadline('wait', { signal: controller.signal }));
  setImmediate(() => controller.abort(reason));
  await assert.rejects(aborted, reason);
  await assert.rejects(waitWord(memory, 0, 0, new Deadline('wait', { signal: controller.signal })), reason);
  const waiting = waitWord(memory, 0, 0, forever());
  change(memory, 0, 1);
  await waiting;
});

test('Words: the wake-up of an aborted waiter goes to the next one', limit, async () => {
  using memory = words(1);
  for (let round = 0; round < 50; round++) {
    Atomics.store(memory, 0, 0);
    const controller = new AbortController();
    const first = waitWord(memory, 0, 0, new Deadline('wait', { signal: controller.signal }));
    const second = waitWord(memory, 0, 0, forever());
    futexWake(memory, 0, 1); // goes to the first; without a change of the word, so that nothing else can wake the second
    controller.abort();
    await assert.rejects(first);
    await second;
  }
});

test('Words: a wait for several words ends with the first of them', limit, async () => {
  using memory = words(64);
  const places = Array.from(memory, (_, index) => ({ words: memory, index, expected: 0 }));
  const waiting = waitWords(places, forever());
  change(memory, 40, 1);
  await waiting;
  await assert.rejects(waitWords(places.slice(0, 40), within(1)), TimeoutError);
});

test('Words: waits end with an error when their memory is about to be unmapped', limit, async () => {
  using memory = words(2);
  using other = words(1);
  const waiting = waitWord(memory, 1, 0, forever());
  const unconcerned = waitWord(other, 0, 0, forever());
  endWaits(memory.buffer, new ClosedError('it'));
  await assert.rejects(waiting, ClosedError);
  change(other, 0, 1);
  await unconcerned;
});

test('Words: a thread that waits comes back after its time-out', () => {
  using memory = words(1);
  const deadline = within(5);
  assert.throws(() => {
    for (;;) waitWordSync(memory, 0, 0, deadline);
  }, TimeoutError);
  waitWordSync(memory, 0, 1, forever());
});

test('Words: futexWaitAsync() is the public face of it', limit, async () => {
  using memory = words(1);
  const waiting = futexWaitAsync(memory, 0, 0);
  change(memory, 0, -1);
  await waiting;
  await futexWaitAsync(memory, 0, 0);
  await assert.rejects(futexWaitAsync(memory, 0, 0xffffffff, { timeout: 5 }), TimeoutError);
  await assert.rejects(futexWaitAsync(memory, 0, 2 ** 32), { code: 'ERR_OUT_OF_RANGE' });
  await assert.rejects(futexWaitAsync(memory, 1, 0), { code: 'ERR_OUT_OF_RANGE' });
  await assert.rejects(futexWaitAsync(memory, 0, Number.NaN), { code: 'ERR_OUT_OF_RANGE' });
  await assert.rejects(futexWaitAsync(memory, 0, -1, { timeout: -1 }), { code: 'ERR_OUT_OF_RANGE' });
});

test('Words: bad arguments are refused', async () => {
  using memory = words(1);
  const bad = [
    [null, 0],
    [new Uint8Array(8), 0],
    [memory, -1],
    [memory, 1],
    [memory, Number.NaN],
    [memory, 2 ** 53],
    [new Int32Array(0), 0],
  ] as [Int32Array, number][];
  for (const [view, index] of bad)
    await assert.rejects(waitWord(view, index, 0, forever()), { name: /TypeError|RangeError/ });
});

const program = `
  import assert from 'node:assert/strict';
  import { readdirSync } from 'node:fs';
  import { SharedMemory } from 'vecino/memory';
  import { Deadline, futexWake, TimeoutError } from 'vecino/system';
  import { waitWord, waitWords, wordWay } from '#src/system/word-wait.js';
  const threads = () => readdirSync('/proc/self/task').length;
  const count = Number(process.argv[1]);
  const before = threads();
  const memory = SharedMemory.anonymous(4 * count);
  const words = new Int32Array(memory.buffer);
  const forever = new Deadline('wait');
  const waits = Array.from(words, (_, index) => waitWord(words, index, 0, forever));
  await new Promise(setImmediate);
  const way = wordWay();
  const extra = threads() - before;
  const used = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { user, system } = process.cpuUsage(used);
  let slowest = 0;
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    Atomics.store(words, i, 1);
    futexWake(words, i, 1);
    await waits[i];
    slowest = Math.max(slowest, performance.now() - start);
  }
  const controller = new AbortController();
  const aborted = waitWord(words, 0, 1, new Deadline('wait', { signal: controller.signal }));
  controller.abort();
  await assert.rejects(aborted, { name: 'AbortError' });
  await assert.rejects(waitWords([{ words, index: 0, expected: 1 }, { words, index: 1, expected: 1 }], new Deadline('wait', { timeout: 5 })), TimeoutError);
  while (wordWay() !== undefined) await new Promise((resolve) => setTimeout(resolve, 5));
  console.log(JSON.stringify({ way, extra, left: threads() - before, cpu: user + system, slowest }));`;

for (const [way, count, threads] of [
  ['ring', 1000, 0],
  ['thread', 127, 1],
  ['thread', 300, 1],
  ['look', 300, 0],
] as const) {
  test(
    `Words: ${count} words are waited for with '${way}', by ${threads} threads, none when nobody waits`,
    limit,
    async (t) => {
      const env = { ...process.env, VECINO_WORDS: way };
      const { slowest, cpu, ...result } = JSON.parse(await runScript(program, [String(count)], { env }));
      assert.deepEqual(result, { way, extra: threads, left: 0 });
      t.diagnostic(`slowest wake-up ${slowest.toFixed(2)} ms, CPU in 300 ms of waiting ${cpu} µs`);
    },
  );
}

test('Words: every way serves workers, also those that are terminated while they wait', limit, async () => {
  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    import { SharedMemory } from ${JSON.stringify(import.meta.resolve('vecino/memory'))};
    import { Deadline } from ${JSON.stringify(import.meta.resolve('vecino/system'))};
    const { waitWord } = await import(new URL('./word-wait.js', ${JSON.stringify(import.meta.resolve('vecino/system'))}).href);
    const memory = SharedMemory.open(workerData);
    const words = new Int32Array(memory.buffer);
    const waiting = waitWord(words, 0, 0, new Deadline('wait'));
    setImmediate(() => parentPort.postMessage('waits'));
    await waiting;
    parentPort.postMessage('woken');`;
  const main = `
    import { Worker } from 'node:worker_threads';
    import { SharedMemory } from 'vecino/memory';
    import { futexWake } from 'vecino/system';
    const memory = SharedMemory.create(process.argv[1], 4096);
    const url = new URL('data:text/javascript,' + encodeURIComponent(process.argv[2]));
    for (let round = 0; round < 5; round++) {
      const words = new Int32Array(memory.buffer);
      Atomics.store(words, 0, 0);
      const workers = Array.from({ length: 4 }, () => new Worker(url, { workerData: process.argv[1] }));
      const said = (worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      await Promise.all(workers.map(said));
      await workers[0].terminate();
      const woken = workers.slice(1).map(said);
      Atomics.store(words, 0, 1);
      futexWake(words, 0, 100);
      await Promise.all(woken);
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
    memory.unlink();
    console.log('done');`;
  for (const VECINO_WORDS of ['ring', 'thread', 'look']) {
    const env = { ...process.env, VECINO_WORDS };
    const { code, stdout, stderr } = await startScript(main, [uniqueName('words'), source], { env }).ended;
    assert.deepEqual([code, stdout, stderr], [0, 'done\n', ''], VECINO_WORDS);
  }
});

test('Words: a pending wait keeps the program running; process.exit() ends it at once', limit, async () => {
  const waiting = `
    import { SharedMemory } from 'vecino/memory';
    import { Deadline, futexWake } from 'vecino/system';
    import { waitWord } from '#src/system/word-wait.js';
    const memory = SharedMemory.anonymous(4);
    const words = new Int32Array(memory.buffer);
    const wait = waitWord(words, 0, 0, new Deadline('wait'));`;
  for (const VECINO_WORDS of ['ring', 'thread', 'look']) {
    const env = { ...process.env, VECINO_WORDS };
    const runs = `${waiting}
      setTimeout(() => { words[0] = 1; futexWake(words, 0, 1); }, 20).unref();
      await wait;
      console.log('woken');`;
    assert.equal(await runScript(runs, [], { env }), 'woken\n');
    assert.equal((await startScript(`${waiting} setImmediate(() => process.exit(3));`, [], { env }).ended).code, 3);
  }
});

test('Words: a wake-up that died with a killed waiter is noticed: the word is looked at again', limit, async () => {
  // The C program takes the only wake-up and dies with it.
  const folder = temporaryFolder();
  const thief = compile(
    folder,
    'thief',
    `#include <fcntl.h>
     #include <limits.h>
     #include <linux/futex.h>
     #include <stdio.h>
     #include <sys/mman.h>
     #include <sys/syscall.h>
     #include <unistd.h>
     int main(int argc, char **argv) {
       int *word = mmap(0, 4, PROT_READ | PROT_WRITE, MAP_SHARED, shm_open(argv[1], O_RDWR, 0), 0);
       puts("waits");
       fflush(stdout);
       syscall(SYS_futex, word, FUTEX_WAIT, 0, 0, 0, 0);
       _exit(9);
     }`,
  );
  const memory = SharedMemory.create(uniqueName('stolen'), 4);
  const view = new Int32Array(memory.buffer);
  const peer = start(thief, [memory.name!]);
  await peer.line();
  while (!readdirSync('/proc').includes(String(peer.pid))) await new Promise(setImmediate);
  const waiting = waitWord(view, 0, 0, forever());
  while (change(view, 0, 0) === 0) await new Promise(setImmediate);
  Atomics.store(view, 0, 1);
  await waiting;
  await peer.kill();
  memory.unlink();
  memory.close();
});

test('Words: a terminated worker that blocks on a word comes back', limit, async () => {
  const source = `
    import { parentPort } from 'node:worker_threads';
    const { Deadline } = await import(${JSON.stringify(import.meta.resolve('vecino/system'))});
    const { waitWordSync } = await import(new URL('./word-wait.js', ${JSON.stringify(import.meta.resolve('vecino/system'))}).href);
    parentPort.postMessage('blocks');
    for (;;) waitWordSync(new Int32Array(1), 0, 0, new Deadline('wait'));`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  await new Promise((resolve) => worker.once('message', resolve));
  await worker.terminate();
});

test(
  'Words: a wait goes on while the event loop cannot watch for it, and nothing is rejected unhandled',
  limit,
  async () => {
    const program = `
    import { native } from '#src/system/native.js';
    import { waitWord } from '#src/system/word-wait.js';
    import { Deadline, futexWake } from 'vecino/system';
    import { SharedMemory } from 'vecino/memory';
    const { watchOpen } = native;
    let refused = 0;
    native.watchOpen = (...args) => refused++ < 3 ? -28 : watchOpen(...args); // ENOSPC: epoll's watches are used up
    const words = new Int32Array(SharedMemory.anonymous(4096).buffer);
    setTimeout(() => { Atomics.store(words, 0, 1); futexWake(words, 0, 1); }, 30);
    await waitWord(words, 0, 0, new Deadline('wait'));
    console.log('woken');`;
    const { stdout, stderr, code } = await startScript(program).ended;
    assert.deepEqual([stdout, stderr, code], ['woken\n', '', 0]);
  },
);
