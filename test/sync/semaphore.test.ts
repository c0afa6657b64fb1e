import '../support/leaks.js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ClosedError, CorruptError, Semaphore, SharedMemory, SystemError, TimeoutError } from 'vecino';
import { layout, semaphorePath, WAITERS } from '#src/system/semaphore.js';
import { releaseWordKernel } from '#src/system/word-wait.js';
import { compile, runScript, start, startScript, temporaryFolder, uniqueName } from '../support/processes.js';
import { asleep } from '../support/tasks.js';

const isSystemError = (code: string) => (error: unknown) => error instanceof SystemError && error.code === code;
const bad = <T>(value: unknown) => value as T;
const limit = { timeout: 60_000 };

/** A semaphore in memory of its own, and its words. */
function inMemory(value: number): { semaphore: Semaphore; words: Int32Array; memory: SharedMemory } & Disposable {
  const memory = SharedMemory.anonymous(4096);
  const semaphore = Semaphore.inMemory(memory, 64, value);
  return {
    memory,
    semaphore,
    words: new Int32Array(memory.buffer, 64, 8),
    [Symbol.dispose]() {
      semaphore.close();
      memory.close();
    },
  };
}
/** Resolves once so many are registered as waiting. */
async function waiting(words: Int32Array, count: number): Promise<void> {
  while (Atomics.load(words, WAITERS) < count) await new Promise((resolve) => setTimeout(resolve, 1));
}
const folder = temporaryFolder();
const peer = compile(
  folder,
  'peer',
  `#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
int main(int argc, char **argv) { // what the semaphore is (create VALUE, open, memory, init VALUE), its name; then commands by lines
  char name[300], line[100];
  snprintf(name, sizeof name, "/%s", argv[2]);
  sem_t *sem;
  if (argv[1][0] == 'm' || argv[1][0] == 'i') {
    sem = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, shm_open(name, O_RDWR, 0), 0);
    sem = (sem_t *)((char *)sem + 64);
    if (argv[1][0] == 'i') sem_init(sem, 1, atoi(argv[3]));
  } else {
    sem = argv[1][0] == 'c' ? sem_open(name, O_CREAT | O_EXCL, 0600, atoi(argv[3])) : sem_open(name, 0);
  }
  if (sem == SEM_FAILED) { perror("sem_open"); return 1; }
  puts("ready"); fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    int value = 0;
    if (line[0] == 'w') { sem_wait(sem); puts("taken"); }
    if (line[0] == 't') puts(sem_trywait(sem) == 0 ? "taken" : "none");
    if (line[0] == 'p') { sem_post(sem); puts("given"); }
    if (line[0] == 'v') { sem_getvalue(sem, &value); printf("%d\\n", value); }
    fflush(stdout);
  }
}`,
);
async function ask(process: ReturnType<typeof start>, command: string): Promise<string> {
  process.write(`${command}\n`);
  return process.line();
}

test('Semaphore: the layout of this C library is known', () => {
  assert.equal(layout.known, true);
  assert.equal(Semaphore.byteLength, 32);
  assert.equal(Semaphore.maximum, 0x7fffffff);
});

test('Semaphore: permits are counted, taken and given', () => {
  using own = inMemory(2);
  const { semaphore } = own;
  assert.equal(semaphore.name, null);
  assert.equal(semaphore.value, 2);
  assert.deepEqual([semaphore.tryAcquire(), semaphore.tryAcquire(), semaphore.tryAcquire()], [true, true, false]);
  assert.equal(semaphore.value, 0);
  semaphore.release();
  semaphore.release(5);
  assert.equal(semaphore.value, 6);
  semaphore.acquireSync();
  semaphore.acquireSync({ timeout: 0 });
  assert.equal(semaphore.value, 4);
  assert.equal(semaphore.unlink(), false);
});

