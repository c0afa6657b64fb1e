import '../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  Barrier,
  ClosedError,
  Condition,
  CorruptError,
  Mutex,
  RwLock,
  Semaphore,
  SharedMemory,
  SystemError,
  SysVSharedMemory,
} from 'vecino';
import { constants, fcntl, ftruncate, memfdCreate } from 'vecino/system';
import { compile, runScript, start, startScript, temporaryFolder, uniqueName } from '../support/processes.js';

const isSystemError = (code: string) => (error: unknown) => error instanceof SystemError && error.code === code;
const isCorrupt = (text: RegExp) => (error: unknown) => error instanceof CorruptError && text.test(error.message);

test('SharedMemory: what one process writes another one sees, by name, both ways', async () => {
  const name = uniqueName();
  using memory = SharedMemory.create(name, 4096);
  const words = new Int32Array(memory.buffer);
  words[0] = 41;
  const output = await runScript(
    `import { SharedMemory } from 'vecino';
     const memory = SharedMemory.open(process.argv[1]);
     const words = new Int32Array(memory.buffer);
     console.log(words[0], memory.size);
     words[1] = words[0] + 1;`,
    [name],
  );
  assert.equal(output, '41 4096\n');
  assert.equal(words[1], 42);
  assert.equal(memory.unlink(), true);
});

test('SharedMemory: a new segment is zeroed, has exactly its size and mode whatever the umask, and its pages are reserved', () => {
  const name = uniqueName();
  const umask = process.umask(0o077);
  try {
    using memory = SharedMemory.create(`/${name}`, 10_000, { mode: 0o640 });
    const status = statSync(`/dev/shm/${name}`);
    assert.equal(status.mode & 0o777, 0o640);
    assert.equal(status.size, 10_000);
    assert.ok(status.blocks * 512 >= 10_000);
    assert.equal(memory.name, name);
    assert.equal(memory.buffer.byteLength, 10_000);
    assert.ok(new Uint8Array(memory.buffer).every((byte) => byte === 0));
    using other = SharedMemory.create(`${name}-b`, 1);
    assert.equal(statSync(`/dev/shm/${name}-b`).mode & 0o777, 0o600);
    other.unlink();
  } finally {
    process.umask(umask);
    SharedMemory.unlink(name);
  }
});

test('SharedMemory: a segment that exists is not created, one that is missing is neither opened nor unlinked', () => {
  const name = uniqueName();
  using memory = SharedMemory.create(name, 1);
  assert.throws(() => SharedMemory.create(name, 1), isSystemError('EEXIST'));
  assert.equal(memory.unlink(), true);
  assert.equal(memory.unlink(), false);
  assert.equal(SharedMemory.unlink(name), false);
  assert.throws(() => SharedMemory.open(name), isSystemError('ENOENT'));
});

