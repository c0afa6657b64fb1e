import '../support/leaks.js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ClosedError, type FileGuard, FileLock, SystemError, TimeoutError } from 'vecino';
import { mkfifo } from 'vecino/system';
import { compile, root, runScript, start, startScript, temporaryFolder } from '../support/processes.js';
import { asleep } from '../support/tasks.js';

const folder = temporaryFolder();
let files = 0;
const fresh = () => join(folder, `lock-${files++}`);
const isSystemError = (code: string) => (error: unknown) => error instanceof SystemError && error.code === code;
const bad = <T>(value: unknown) => value as T;

/** Two locks on one file. */
function two(): [FileLock, FileLock] {
  const path = fresh();
  return [FileLock.open(path, { create: true }), FileLock.open(path)];
}
/** Locks from another process: says `got KIND`, releases at the next line of input. */
const holder = `
  import { FileLock } from 'vecino';
  const [, path, kind, begin, length] = process.argv;
  const lock = FileLock.open(path);
  const guard = lock[kind + 'Sync']({ start: Number(begin), length: Number(length) });
  console.log('got ' + kind);
  process.stdin.once('data', () => { guard.release(); console.log('released'); process.exit(); });`;

test('FileLock: an exclusive lock keeps everybody else out, in this process and in others', async () => {
  const [mine, theirs] = two();
  const guard = mine.exclusiveSync();
  assert.deepEqual([guard.kind, guard.start, guard.end], ['exclusive', 0, Number.POSITIVE_INFINITY]);
  assert.deepEqual([guard.held, guard.ownerDied], [true, false]);
  assert.equal(theirs.tryExclusive(), null);
  assert.equal(theirs.tryShared(), null);
  const other = startScript(holder, [mine.path, 'exclusive', '0', '0']);
  const got = other.line();
  guard.markConsistent();
  guard.release();
  assert.throws(() => guard.release(), isSystemError('EPERM'));
  guard[Symbol.dispose]();
  assert.equal(guard.held, false);
  assert.equal(await got, 'got exclusive');
  assert.equal(mine.tryShared(), null);
  other.write('\n');
  const shared = await mine.shared();
  shared.release();
  await other.ended;
  mine.close();
  theirs.close();
});

test('FileLock: shared locks overlap; an exclusive one waits until all of them are gone', async () => {
  const [mine, theirs] = two();
  const first = await mine.shared();
  const second = await theirs.shared();
  const third = theirs.tryShared()!; // of the same object: each is its own
  assert.equal(mine.tryExclusive(), null);
  let had = false;
  const waiting = mine.exclusive().then((guard) => {
    had = true;
    return guard;
  });
  first.release();
  second.release();
  assert.equal(theirs.tryExclusive(), null);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(had, false);
  third.release();
  (await waiting).release();
  mine.close();
  theirs.close();
});

test('FileLock: ranges that do not overlap do not matter to each other, and a range without a length reaches past the end', () => {
  const [mine, theirs] = two();
  using first = mine.exclusiveSync({ start: 0, length: 10 });
  using second = theirs.exclusiveSync({ start: 10, length: 10 });
  assert.equal(mine.tryShared({ start: 15, length: 1 }), null);
  assert.equal(theirs.tryShared({ start: 9, length: 1 }), null);
  assert.notEqual(mine.tryShared({ start: 20, length: 5 }), null);
  using rest = theirs.tryExclusive({ start: 1e12 })!;
  assert.equal(mine.tryShared({ start: 2 ** 52, length: 1 }), null);
  assert.deepEqual([first.start, first.end, second.start, second.end], [0, 10, 10, 20]);
  assert.equal(rest.end, Number.POSITIVE_INFINITY);
  mine.close();
  theirs.close();
});

test('FileLock: releasing one of two overlapping shared locks of an object unlocks only what the other does not cover', () => {
  const [mine, theirs] = two();
  const left = mine.tryShared({ start: 0, length: 10 })!;
  const right = mine.tryShared({ start: 5, length: 10 })!;
  left.release();
  theirs.tryExclusive({ start: 0, length: 5 })!.release();
  assert.equal(theirs.tryExclusive({ start: 5, length: 1 }), null);
  assert.equal(theirs.tryExclusive({ start: 9, length: 1 }), null);
  right.release();
  theirs.tryExclusive()!.release();
  mine.close();
  theirs.close();
});