test('Semaphore: a named semaphore is found by other processes, and stays until it is unlinked', async () => {
  const name = uniqueName('semaphore');
  using semaphore = Semaphore.create(`/${name}`, 1, { mode: 0o640 });
  assert.equal(semaphore.name, name);
  assert.equal(statSync(semaphorePath(name)).mode & 0o777, 0o640);
  const output = await runScript(
    `import { Semaphore } from 'vecino';
     const semaphore = Semaphore.open(process.argv[1]);
     console.log(semaphore.value, semaphore.tryAcquire(), semaphore.tryAcquire());
     semaphore.release(3);`,
    [name],
  );
  assert.equal(output, '1 true false\n');
  assert.equal(semaphore.value, 3);
  assert.throws(() => Semaphore.create(name, 1), { code: 'EEXIST', syscall: 'sem_open', path: name });
  assert.equal(semaphore.unlink(), true);
  assert.equal(Semaphore.unlink(name), false);
  assert.throws(() => Semaphore.open(name), isSystemError('ENOENT'));
  semaphore.release();
  assert.equal(semaphore.value, 4);
});

test('Semaphore: a C program opens our named semaphore, and each wakes the other', limit, async () => {
  const name = uniqueName('semaphore');
  using semaphore = Semaphore.create(name, 0);
  const c = start(peer, ['open', name]);
  assert.equal(await c.line(), 'ready');
  assert.equal(await ask(c, 't'), 'none');
  const taken = ask(c, 'w');
  await asleep(c.pid);
  semaphore.release();
  assert.equal(await taken, 'taken');
  const acquired = semaphore.acquire();
  assert.equal(await ask(c, 'p'), 'given');
  await acquired;
  const again = semaphore.acquire();
  semaphore.release(2);
  await again;
  assert.equal(await ask(c, 'v'), '1');
  assert.equal(await ask(c, 't'), 'taken');
  assert.equal(semaphore.tryAcquire(), false);
  c.write('p\n');
  semaphore.acquireSync();
  await c.kill();
  semaphore.unlink();
});

test('Semaphore: we open the named semaphore of a C program', async () => {
  const name = uniqueName('semaphore');
  const c = start(peer, ['create', name, '3']);
  assert.equal(await c.line(), 'ready');
  using semaphore = Semaphore.open(name);
  assert.equal(semaphore.value, 3);
  await semaphore.acquire();
  assert.equal(await ask(c, 'v'), '2');
  await c.kill();
  semaphore.unlink();
});

test('Semaphore: a semaphore in shared memory is one with a C program, whoever made it', limit, async () => {
  const name = uniqueName('memory');
  using memory = SharedMemory.create(name, 4096);
  assert.throws(() => Semaphore.inMemory(memory, 64), CorruptError);
  const maker = start(peer, ['init', name, '1']);
  await maker.line();
  using theirs = Semaphore.inMemory(memory, 64);
  assert.equal(theirs.tryAcquire(), true);
  const acquired = theirs.acquire();
  await ask(maker, 'p');
  await acquired;
  await maker.kill();
  using ours = Semaphore.inMemory(memory, 64, 0);
  const c = start(peer, ['memory', name]);
  await c.line();
  const taken = ask(c, 'w');
  await waiting(new Int32Array(memory.buffer, 64, 8), 1);
  ours.release();
  assert.equal(await taken, 'taken');
  assert.equal(theirs.value, 0);
  await c.kill();
  memory.unlink();
});

test('Semaphore: a Python program shares a named semaphore', limit, async () => {
  const name = uniqueName('semaphore');
  using semaphore = Semaphore.create(name, 0);
  const python = start('python3', [
    '-c',
    `import ctypes, sys
lib = ctypes.CDLL(None, use_errno=True)
lib.sem_open.restype = ctypes.c_void_p
sem = ctypes.c_void_p(lib.sem_open(("/" + sys.argv[1]).encode(), 0))
print("ready", flush=True)
lib.sem_wait(sem)
lib.sem_post(sem); lib.sem_post(sem)
print("done", flush=True)`,
    name,
  ]);
  await python.line();
  semaphore.release();
  assert.equal(await python.line(), 'done');
  await semaphore.acquire();
  await semaphore.acquire();
  await python.ended;
  semaphore.unlink();
});

test('Semaphore: all three voices wait, and time out with nothing taken', limit, async () => {
  using own = inMemory(0);
  const { semaphore, words } = own;
  assert.throws(() => semaphore.acquireSync({ timeout: 10 }), TimeoutError);
  assert.throws(() => semaphore.acquireSync({ timeout: 0 }), TimeoutError);
  await assert.rejects(semaphore.acquire({ timeout: 10 }), TimeoutError);
  await assert.rejects(semaphore.acquire({ timeout: 0 }), TimeoutError);
  assert.deepEqual([...words.subarray(0, 2)], [0, 0], 'nobody is registered any more');
  const wait = semaphore.acquire();
  semaphore.release();
  assert.equal(semaphore.tryAcquire(), false, 'it is for the one who waits');
  await wait;
  assert.deepEqual([...words.subarray(0, 2)], [0, 0]);
});