test('SharedMemory: names that could leave the folder, and empty ones, are refused before any system call', () => {
  for (const name of ['', '/', '.', '..', '/../etc', 'a/b', '/../', '/a/../b', 'a\0b', 'ñ', 'x'.repeat(201), ' a']) {
    for (const call of [
      () => SharedMemory.create(name, 1),
      () => SharedMemory.open(name),
      () => SharedMemory.unlink(name),
    ]) {
      assert.throws(
        call,
        (error) => error instanceof TypeError && 'code' in error && error.code === 'ERR_INVALID_ARG_VALUE',
        name,
      );
    }
  }
  assert.throws(() => SharedMemory.open(7 as unknown as string), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
});

test('SharedMemory: a size of 0, negative, NaN, fractional or beyond /dev/shm is refused and leaves nothing', () => {
  const name = uniqueName();
  for (const size of [0, -1, Number.NaN, 1.5, Number.POSITIVE_INFINITY, 2 ** 53]) {
    assert.throws(() => SharedMemory.create(name, size), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => SharedMemory.anonymous(size), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
  }
  assert.throws(() => SharedMemory.create(name, '1' as unknown as number), {
    name: 'TypeError',
    code: 'ERR_INVALID_ARG_TYPE',
  });
  assert.throws(() => SharedMemory.create(name, 2 ** 46), isSystemError('ENOSPC'));
  assert.throws(() => SharedMemory.anonymous(2 ** 46), isSystemError('ENOMEM'));
  assert.throws(() => SharedMemory.create(name, 1, { mode: -1 }), { name: 'RangeError' });
  assert.ok(!readdirSync('/dev/shm').includes(name));
});

test('SharedMemory: a segment of another user is refused with EACCES, and cannot be unlinked', async () => {
  const name = uniqueName();
  using memory = SharedMemory.create(name, 1);
  const output = await runScript(
    `import { SharedMemory } from 'vecino';
     if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534); }
     for (const call of [() => SharedMemory.open(process.argv[1]), () => SharedMemory.open(process.argv[1], { readOnly: true }), () => SharedMemory.unlink(process.argv[1])]) {
       try { call(); console.log('allowed'); } catch (error) { console.log(error.name, error.code); }
     }`,
    [name],
  );
  if (process.getuid!() === 0)
    assert.match(output, /^SystemError EACCES\nSystemError EACCES\nSystemError (EPERM|EACCES)\n$/);
  memory.unlink();
});

test('SharedMemory: a view used after close() is empty, and the object says that it is closed', () => {
  const memory = SharedMemory.anonymous(4096);
  const bytes = new Uint8Array(memory.buffer);
  bytes[0] = 1;
  memory.close();
  memory.close();
  assert.equal(bytes.length, 0);
  assert.equal(bytes[0], undefined);
  bytes[0] = 2; // goes nowhere
  assert.throws(() => memory.buffer, ClosedError);
  assert.throws(() => memory.fd, ClosedError);
  assert.throws(() => memory.check(), ClosedError);
});

test('SharedMemory: a buffer that was moved to another object or a worker outlives close(); where Node refuses to move it, it stays', async () => {
  const output = await runScript(
    `import { Worker } from 'node:worker_threads';
     import { SharedMemory } from 'vecino';
     const refused = (error) => error.name === 'DataCloneError' || error instanceof TypeError;
     const move = (memory) => structuredClone(memory.buffer, { transfer: [memory.buffer] });
     for (const how of [move, (memory) => memory.buffer.transfer?.() ?? move(memory)]) {
       const memory = SharedMemory.anonymous(4096);
       const bytes = new Uint8Array(memory.buffer);
       bytes[1] = 5;
       let moved = bytes;
       try {
         moved = new Uint8Array(how(memory));
         memory.close();
       } catch (error) {
         if (!refused(error)) throw error;
       }
       moved[0] = 7;
       console.log(moved[0], moved[1]);
       memory.close();
     }
     const memory = SharedMemory.anonymous(4096);
     const source = "import { parentPort } from 'node:worker_threads';" +
       "parentPort.once('message', (buffer) => { new Uint8Array(buffer)[0] = 1; parentPort.postMessage(new Uint8Array(buffer)[0]); });";
     const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source)));
     worker.once('message', (value) => console.log(value));
     try {
       worker.postMessage(memory.buffer, [memory.buffer]);
     } catch (error) {
       if (!refused(error)) throw error;
       worker.postMessage(new ArrayBuffer(1));
     }
     memory.close();`,
  );
  assert.equal(output, '7 5\n7 5\n1\n');
});

test('SharedMemory: a segment truncated to nothing while it is mapped costs its bytes, not the process', async () => {
  const name = uniqueName();
  using memory = SharedMemory.create(name, 64 * 1024);
  const words = new Int32Array(memory.buffer);
  words.fill(5);
  await runScript(`import { truncateSync } from 'node:fs'; truncateSync('/dev/shm/' + process.argv[1], 0);`, [name]);
  assert.equal(words[100], 0);
  words[100] = 1;
  assert.equal(Atomics.add(words, 101, 1), 0);
  assert.throws(() => memory.buffer, isCorrupt(/truncated by another process/));
  assert.throws(() => memory.check(), isCorrupt(/truncated/));
  memory.unlink();
});

test('SharedMemory: a truncation is survived in several workers at once, and in a system call that reads the memory', async () => {
  const name = uniqueName();
  using memory = SharedMemory.create(name, 1 << 20);
  const source = `
    import { workerData, parentPort } from 'node:worker_threads';
    import { SharedMemory } from ${JSON.stringify(import.meta.resolve('vecino'))};
    import { write, pipe2, close } from ${JSON.stringify(import.meta.resolve('vecino/system'))};
    const memory = SharedMemory.open(workerData);
    const bytes = new Uint8Array(memory.buffer);
    parentPort.postMessage('ready');
    parentPort.once('message', () => {
      const [reader, writer] = pipe2();
      let code = 'none';
      try { write(writer, bytes, 1000, 100); } catch (error) { code = error.code; }
      let sum = 0;
      for (const byte of bytes) sum += byte;
      let thrown = 'none';
      try { memory.check(); } catch (error) { thrown = error.code; }
      close(reader); close(writer); memory.close();
      parentPort.postMessage([code, sum, thrown]);
    });`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const workers = Array.from({ length: 3 }, () => new Worker(url, { workerData: name }));
  const message = (worker: Worker) => new Promise((resolve) => worker.once('message', resolve));
  await Promise.all(workers.map(message));
  truncateSync(`/dev/shm/${name}`, 0);
  const answers = workers.map(message);
  for (const worker of workers) worker.postMessage('go');
  for (const answer of await Promise.all(answers)) assert.deepEqual(answer, ['EFAULT', 0, 'ERR_VECINO_CORRUPT']);
  await Promise.all(workers.map((worker) => worker.terminate()));
  memory.unlink();
});

test('SharedMemory: a fault that is not in a mapping still ends the process as it always did', async () => {
  const program = `
    import { SharedMemory } from 'vecino';
    SharedMemory.anonymous(1);
    process.kill(process.pid, process.argv[1]);
    setInterval(() => {}, 1000);`;
  for (const name of ['SIGSEGV', 'SIGBUS'] as const) {
    const { signal } = await startScript(program, [name]).ended;
    assert.equal(signal, name);
  }
});

test('SharedMemory: a read-only segment shows what others write; writing to it reaches nobody and is reported', () => {
  const name = uniqueName();
  using memory = SharedMemory.create(name, 8192);
  using readOnly = SharedMemory.open(name, { readOnly: true });
  memory.unlink();
  const mine = new Uint8Array(memory.buffer);
  const theirs = new Uint8Array(readOnly.buffer);
  assert.equal(theirs[1], 0);
  mine[1] = 1;
  assert.equal(theirs[1], 1);
  readOnly.check();
  theirs[4096] = 9;
  assert.equal(mine[4096], 0);
  assert.throws(() => readOnly.buffer, isCorrupt(/mapped read-only/));
  memory.check();
});

test('SharedMemory: an anonymous segment reaches another process through its descriptor, sealed', async () => {
  using memory = SharedMemory.anonymous(4096);
  assert.equal(memory.name, null);
  assert.equal(memory.unlink(), false);
  const child = startScript(
    `import { SharedMemory } from 'vecino';
     const memory = SharedMemory.fromFd(3, { size: 4096 });
     new Uint8Array(memory.buffer)[0] = 7;
     console.log(memory.size);`,
    [],
    { stdio: ['ignore', 'pipe', 'inherit', memory.fd] },
  );
  assert.equal((await child.ended).stdout, '4096\n');
  assert.equal(new Uint8Array(memory.buffer)[0], 7);
  assert.throws(() => ftruncate(memory.fd, 0), isSystemError('EPERM'));
  assert.throws(() => ftruncate(memory.fd, 8192), isSystemError('EPERM'));
  assert.throws(() => fcntl(memory.fd, constants['F_ADD_SEALS']!, constants['F_SEAL_WRITE']!), isSystemError('EPERM'));
});

test('SharedMemory: a descriptor that is no memfd, is not sealed, is smaller than claimed or is none is refused, and stays open', () => {
  const folder = temporaryFolder();
  const file = openSync(join(folder, 'file'), 'w+');
  writeFileSync(file, 'x'.repeat(4096));
  assert.throws(() => SharedMemory.fromFd(file), isCorrupt(/not a memfd|not sealed/));
  const zero = openSync('/dev/zero', 'r+');
  assert.throws(() => SharedMemory.fromFd(zero), isCorrupt(/not a file that can be mapped/));
  const unsealed = memfdCreate('unsealed', constants['MFD_ALLOW_SEALING']!);
  ftruncate(unsealed, 4096);
  assert.throws(() => SharedMemory.fromFd(unsealed), isCorrupt(/not sealed/));
  fcntl(unsealed, constants['F_ADD_SEALS']!, constants['F_SEAL_SHRINK']!);
  assert.throws(() => SharedMemory.fromFd(unsealed), isCorrupt(/not sealed/));
  fcntl(unsealed, constants['F_ADD_SEALS']!, constants['F_SEAL_GROW']!);
  using memory = SharedMemory.fromFd(unsealed);
  assert.equal(memory.size, 4096);
  assert.throws(() => SharedMemory.fromFd(unsealed, { size: 4097 }), isCorrupt(/4096 bytes.*4097/));
  const empty = memfdCreate('empty', constants['MFD_ALLOW_SEALING']!);
  fcntl(empty, constants['F_ADD_SEALS']!, constants['F_SEAL_SHRINK']! | constants['F_SEAL_GROW']!);
  assert.throws(() => SharedMemory.fromFd(empty), isCorrupt(/0 bytes/));
  for (const fd of [file, zero, unsealed, empty]) closeSync(fd); // still open
  assert.throws(() => SharedMemory.fromFd(unsealed), isSystemError('EBADF'));
  assert.throws(() => SharedMemory.fromFd(-1), { code: 'ERR_OUT_OF_RANGE' });
});

test('Shared memory: locks are made in it before it has its name, by `initialize`', async () => {
  const name = uniqueName();
  let seen: SharedMemory | undefined;
  let mutex: Mutex | undefined;
  using memory = SharedMemory.create(name, 32768, {
    initialize(memory) {
      assert.throws(() => SharedMemory.open(name), isSystemError('ENOENT'));
      seen = memory;
      mutex = Mutex.create(memory, 0);
      RwLock.create(memory, 8192);
      Condition.create(memory, 64);
      Barrier.create(memory, 16384, 2);
      Semaphore.inMemory(memory, 512, 1);
      new Int32Array(memory.buffer)[1000] = 7;
    },
  });
  assert.equal(seen, memory);
  const output = await runScript(
    `import { Barrier, Condition, Mutex, RwLock, Semaphore, SharedMemory } from 'vecino';
     const memory = SharedMemory.open(process.argv[1]);
     Mutex.at(memory, 0).lockSync().release();
     RwLock.at(memory, 8192).writeSync().release();
     Condition.at(memory, 64);
     Barrier.at(memory, 16384);
     console.log(Semaphore.inMemory(memory, 512).tryAcquire(), new Int32Array(memory.buffer)[1000]);`,
    [name],
  );
  assert.equal(output, 'true 7\n');
  mutex!.lockSync().release(); // what was made in it goes on
  memory.unlink();
});

test('Shared memory: what `initialize` throws is thrown, and nothing is left, also if it has closed the memory', () => {
  const name = uniqueName();
  const fails = (initialize: (memory: SharedMemory) => void) => SharedMemory.create(name, 4096, { initialize });
  assert.throws(
    () =>
      fails((memory) => {
        Mutex.create(memory);
        throw new RangeError('no');
      }),
    RangeError,
  );
  assert.throws(() => fails((memory) => memory.close()), ClosedError);
  assert.throws(() => SharedMemory.open(name), isSystemError('ENOENT'));
});

test('SharedMemory: a segment that its creator has not sized yet is reported, not mapped', () => {
  const name = uniqueName();
  closeSync(openSync(`/dev/shm/${name}`, 'wx'));
  assert.throws(() => SharedMemory.open(name), isCorrupt(/has no size/));
  SharedMemory.unlink(name);
});

test('SharedMemory: killed at any moment, a creator leaves a whole segment or none', async () => {
  const program = `
    import { SharedMemory } from 'vecino';
    console.log('ready');
    for (;;) for (let i = 0; i < 50; i++) SharedMemory.create(process.argv[1] + i, 65536 + i).close(), SharedMemory.unlink(process.argv[1] + i);`;
  for (let round = 0; round < 6; round++) {
    const name = uniqueName('kill');
    const child = startScript(program, [name]);
    await child.line();
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20)); // at any moment
    await child.kill();
    for (const found of readdirSync('/dev/shm').filter((entry) => entry.startsWith(name))) {
      using memory = SharedMemory.open(found);
      assert.equal(memory.size, 65536 + Number(found.slice(name.length)));
      memory.unlink();
    }
  }
});