test('FileLock: one object serves those who wait in the order in which they came', async () => {
  const [mine, theirs] = two();
  const guard = theirs.exclusiveSync();
  const order: string[] = [];
  const waits = [
    ['first', mine.exclusive()],
    ['second', mine.shared()],
    ['third', mine.shared()],
    ['fourth', mine.exclusive({ start: 3, length: 1 })],
  ].map(async ([name, wait]) => {
    using _ = await (wait as Promise<FileGuard>);
    order.push(name as string);
    if (name === 'second') await new Promise((resolve) => setImmediate(resolve));
  });
  assert.equal(mine.tryShared(), null);
  guard.release();
  await Promise.all(waits);
  assert.deepEqual(order, ['first', 'second', 'third', 'fourth']);
  mine.tryExclusive()!.release();
  mine.close();
  theirs.close();
});

test('FileLock: the synchronous voice refuses what would lock the thread up for ever', async () => {
  const [mine, theirs] = two();
  const guard = mine.exclusiveSync({ length: 10 });
  assert.throws(() => mine.exclusiveSync(), isSystemError('EDEADLK'));
  assert.throws(() => mine.sharedSync({ start: 9 }), isSystemError('EDEADLK'));
  assert.throws(() => theirs.exclusiveSync({ timeout: 10 }), TimeoutError);
  assert.throws(() => theirs.exclusiveSync({ timeout: 0 }), TimeoutError);
  guard.release();
  theirs.exclusiveSync({ timeout: 0 }).release();
  // Those who wait asynchronously through this object let the synchronous voice go first, and lose nothing.
  const blocker = theirs.sharedSync({ start: 100 });
  const waiting = mine.exclusive();
  assert.throws(() => mine.exclusiveSync({ timeout: 5 }), TimeoutError);
  mine.sharedSync({ start: 100, length: 1 }).release();
  blocker.release();
  const got = await waiting;
  assert.equal(theirs.tryShared(), null);
  got.release();
  mine.close();
  theirs.close();
});

test('FileLock: a time-out or an abort leaves nothing locked and nobody stuck', async () => {
  const [mine, theirs] = two();
  const guard = theirs.exclusiveSync();
  const reason = new Error('enough');
  await assert.rejects(mine.exclusive({ signal: AbortSignal.abort(reason) }), reason);
  await assert.rejects(mine.exclusive({ timeout: 0 }), TimeoutError);
  const controller = new AbortController();
  const waits = [
    assert.rejects(mine.exclusive({ timeout: 15 }), TimeoutError),
    assert.rejects(mine.shared({ signal: controller.signal }), reason),
    assert.rejects(mine.exclusive({ signal: controller.signal, timeout: 60_000 }), reason),
  ];
  const last = mine.shared();
  setImmediate(() => controller.abort(reason));
  await Promise.all(waits);
  guard.release();
  (await last).release();
  theirs.tryExclusive()!.release();
  mine.close();
  theirs.close();
});