test(
  'Semaphore: those who wait are served in the order in which they came, and count as one waiter',
  limit,
  async () => {
    using own = inMemory(0);
    const { semaphore, words } = own;
    const order: number[] = [];
    const waits = Array.from({ length: 1000 }, async (_, i) => {
      await semaphore.acquire();
      order.push(i);
    });
    await waiting(words, 1);
    assert.equal(words[WAITERS], 1, 'one waits for all of this object');
    semaphore.release(400);
    for (let i = 0; i < 600; i++) semaphore.release();
    await Promise.all(waits);
    assert.deepEqual(
      order,
      Array.from({ length: 1000 }, (_, i) => i),
    );
    assert.equal(semaphore.value, 0);
  },
);

test('Semaphore: an abort takes nothing, and leaves the others waiting', limit, async () => {
  using own = inMemory(0);
  const { semaphore, words } = own;
  const reason = new Error('enough');
  const controller = new AbortController();
  await assert.rejects(semaphore.acquire({ signal: AbortSignal.abort(reason) }), reason);
  const aborted = assert.rejects(semaphore.acquire({ signal: controller.signal }), reason);
  const second = semaphore.acquire();
  controller.abort(reason);
  await aborted;
  semaphore.release();
  await second;
  for (let i = 0; i < 300; i++) {
    const controller = new AbortController();
    const wait = semaphore.acquire({ signal: controller.signal }).then(
      () => 1,
      () => 0,
    );
    if (i % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
    semaphore.release();
    if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    const taken = await wait;
    assert.equal(semaphore.value, 1 - taken);
    if (taken === 0) semaphore.acquireSync({ timeout: 0 });
  }
  assert.equal(words[WAITERS], 0);
});

test('Semaphore: a permit given by C to one who goes away reaches the next', limit, async () => {
  const name = uniqueName('semaphore');
  using first = Semaphore.create(name, 0);
  using second = Semaphore.open(name);
  const c = start(peer, ['open', name]);
  await c.line();
  for (let i = 0; i < 20; i++) {
    const controller = new AbortController();
    const leaving = first.acquire({ signal: controller.signal }).then(
      () => first.release(),
      () => {},
    );
    const staying = second.acquire();
    await ask(c, 'p');
    controller.abort();
    await leaving;
    await staying;
  }
  await c.kill();
  first.unlink();
});

test('Semaphore: close() ends what waits; the semaphore stays; everything after it is refused', limit, async () => {
  const name = uniqueName('semaphore');
  const semaphore = Semaphore.create(name, 0);
  using other = Semaphore.open(name);
  const waits = [semaphore.acquire(), semaphore.acquire()].map((wait) => assert.rejects(wait, ClosedError));
  semaphore.close();
  semaphore.close();
  await Promise.all(waits);
  assert.throws(() => semaphore.tryAcquire(), ClosedError);
  assert.throws(() => semaphore.acquireSync(), ClosedError);
  assert.throws(() => semaphore.release(), ClosedError);
  assert.throws(() => semaphore.value, ClosedError);
  await assert.rejects(semaphore.acquire(), ClosedError);
  other.release();
  assert.equal(other.tryAcquire(), true);
  other.unlink();
  await releaseWordKernel();
});

test('Semaphore: memory that is closed under a semaphore ends its waits and refuses the rest', limit, async () => {
  using own = inMemory(0);
  const wait = assert.rejects(own.semaphore.acquire(), ClosedError);
  await waiting(own.words, 1);
  own.memory.close();
  await wait;
  assert.throws(() => own.semaphore.tryAcquire(), ClosedError);
  assert.throws(() => own.semaphore.release(), ClosedError);
  assert.throws(() => own.semaphore.acquireSync({ timeout: 5 }), ClosedError);
  await releaseWordKernel();
});

test(
  'Semaphore: a wait that ends because its memory is closed is not counted as a waiter any more',
  limit,
  async () => {
    using memory = SharedMemory.anonymous(4096);
    const words = new Int32Array(memory.buffer);
    Semaphore.inMemory(memory, 0, 0);
    const own = SharedMemory.fromFd(memory.fd);
    const theirs = Semaphore.inMemory(own, 0);
    const waits = [theirs.acquire(), theirs.acquire({ timeout: 60_000 })];
    await waiting(words, 1);
    own.close();
    assert.equal(words[WAITERS], 0);
    for (const wait of waits) await assert.rejects(wait, ClosedError);
    assert.equal(words[WAITERS], 0);
    await releaseWordKernel();
  },
);
test('Semaphore: ten waits keep neither file system calls nor the end of the program back', limit, async () => {
  const name = uniqueName('semaphore');
  using semaphore = Semaphore.create(name, 0);
  const others = Array.from({ length: 10 }, () => Semaphore.open(name));
  const waits = others.map((other) => other.acquire());
  assert.match(await readFile('/proc/self/comm', 'utf8'), /\S/);
  semaphore.release(10);
  await Promise.all(waits);
  for (const other of others) other.close();
  const outcome = await startScript(
    `import { Semaphore } from 'vecino';
     const all = Array.from({ length: 10 }, () => Semaphore.open(process.argv[1]));
     for (const one of all) one.acquire();
     setTimeout(() => process.exit(), 20);`,
    [name],
  ).ended;
  assert.deepEqual([outcome.code, outcome.stderr], [0, '']);
  semaphore.unlink();
  await releaseWordKernel();
});

test(
  'Semaphore: a pending acquire keeps the program running until it is served; nothing else does',
  limit,
  async () => {
    const name = uniqueName('semaphore');
    using semaphore = Semaphore.create(name, 0);
    const node = startScript(
      `import { Semaphore } from 'vecino';
     const semaphore = Semaphore.open(process.argv[1]);
     const wait = semaphore.acquire();
     console.log('waiting');
     await wait;
     console.log('done');`,
      [name],
    );
    assert.equal(await node.line(), 'waiting');
    semaphore.release();
    const { code, stdout } = await node.ended;
    assert.deepEqual([code, stdout], [0, 'waiting\ndone\n']);
    semaphore.unlink();
  },
);

test('Semaphore: a worker that is terminated while it waits takes nothing', limit, async () => {
  const name = uniqueName('semaphore');
  using semaphore = Semaphore.create(name, 0);
  for (const call of ['acquire()', 'acquireSync()']) {
    const source = `
      import { parentPort } from 'node:worker_threads';
      import { Semaphore } from ${JSON.stringify(import.meta.resolve('vecino'))};
      const semaphore = Semaphore.open(${JSON.stringify(name)});
      parentPort.postMessage('ready');
      semaphore.${call};`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
    await once(worker, 'message');
    await worker.terminate();
    semaphore.release();
    assert.equal(semaphore.value, 1);
    await semaphore.acquire();
  }
  semaphore.unlink();
});

test('Semaphore: when a process is killed its permits are gone, and those who wait go on waiting', limit, async () => {
  const name = uniqueName('semaphore');
  using semaphore = Semaphore.create(name, 2);
  const node = startScript(
    `import { Semaphore } from 'vecino';
     await Semaphore.open(process.argv[1]).acquire();
     console.log('taken');
     process.stdin.resume();`,
    [name],
  );
  await node.line();
  await node.kill();
  assert.equal(semaphore.value, 1);
  semaphore.unlink();
});

test('Semaphore: more permits than there can be are refused, and none is given', async () => {
  using own = inMemory(0x7fffffff);
  const { semaphore } = own;
  assert.throws(() => semaphore.release(), { code: 'EOVERFLOW', message: /2147483647/ });
  assert.equal(semaphore.tryAcquire(), true);
  assert.throws(() => semaphore.release(2), isSystemError('EOVERFLOW'));
  semaphore.release();
  assert.equal(semaphore.value, 0x7fffffff);
});

test('Semaphore: bad arguments are refused before anything is done', async () => {
  const name = uniqueName('semaphore');
  for (const value of [-1, 2 ** 31, Number.NaN, 1.5, 2 ** 53]) {
    assert.throws(() => Semaphore.create(name, value), { code: 'ERR_OUT_OF_RANGE' });
  }
  for (const value of [null, undefined, '1', 1n, {}]) {
    assert.throws(() => Semaphore.create(name, bad(value)), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const wrong of ['', 'a/b', 'ä', 'x'.repeat(201), '..', 'a\0b']) {
    assert.throws(() => Semaphore.create(wrong, 1), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => Semaphore.open(wrong), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => Semaphore.unlink(wrong), { code: 'ERR_INVALID_ARG_VALUE' });
  }
  for (const mode of [-1, Number.NaN, 0o10000]) {
    assert.throws(() => Semaphore.create(name, 1, { mode }), { code: 'ERR_OUT_OF_RANGE' });
  }
  assert.throws(() => Semaphore.open(name), isSystemError('ENOENT'));
  using own = inMemory(1);
  const { memory, semaphore } = own;
  for (const offset of [4, 1]) {
    assert.throws(() => Semaphore.inMemory(memory, offset, 1), { code: 'ERR_INVALID_ARG_VALUE' });
  }
  for (const offset of [-8, 4096, 4072, Number.NaN, 2 ** 53]) {
    assert.throws(() => Semaphore.inMemory(memory, offset, 1), { code: 'ERR_OUT_OF_RANGE' });
  }
  for (const wrong of [null, {}, new Int32Array(100), 5]) {
    assert.throws(() => Semaphore.inMemory(bad(wrong), 0, 1), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  assert.throws(() => Semaphore.inMemory(memory, 0, bad(null)), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => Semaphore.inMemory(memory, 0, -1), { code: 'ERR_OUT_OF_RANGE' });
  for (const count of [0, -1, Number.NaN, 2 ** 31, 1.5]) {
    assert.throws(() => semaphore.release(count), { code: 'ERR_OUT_OF_RANGE' });
  }
  for (const count of [null, '1', {}])
    assert.throws(() => semaphore.release(bad(count)), { code: 'ERR_INVALID_ARG_TYPE' });
  for (const timeout of [-1, Number.NaN]) {
    assert.throws(() => semaphore.acquireSync({ timeout }), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(semaphore.acquire({ timeout }), { code: 'ERR_OUT_OF_RANGE' });
  }
  await assert.rejects(semaphore.acquire({ signal: bad({}) }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.equal(semaphore.value, 1);
});

test('Semaphore: memory opened for reading only holds no semaphore for us', () => {
  const name = uniqueName('memory');
  using memory = SharedMemory.create(name, 4096);
  using _ = Semaphore.inMemory(memory, 0, 1);
  using readOnly = SharedMemory.open(name, { readOnly: true });
  assert.throws(() => Semaphore.inMemory(readOnly, 0), { code: 'ERR_INVALID_ARG_VALUE' });
  memory.unlink();
});

test('Semaphore: what is no semaphore is refused, whatever has its name', () => {
  const name = uniqueName('semaphore');
  const path = semaphorePath(name);
  for (const content of [new Uint8Array(0), new Uint8Array(31), new Uint8Array(32), new Uint8Array(32).fill(255)]) {
    writeFileSync(path, content);
    assert.throws(() => Semaphore.open(name), CorruptError);
    unlinkSync(path);
  }
  symlinkSync('/etc/hostname', path);
  assert.throws(() => Semaphore.open(name), isSystemError('ELOOP'));
  unlinkSync(path);
  mkdirSync(path);
  assert.throws(() => Semaphore.open(name), isSystemError('EISDIR'));
  rmdirSync(path);
  assert.equal(readdirSync('/dev/shm').includes(`sem.${name}`), false);
});

test('Semaphore: a semaphore whose file was truncated is an error, and the process lives', async () => {
  const name = uniqueName('semaphore');
  using semaphore = Semaphore.create(name, 1);
  const fd = openSync(semaphorePath(name), 'r+');
  ftruncateSync(fd, 0);
  closeSync(fd);
  assert.throws(() => semaphore.tryAcquire(), { code: 'ERR_VECINO_CORRUPT', message: /truncated/ });
  assert.throws(() => semaphore.release(), CorruptError);
  assert.throws(() => semaphore.acquireSync({ timeout: 10 }), CorruptError);
  await assert.rejects(semaphore.acquire({ timeout: 10 }), CorruptError);
  semaphore.unlink();
});

test(
  'Semaphore: random bytes over the semaphore are an error or a wrong count, never a crash or a hang',
  limit,
  async () => {
    using own = inMemory(0);
    const { semaphore, words } = own;
    const bytes = new Uint8Array(words.buffer, words.byteOffset, 32);
    const accepted = (error: unknown) =>
      error instanceof CorruptError || error instanceof TimeoutError || isSystemError('EOVERFLOW')(error);
    const attempt = (call: () => unknown) => {
      try {
        call();
      } catch (error) {
        assert.ok(accepted(error), String(error));
      }
    };
    for (let i = 0; i < 500; i++) {
      const pending = semaphore.acquire({ timeout: 3 }).catch((error) => assert.ok(accepted(error), String(error)));
      // All words, or only those that can be in the way of the checks.
      for (let k = i % 3 === 0 ? 8 : 0; k < 32; k++) {
        if (k < 8 || i % 2 === 0) bytes[k] = Math.random() * 256;
      }
      attempt(() => semaphore.tryAcquire());
      attempt(() => semaphore.release());
      attempt(() => semaphore.release(1000));
      attempt(() => semaphore.acquireSync({ timeout: 1 }));
      attempt(() => semaphore.value);
      await pending;
      Semaphore.inMemory(own.memory, 64, 0).close();
    }
  },
);

test('Semaphore: two programs with many turns each count exactly, each voice with the others', limit, async () => {
  const name = uniqueName('semaphore');
  using semaphore = Semaphore.create(name, 1);
  using memory = SharedMemory.create(name, 4096);
  const source = `
    import { Semaphore, SharedMemory } from 'vecino';
    const [, name, voice] = process.argv;
    const semaphore = Semaphore.open(name);
    const words = new Int32Array(SharedMemory.open(name).buffer);
    for (let i = 0; i < 10_000; i++) {
      if (voice === 'async') await semaphore.acquire();
      else if (voice === 'sync') semaphore.acquireSync();
      else while (!semaphore.tryAcquire());
      words[0]++;
      semaphore.release();
    }`;
  await Promise.all(['async', 'sync', 'async', 'try'].map((voice) => runScript(source, [name, voice])));
  assert.equal(new Int32Array(memory.buffer)[0], 40_000);
  assert.equal(semaphore.value, 1);
  semaphore.unlink();
  memory.unlink();
});

test('Semaphore: a program that only takes and gives permits still lets its timers run', async () => {
  using own = inMemory(1);
  let fired = false;
  setTimeout(() => {
    fired = true;
  }, 1);
  while (!fired) {
    await own.semaphore.acquire();
    own.semaphore.release();
  }
});

test('Semaphore: where the layout of sem_t is not known, all goes through the C library', limit, async () => {
  layout.known = false;
  try {
    const name = uniqueName('semaphore');
    using semaphore = Semaphore.create(name, 2);
    assert.deepEqual([semaphore.tryAcquire(), semaphore.tryAcquire(), semaphore.tryAcquire()], [true, true, false]);
    assert.throws(() => semaphore.acquireSync({ timeout: 5 }), TimeoutError);
    await assert.rejects(semaphore.acquire({ timeout: 5 }), TimeoutError);
    const wait = semaphore.acquire();
    const c = start(peer, ['open', name]);
    await c.line();
    await ask(c, 'p');
    await wait;
    semaphore.release(3);
    assert.equal(semaphore.value, 3);
    semaphore.acquireSync();
    await semaphore.acquire();
    assert.equal(await ask(c, 't'), 'taken');
    const taken = ask(c, 'w');
    semaphore.release();
    assert.equal(await taken, 'taken');
    c.write('p\n');
    semaphore.acquireSync({ timeout: 10_000 });
    const controller = new AbortController();
    const aborted = assert.rejects(semaphore.acquire({ signal: controller.signal }));
    controller.abort();
    await aborted;
    const closed = assert.rejects(semaphore.acquire(), ClosedError);
    await c.kill();
    semaphore.unlink();
    semaphore.close();
    await closed;
  } finally {
    layout.known = true;
  }
});

test('Semaphore: options that are none are refused in every voice', async () => {
  const name = uniqueName('semaphore');
  for (const options of [null, 5, 'soon', () => {}] as unknown as object[]) {
    assert.throws(() => Semaphore.create(name, 1, options), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  using permits = Semaphore.create(name, 1);
  permits.unlink();
  for (const options of [null, 5, 'soon', () => {}] as unknown as object[]) {
    assert.throws(() => permits.acquireSync(options), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(permits.acquire(options), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  assert.equal(permits.value, 1);
});