test('SharedMemory: a dropped segment gives its descriptor and its memory back', async () => {
  const output = await runScript(
    `import { readdirSync } from 'node:fs';
     import { setFlagsFromString } from 'node:v8';
     import { runInNewContext } from 'node:vm';
     import { SharedMemory } from 'vecino';
     import { native } from '#src/system/native.js';
     setFlagsFromString('--expose-gc');
     const gc = runInNewContext('gc');
     void process.stderr; // the warning opens it
     const before = readdirSync('/proc/self/fd').length;
     (() => { for (let i = 0; i < 10; i++) new Uint8Array(SharedMemory.anonymous(4096).buffer)[0] = 1; })();
     while (native.mappingCount() > 0 || readdirSync('/proc/self/fd').length > before) {
       gc();
       await new Promise((resolve) => setImmediate(resolve));
     }
     console.log('given back');`,
  );
  assert.equal(output, 'given back\n');
});

test('SharedMemory: a dropped segment whose descriptor was closed by others closes nothing of theirs', async () => {
  const output = await runScript(
    `import { closeSync, fstatSync, openSync } from 'node:fs';
     import { setFlagsFromString } from 'node:v8';
     import { runInNewContext } from 'node:vm';
     import { SharedMemory } from 'vecino';
     import { native } from '#src/system/native.js';
     setFlagsFromString('--expose-gc');
     const gc = runInNewContext('gc');
     const fds = (() => Array.from({ length: 10 }, () => SharedMemory.anonymous(4096).fd))();
     for (const fd of fds) closeSync(fd);
     // Some of the numbers are used again, some are not.
     const mine = [openSync('/dev/null'), openSync('/dev/null')];
     while (native.mappingCount() > 0) {
       gc();
       await new Promise((resolve) => setImmediate(resolve));
     }
     for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
     for (const fd of mine) fstatSync(fd);
     console.log(mine.every((fd) => fds.includes(fd)));`,
  );
  assert.equal(output, 'true\n');
});

