import '../support/leaks.js';
import assert from 'node:assert/strict';
import { readFileSync, truncateSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SharedMemory } from 'vecino/memory';
import { Mutex, RwLock } from 'vecino/sync';
import { CorruptError } from 'vecino/system';
import { native } from '#src/system/native.js';
import '#src/system/robust.js';
import { segment } from '../support/locks.js';
import { runScript } from '../support/processes.js';

const limit = { timeout: 120_000 };

function worker(source: string, workerData: unknown): Worker {
  const text = `
    import { parentPort, workerData } from 'node:worker_threads';
    import { Mutex, RwLock, SharedMemory } from ${JSON.stringify(import.meta.resolve('vecino'))};
    import { close } from ${JSON.stringify(import.meta.resolve('vecino/system'))};
    ${source}`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(text)}`), { workerData });
}
const said = (worker: Worker) =>
  new Promise<unknown>((resolve, reject) => worker.once('message', resolve).once('error', reject));

for (const end of ['terminated', 'ends by itself', 'calls process.exit()']) {
  test(`Locks: a worker that ${end} with two mutexes in two segments leaves both to be recovered`, limit, async () => {
    using one = segment();
    using two = segment();
    const mutexes = [Mutex.create(one), Mutex.create(two, 64)];
    const thread = worker(
      `const memories = workerData.names.map((name) => SharedMemory.open(name));
       globalThis.guards = [Mutex.at(memories[0]).lockSync(), Mutex.at(memories[1], 64).lockSync()];
       for (const memory of memories) close(memory.fd); // or the process keeps it: a thread's descriptors outlive it
       parentPort.postMessage('held');
       ${end === 'terminated' ? 'setInterval(() => {}, 1000);' : end === 'ends by itself' ? '' : 'process.exit();'}`,
      { names: [one.name, two.name] },
    );
    const ended = new Promise((resolve) => thread.once('exit', resolve));
    assert.equal(await said(thread), 'held');
    if (end === 'terminated') await thread.terminate();
    await ended;
    for (const mutex of mutexes) {
      const guard = mutex.lockSync();
      assert.equal(guard.ownerDied, true);
      guard.markConsistent();
      guard.release();
    }
  });
}
test('Locks: a thread that waits in the event loop gets what a terminated worker held', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const lock = RwLock.create(memory, 1024);
  const thread = worker(
    `const memory = SharedMemory.open(workerData);
     globalThis.guards = [Mutex.at(memory).lockSync(), RwLock.at(memory, 1024).readSync()];
     close(memory.fd);
     parentPort.postMessage('held');
     setInterval(() => {}, 1000);`,
    memory.name,
  );
  assert.equal(await said(thread), 'held');
  const waiting = [mutex.lock(), lock.write()] as const;
  await thread.terminate();
  const [guard, writer] = await Promise.all(waiting);
  assert.equal(guard.ownerDied, true);
  assert.equal(writer.ownerDied, false);
  guard.markConsistent();
  guard.release();
  writer.release();
});

test('Locks: memory that is closed while a lock in it is held stays mapped until the release', () => {
  const before = native.mappingCount();
  const memory = SharedMemory.anonymous(8192);
  const guards = [Mutex.create(memory).lockSync(), RwLock.create(memory, 1024).readSync()];
  const view = new Int32Array(memory.buffer);
  memory.close();
  assert.equal(view.length, 0);
  assert.equal(native.mappingCount(), before + 1);
  guards[0]!.release();
  assert.equal(native.mappingCount(), before + 1);
  guards[1]!.release();
  assert.equal(native.mappingCount(), before);
  assert.equal(native.locksHeld(), 0);
});

test(
  'Locks: locks are released in any order, of any number, and the kernel knows those that are left',
  limit,
  async () => {
    using memory = segment();
    const mutexes = Array.from({ length: 200 }, (_, i) => Mutex.create(memory, i * 64));
    // Released and taken again in a shuffled order; then the process dies with what it holds.
    const ended = await runScript(
      `import { Mutex, SharedMemory } from 'vecino';
     const memory = SharedMemory.open(process.argv[1]);
     const mutexes = Array.from({ length: 200 }, (_, i) => Mutex.at(memory, i * 64));
     const guards = mutexes.map((mutex) => mutex.lockSync());
     let seed = 1;
     const random = (n) => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % n;
     for (let i = 0; i < 5000; i++) {
       const k = random(200);
       if (guards[k].held) guards[k].release(); else guards[k] = mutexes[k].lockSync();
     }
     console.log(JSON.stringify(guards.map((guard) => guard.held)), process.kill(process.pid, 'SIGKILL'));`,
      [memory.name!],
    ).catch((error: Error) => error.message);
    assert.match(ended, /SIGKILL/);
    const left = mutexes.map((mutex) => {
      using guard = mutex.lockSync();
      guard.markConsistent();
      return guard.ownerDied;
    });
    // The same sequence, to know what was held.
    const held = new Array(200).fill(true);
    let seed = 1;
    const random = (n: number) => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % n;
    for (let i = 0; i < 5000; i++) {
      const k = random(200);
      held[k] = !held[k];
    }
    assert.deepEqual(left, held);
  },
);

test('Locks: a thread holds 2048 at most, the rest is refused with the reason', limit, () => {
  using memory = SharedMemory.anonymous(2049 * 40);
  const mutexes = Array.from({ length: 2049 }, (_, i) => Mutex.create(memory, i * 40));
  const guards = mutexes.slice(0, 2048).map((mutex) => mutex.lockSync());
  assert.throws(() => mutexes[2048]!.lockSync(), { code: 'EAGAIN', message: /2048/ });
  for (const guard of guards) guard.release();
  mutexes[2048]!.lockSync().release();
});

test('Locks: a guard that is dropped leaves the lock taken until its thread ends', limit, async () => {
  using memory = segment();
  Mutex.create(memory);
  const output = await runScript(
    `import { Mutex, SharedMemory } from 'vecino';
     import { setFlagsFromString } from 'node:v8';
     import { runInNewContext } from 'node:vm';
     setFlagsFromString('--expose-gc');
     const gc = runInNewContext('gc');
     (() => { const memory = SharedMemory.open(process.argv[1]); Mutex.at(memory).lockSync(); })();
     for (let i = 0; i < 5; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 5)); }
     console.log(Mutex.at(SharedMemory.open(process.argv[1])).tryLock());`,
    [memory.name!],
  );
  assert.equal(output, 'null\n');
  using guard = Mutex.at(memory).lockSync();
  assert.equal(guard.ownerDied, true);
  guard.markConsistent();
});

test('Locks: a mutex keeps its memory from being collected, and locks are forgotten when they are', limit, async () => {
  const output = await runScript(
    `import { Mutex, SharedMemory } from 'vecino';
     import { readFileSync } from 'node:fs';
     import { setFlagsFromString } from 'node:v8';
     import { runInNewContext } from 'node:vm';
     setFlagsFromString('--expose-gc');
     const gc = runInNewContext('gc');
     const collect = async () => { for (let i = 0; i < 5; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 5)); } };
     const mappings = () => readFileSync('/proc/self/maps', 'utf8').split('\\n').filter((line) => line.includes('memfd:vecino')).length;
     const mutex = (() => Mutex.create(SharedMemory.anonymous(4096)))();
     await collect();
     mutex.lockSync().release();
     for (let i = 0; i < 100; i++) Mutex.create(SharedMemory.anonymous(4096)).lockSync().release();
     await collect();
     mutex.lockSync().release();
     console.log(mappings());`,
  );
  assert.equal(output, '1\n');
});

test('Locks: memory that is truncated under a lock is an error, and the program lives', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory, 32768);
  const guard = mutex.lockSync();
  truncateSync(`/dev/shm/${memory.name}`, 0);
  assert.throws(() => guard.release(), CorruptError);
  assert.throws(() => mutex.lockSync({ timeout: 10 }), CorruptError);
  await assert.rejects(mutex.lock({ timeout: 10 }), CorruptError);
  assert.equal(native.locksHeld(), 0);
  assert.ok(readFileSync('/proc/self/status', 'utf8').includes('VmRSS'));
});

test('Locks: a wait in a worker that is terminated harms nobody', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const guard = mutex.lockSync();
  for (const wait of ['Mutex.at(memory).lock()', 'Mutex.at(memory).lockSync()']) {
    const thread = worker(
      `const memory = SharedMemory.open(workerData); close(memory.fd); parentPort.postMessage('waits'); ${wait};`,
      memory.name,
    );
    assert.equal(await said(thread), 'waits');
    await thread.terminate();
  }
  guard.release();
  mutex.lockSync().release();
});