test('FileLock: aborts at the very moment of the release leave the lock with its owner or free, never lost', async () => {
  const [mine, theirs] = two();
  for (let i = 0; i < 200; i++) {
    const guard = theirs.exclusiveSync();
    const controller = new AbortController();
    const waiting = mine.exclusive({ signal: controller.signal });
    if (i % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
    guard.release();
    if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    controller.abort('enough');
    await waiting.then(
      (got) => got.release(),
      (error) => assert.equal(error, 'enough'),
    );
    theirs.tryExclusive()!.release();
  }
  mine.close();
  theirs.close();
});

test('FileLock: a shared lock becomes exclusive if it is alone, and an exclusive one shared, in one step', async () => {
  const [mine, theirs] = two();
  const guard = mine.sharedSync();
  const other = theirs.sharedSync({ start: 5, length: 1 });
  assert.equal(guard.tryUpgrade(), false);
  assert.equal(guard.kind, 'shared');
  other.release();
  const own = mine.tryShared({ length: 1 })!;
  assert.equal(guard.tryUpgrade(), false);
  own.release();
  assert.equal(guard.tryUpgrade(), true);
  assert.equal(guard.tryUpgrade(), true);
  assert.equal(guard.kind, 'exclusive');
  assert.equal(theirs.tryShared(), null);
  const waiting = [theirs.shared(), mine.shared()];
  guard.downgrade();
  for (const got of await Promise.all(waiting)) got.release();
  assert.equal(theirs.tryExclusive(), null);
  guard.release();
  assert.throws(() => guard.downgrade(), isSystemError('EPERM'));
  assert.throws(() => guard.tryUpgrade(), isSystemError('EPERM'));
  mine.close();
  theirs.close();
});

test('FileLock: close() releases what is held and ends what waits; everything after it is refused', async () => {
  const [mine, theirs] = two();
  const guard = mine.exclusiveSync({ length: 1 });
  const blocker = theirs.exclusiveSync({ start: 5 });
  const waits = [mine.exclusive(), mine.shared({ length: 1 })].map((wait) => assert.rejects(wait, ClosedError));
  mine.close();
  mine.close();
  await Promise.all(waits);
  assert.equal(guard.held, false);
  guard.release();
  assert.throws(() => guard.tryUpgrade(), ClosedError);
  theirs.tryExclusive({ length: 1 })!.release();
  await assert.rejects(mine.shared(), ClosedError);
  assert.throws(() => mine.tryShared(), ClosedError);
  assert.throws(() => mine.sharedSync(), ClosedError);
  blocker.release();
  theirs.close();
  await using disposed = FileLock.open(mine.path);
  await disposed.exclusive();
});

test('FileLock: ten waits keep neither the file system calls of the program back nor, once unwanted, its end', async () => {
  const path = fresh();
  using lock = FileLock.open(path, { create: true });
  const guard = lock.exclusiveSync();
  const waits = Array.from({ length: 10 }, () => FileLock.open(path));
  const promises = waits.map((wait) => assert.rejects(wait.exclusive(), ClosedError));
  assert.match(await readFile('/proc/self/comm', 'utf8'), /\S/);
  for (const wait of waits) wait.close();
  await Promise.all(promises);
  const outcome = await startScript(
    `import { FileLock } from 'vecino';
     const locks = Array.from({ length: 10 }, () => FileLock.open(process.argv[1]));
     const waits = locks.map((lock) => lock.exclusive());
     const timer = setTimeout(() => { console.log('waiting'); process.exit(0); }, 20);`,
    [path],
  ).ended;
  assert.deepEqual([outcome.code, outcome.stdout, outcome.stderr], [0, 'waiting\n', '']);
  guard.release();
});

test('FileLock: a thousand calls at once are all served, one after the other, by one thread', async () => {
  const [mine, theirs] = two();
  const guard = theirs.exclusiveSync();
  let inside = 0;
  const all = Array.from({ length: 1000 }, async () => {
    using _ = await mine.exclusive();
    assert.equal(++inside, 1);
    await null;
    inside--;
  });
  assert.ok(readdirSync('/proc/self/task').length < 100);
  guard.release();
  await Promise.all(all);
  mine.close();
  theirs.close();
});

test('FileLock: a program that only locks and unlocks still lets its timers run', async () => {
  const [mine, theirs] = two();
  let fired = false;
  setTimeout(() => {
    fired = true;
  }, 1);
  while (!fired) (await mine.exclusive()).release();
  mine.close();
  theirs.close();
});

test('FileLock: the kernel gives the lock of a killed process to the next', { timeout: 60_000 }, async () => {
  using lock = FileLock.open(fresh(), { create: true });
  const other = startScript(holder, [lock.path, 'exclusive', '0', '0']);
  await other.line();
  const waiting = lock.exclusive();
  await other.kill();
  (await waiting).release();
});

test('FileLock: a lock whose guard nobody keeps is held until the process ends; the collector does not release it', async () => {
  const path = fresh();
  const holder = start(
    process.execPath,
    [
      '--expose-gc',
      '--input-type=module',
      '--eval',
      `import { FileLock } from 'vecino/sync';
     FileLock.open(process.argv[1], { create: true }).exclusiveSync();
     for (let i = 0; i < 5; i++) {
       gc();
       await new Promise(setImmediate);
     }
     console.log('collected');
     process.stdin.resume();`,
      '--',
      path,
    ],
    { cwd: root },
  );
  await holder.line();
  using lock = FileLock.open(path);
  assert.equal(lock.tryExclusive(), null);
  await holder.kill();
  (await lock.exclusive()).release();
});

test('FileLock: a child process does not keep the lock of its parent', async () => {
  const path = fresh();
  const parent = startScript(
    `import { FileLock } from 'vecino';
     import { spawn } from 'node:child_process';
     const lock = FileLock.open(process.argv[1], { create: true });
     lock.exclusiveSync();
     const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
     console.log(child.pid);
     process.stdin.resume();`,
    [path],
  );
  const child = Number(await parent.line());
  using lock = FileLock.open(path);
  assert.equal(lock.tryExclusive(), null);
  await parent.kill();
  (await lock.exclusive()).release();
  process.kill(child, 'SIGKILL');
});

test('FileLock: a worker that is terminated leaves no lock behind, whether it held one or waited', async () => {
  const path = fresh();
  using lock = FileLock.open(path, { create: true });
  const source = `
    import { parentPort } from 'node:worker_threads';
    import { FileLock } from ${JSON.stringify(import.meta.resolve('vecino'))};
    const held = FileLock.open(${JSON.stringify(path)}).exclusiveSync({ start: 10, length: 10 });
    const other = FileLock.open(${JSON.stringify(path)});
    VOICE
    parentPort.postMessage('ready');
    BLOCK`;
  const guard = lock.exclusiveSync({ length: 10 });
  for (const [voice, block] of [
    ['globalThis.keep = [held, other, other.exclusive()];', ''],
    ['globalThis.keep = [held];', 'other.exclusiveSync({ length: 5 });'],
  ] as const) {
    const code = source.replace('VOICE', voice).replace('BLOCK', block);
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
    await once(worker, 'message');
    assert.equal(lock.tryShared({ start: 10, length: 1 }), null);
    await worker.terminate();
    lock.tryExclusive({ start: 10, length: 10 })!.release();
  }
  guard.release();
  lock.tryExclusive()!.release();
});

test('FileLock: a C program with F_SETLKW and a Python program with lockf exclude us, and we them', async () => {
  const program = compile(
    folder,
    'setlkw',
    `#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
  int fd = open(argv[1], O_RDWR);
  struct flock lock = {.l_type = argv[2][0] == 's' ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET, .l_start = atol(argv[3]), .l_len = atol(argv[4])};
  if (fcntl(fd, F_SETLKW, &lock) != 0) return 1;
  puts("got"); fflush(stdout);
  getchar();
  return 0;
}`,
  );
  using lock = FileLock.open(fresh(), { create: true });
  const guard = lock.exclusiveSync({ start: 5, length: 5 });
  const c = start(program, [lock.path, 'exclusive', '0', '6']);
  const got = c.line();
  await asleep(c.pid);
  guard.release();
  await got;
  assert.equal(lock.tryShared({ start: 5, length: 1 }), null);
  lock.tryExclusive({ start: 6, length: 1 })!.release();
  const waiting = lock.shared();
  await c.kill();
  const shared = await waiting;
  const python = start('python3', [
    '-c',
    'import fcntl, sys\nf = open(sys.argv[1], "r+")\nfcntl.lockf(f, fcntl.LOCK_SH)\nprint("got", flush=True)\nsys.stdin.readline()',
    lock.path,
  ]);
  assert.equal(await python.line(), 'got');
  assert.equal(lock.tryExclusive(), null);
  shared.release();
  python.write('\n');
  (await lock.exclusive()).release();
  await python.ended;
});

test('FileLock: a file opened for reading only can be locked shared, and the error of the other says why', async () => {
  const path = fresh();
  writeFileSync(path, 'x', { mode: 0o444 });
  using lock = FileLock.open(path, { readOnly: true });
  (await lock.shared()).release();
  assert.throws(() => lock.tryExclusive(), { code: 'EBADF', path, message: /opened for writing/ });
  await assert.rejects(lock.exclusive(), isSystemError('EBADF'));
  assert.throws(() => lock.exclusiveSync(), isSystemError('EBADF'));
  const guard = lock.sharedSync();
  assert.throws(() => guard.tryUpgrade(), isSystemError('EBADF'));
  guard.release();
});

test('FileLock: a file is made only if asked for, with the mode that was given, and what is in one stays', () => {
  const path = fresh();
  assert.throws(() => FileLock.open(path), { code: 'ENOENT', path, message: /create: true/ });
  FileLock.open(path, { create: true, mode: 0o666 }).close();
  assert.equal(statSync(path).mode & 0o777, 0o666);
  writeFileSync(path, 'content');
  FileLock.open(path, { create: true, mode: 0o600 }).close();
  assert.equal(statSync(path).mode & 0o777, 0o666);
  assert.equal(readFileSync(path, 'utf8'), 'content');
  const link = fresh();
  symlinkSync(fresh(), link);
  assert.throws(() => FileLock.open(link, { create: true }), isSystemError('EEXIST'));
});

test('FileLock: what is no regular file is refused, and a FIFO does not hang', () => {
  const fifo = fresh();
  mkfifo(fifo, 0o600);
  assert.throws(() => FileLock.open(fifo), isSystemError('EINVAL'));
  assert.throws(() => FileLock.open(fifo, { readOnly: true }), isSystemError('EINVAL'));
  assert.throws(() => FileLock.open('/dev/null'), isSystemError('EINVAL'));
  const directory = fresh();
  mkdirSync(directory);
  assert.throws(() => FileLock.open(directory), isSystemError('EISDIR'));
});

test('FileLock: bad arguments are refused in every voice, and lock nothing', async () => {
  for (const path of [null, 5, '', 'a\0b', {}]) assert.throws(() => FileLock.open(bad(path)), /path must be/);
  const path = fresh();
  for (const mode of [-1, Number.NaN, 0o10000, '600'])
    assert.throws(() => FileLock.open(path, { create: true, mode: bad(mode) }), /options.mode must be/);
  for (const flag of [1, 'yes', null]) {
    assert.throws(() => FileLock.open(path, { create: bad(flag) }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => FileLock.open(path, { readOnly: bad(flag) }), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  const [mine, theirs] = two();
  const voices = [
    (options: unknown) => mine.exclusive(bad(options)),
    (options: unknown) => mine.shared(bad(options)),
    async (options: unknown) => mine.tryExclusive(bad(options)),
    async (options: unknown) => mine.tryShared(bad(options)),
    async (options: unknown) => mine.exclusiveSync(bad(options)),
    async (options: unknown) => mine.sharedSync(bad(options)),
  ];
  const throwing = {
    get start(): number {
      throw new Error('a getter');
    },
  };
  for (const voice of voices) {
    for (const value of [-1, Number.NaN, 1.5, 2 ** 53]) {
      await assert.rejects(voice({ start: value }), { code: 'ERR_OUT_OF_RANGE' });
      await assert.rejects(voice({ length: value }), { code: 'ERR_OUT_OF_RANGE' });
    }
    await assert.rejects(voice({ start: 2 ** 53 - 1, length: 1 }), { code: 'ERR_OUT_OF_RANGE' });
    for (const value of ['1', null, {}])
      await assert.rejects(voice({ length: value }), { code: 'ERR_INVALID_ARG_TYPE' });
    for (const options of [null, 5, 'x']) await assert.rejects(voice(options), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(voice(throwing), /a getter/);
  }
  for (const timeout of [-1, Number.NaN]) {
    await assert.rejects(mine.exclusive({ timeout }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => mine.exclusiveSync({ timeout }), { code: 'ERR_OUT_OF_RANGE' });
  }
  await assert.rejects(mine.shared({ signal: bad('now') }), { code: 'ERR_INVALID_ARG_TYPE' });
  theirs.tryExclusive()!.release();
  mine.close();
  theirs.close();
});

test('FileLock: an object that nobody refers to any more, and that holds no lock, is closed when it is collected', async () => {
  const output = await runScript(
    `import { readdirSync } from 'node:fs';
     import { FileLock } from 'vecino';
     for (let i = 0; i < 50; i++) FileLock.open(process.argv[1], { create: true }).tryShared().release();
     for (let i = 0; i < 50 && readdirSync('/proc/self/fd').length > 40; i++) {
       gc();
       await new Promise((resolve) => setImmediate(resolve));
     }
     console.log(readdirSync('/proc/self/fd').length <= 40, FileLock.open(process.argv[1]).tryExclusive() !== null);`,
    [fresh()],
    { env: { ...process.env, NODE_OPTIONS: '--expose-gc' } },
  );
  assert.equal(output, 'true true\n');
});

test('FileLock: a signal that ends several waits ends no other', { timeout: 60_000 }, async () => {
  const [lock, other] = two();
  const theirs = other.tryShared()!;
  const controller = new AbortController();
  const { signal } = controller;
  const first = assert.rejects(lock.exclusive({ signal }), { name: 'AbortError' });
  const second = lock.shared({ signal }).then(
    (guard) => guard.release(), // the first one has gone, and it came before the abort reached it
    (error) => assert.equal(error, signal.reason),
  );
  const third = lock.exclusive({ timeout: 30_000 });
  controller.abort();
  await Promise.all([first, second]);
  theirs.release();
  (await third).release();
  lock.close();
  other.close();
});

test('FileLock: options that are none are refused', () => {
  const path = fresh();
  for (const options of [null, 5, 'soon', () => {}]) {
    assert.throws(() => FileLock.open(path, bad(options)), { code: 'ERR_INVALID_ARG_TYPE' });
  }
});