test('SharedMemory: options that are none are refused, and none of them is taken for false', () => {
  const name = uniqueName();
  // biome-ignore lint/suspicious/noExplicitAny: what callers without types may pass
  type Wrong = any;
  const TYPE = { code: 'ERR_INVALID_ARG_TYPE' };
  for (const options of [null, 5, 'x', () => {}] as Wrong[]) {
    assert.throws(() => SharedMemory.create(name, 4096, options), TYPE);
    assert.throws(() => SharedMemory.open(name, options), TYPE);
    assert.throws(() => SharedMemory.fromFd(0, options), TYPE);
    assert.throws(() => SysVSharedMemory.create('private', 4096, options), TYPE);
  }
  for (const readOnly of ['yes', 1, {}] as Wrong[]) {
    assert.throws(() => SharedMemory.open(name, { readOnly }), TYPE);
    assert.throws(() => SharedMemory.fromFd(0, { readOnly }), TYPE);
  }
  assert.throws(() => SharedMemory.create(name, 4096, { mode: '600' as Wrong }), TYPE);
  assert.equal(SharedMemory.unlink(name), false);
});

test('SharedMemory: Python reads and writes a segment of ours with its standard library, and we one of its', async () => {
  const name = uniqueName();
  using memory = SharedMemory.create(name, 4096);
  const bytes = new Uint8Array(memory.buffer);
  bytes.set([1, 2, 3]);
  // Python's resource tracker would unlink a segment that it did not create; that is its bug 82300.
  const opened = execFileSync('python3', [
    '-c',
    `import sys
from multiprocessing import resource_tracker, shared_memory
resource_tracker.register = lambda *a: None
m = shared_memory.SharedMemory(sys.argv[1])
print(list(m.buf[:3]), m.size)
m.buf[3] = 4
m.close()`,
    name,
  ]);
  assert.equal(String(opened), '[1, 2, 3] 4096\n');
  assert.equal(bytes[3], 4);
  memory.unlink();

  const theirs = `${name}-python`;
  const python = start('python3', [
    '-c',
    `import sys
from multiprocessing import shared_memory
m = shared_memory.SharedMemory(sys.argv[1], create=True, size=4096)
m.buf[:5] = b'hello'
print('ready', flush=True)
sys.stdin.readline()
print(bytes(m.buf[:5]).decode(), flush=True)
m.close()
m.unlink()`,
    theirs,
  ]);
  assert.equal(await python.line(), 'ready');
  {
    using opened = SharedMemory.open(theirs);
    const view = new Uint8Array(opened.buffer);
    assert.equal(new TextDecoder().decode(view.slice(0, 5)), 'hello');
    view.set(new TextEncoder().encode('world'));
  }
  python.write('\n');
  assert.equal(await python.line(), 'world');
  assert.equal((await python.ended).code, 0);
});

test('SharedMemory: a C program and vecino exchange data through a named segment, both directions', async () => {
  const folder = temporaryFolder();
  const program = compile(
    folder,
    'peer',
    `#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
  int create = !strcmp(argv[1], "create"), fd = shm_open(argv[2], O_RDWR | (create ? O_CREAT | O_EXCL : 0), 0600);
  if (fd < 0 || (create && ftruncate(fd, 8192))) return 1;
  struct stat s; fstat(fd, &s);
  _Atomic int *words = mmap(0, s.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (create) words[0] = 1000;
  printf("%d %d\\n", (int)s.st_size, (int)words[0]); fflush(stdout);
  getchar();
  atomic_fetch_add(&words[1], 5);
  printf("%d\\n", (int)words[0]);
  return 0;
}`,
  );
  const name = uniqueName();
  using memory = SharedMemory.create(name, 4096);
  const words = new Int32Array(memory.buffer);
  words[0] = 7;
  const opener = start(program, ['open', `/${name}`]);
  assert.equal(await opener.line(), '4096 7');
  Atomics.store(words, 0, 8);
  opener.write('\n');
  assert.equal(await opener.line(), '8');
  assert.equal(Atomics.load(words, 1), 5);
  await opener.ended;
  memory.unlink();

  const creator = start(program, ['create', `/${name}-c`]);
  assert.equal(await creator.line(), '8192 1000');
  using theirs = SharedMemory.open(`${name}-c`);
  const view = new Int32Array(theirs.buffer);
  Atomics.store(view, 0, 1001);
  creator.write('\n');
  assert.equal(await creator.line(), '1001');
  await creator.ended;
  assert.equal(view[1], 5);
  theirs.unlink();
});
