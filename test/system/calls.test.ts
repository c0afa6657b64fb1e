import '../support/leaks.js';
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { errno, errnoName, futexWait, futexWake, readable, SharedMemory, SystemError, TimeoutError } from 'vecino';
import {
  close,
  constants,
  copyFileRange,
  dup,
  dup3,
  eventfd,
  fallocate,
  fchmod,
  fcntl,
  fstat,
  ftruncate,
  isKind,
  linkDescriptor,
  memfdCreate,
  mkfifo,
  mmap,
  open,
  pipe2,
  pollNow,
  read,
  readableSync,
  recvmsg,
  sendfile,
  sendmsg,
  shmOpen,
  socketpair,
  splice,
  systemCallCounters,
  writableSync,
  write,
} from 'vecino/system';
import { startScript, temporaryFolder } from '../support/processes.js';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (value: string) => new TextEncoder().encode(value);
const isSystemError = (code: string) => (error: unknown) => error instanceof SystemError && error.code === code;

test('System calls: errors carry code, errno, syscall and path as Node does, and the C library names for all that locks need', () => {
  try {
    open('/nowhere/at/all', 0);
    assert.fail();
  } catch (error) {
    assert.ok(error instanceof SystemError);
    assert.deepEqual([error.code, error.errno, error.syscall, error.path], ['ENOENT', -2, 'open', '/nowhere/at/all']);
    assert.equal(error.name, 'SystemError');
    assert.match(error.message, /^ENOENT: No such file or directory, open '\/nowhere\/at\/all'$/);
  }
  for (const name of [
    'EAGAIN',
    'EIDRM',
    'ENOMSG',
    'EDEADLK',
    'EOWNERDEAD',
    'ENOTRECOVERABLE',
    'EMSGSIZE',
    'EOPNOTSUPP',
  ]) {
    assert.equal(errnoName(errno[name]!), name);
  }
});

test('System calls: a file is opened, written, reserved, cut, copied within the kernel, and closed', () => {
  const folder = temporaryFolder();
  const fd = open(join(folder, 'a'), constants['O_RDWR']! | constants['O_CREAT']! | constants['O_EXCL']!);
  assert.equal(write(fd, bytes('hello world')), 11);
  const second = open(join(folder, 'a'), constants['O_RDONLY']!);
  const buffer = new Uint8Array(20);
  assert.equal(read(second, buffer, 5), 11);
  assert.equal(text(buffer.subarray(5, 16)), 'hello world');
  assert.equal(read(second, buffer), 0);
  fallocate(fd, 0, 10_000);
  assert.equal(fstat(fd).size, 10_000);
  ftruncate(fd, 11);
  fchmod(fd, 0o604);
  const status = fstat(fd);
  assert.equal(status.size, 11);
  assert.equal(status.mode & 0o777, 0o604);
  assert.ok(isKind(status, 'S_IFREG'));
  const from = open(join(folder, 'a'), constants['O_RDONLY']!);
  const nameless = open(folder, constants['O_TMPFILE']! | constants['O_RDWR']!);
  assert.equal(copyFileRange(from, nameless, 5), 5);
  assert.equal(sendfile(nameless, from, 100), 6);
  assert.equal(copyFileRange(from, nameless, 100), 0);
  linkDescriptor(nameless, join(folder, 'b'));
  assert.equal(readFileSync(join(folder, 'b'), 'utf8'), 'hello world');
  assert.throws(() => linkDescriptor(nameless, join(folder, 'a')), isSystemError('EEXIST'));
  for (const descriptor of [fd, second, from, nameless]) close(descriptor);
  assert.throws(() => close(fd), isSystemError('EBADF'));
});

test('System calls: every descriptor is close-on-exec, whichever call made it', () => {
  const made = [...pipe2(), eventfd(), open('/dev/null', 0), ...socketpair('stream')];
  made.push(dup(made[0]!));
  dup3(made[0]!, made[2]!);
  for (const fd of made) assert.equal(fcntl(fd, constants['F_GETFD']!), constants['FD_CLOEXEC']!, `fd ${fd}`);
  for (const fd of made) close(fd);
});

test('System calls: eventfd: non-blocking and close-on-exec whatever flags are given, which add to that', () => {
  for (const flags of [0, constants['EFD_SEMAPHORE']!, constants['EFD_NONBLOCK']!]) {
    const fd = eventfd(2, flags);
    assert.equal(
      fcntl(fd, constants['F_GETFL']!) & constants['O_NONBLOCK']!,
      constants['O_NONBLOCK'],
      `flags ${flags}`,
    );
    assert.equal(fcntl(fd, constants['F_GETFD']!), constants['FD_CLOEXEC'], `flags ${flags}`);
    const count = new BigUint64Array(1);
    read(fd, new Uint8Array(count.buffer));
    assert.equal(count[0], flags === constants['EFD_SEMAPHORE'] ? 1n : 2n);
    close(fd);
  }
});

test('System calls: splice moves bytes between a pipe and a file without the process seeing them', () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'in'), 'through a pipe');
  const from = open(join(folder, 'in'), 0);
  const to = open(join(folder, 'out'), constants['O_WRONLY']! | constants['O_CREAT']!);
  const [reader, writer] = pipe2();
  const before = systemCallCounters();
  assert.equal(splice(from, writer, 100), 14);
  assert.equal(splice(reader, to, 100), 14);
  const after = systemCallCounters();
  assert.equal(after.bytesWithin - before.bytesWithin, 28);
  assert.equal(after.bytesIn + after.bytesOut - before.bytesIn - before.bytesOut, 0);
  assert.equal(readFileSync(join(folder, 'out'), 'utf8'), 'through a pipe');
  for (const fd of [from, to, reader, writer]) close(fd);
});

test('System calls: a FIFO is made with mkfifo, and once only', () => {
  const path = join(temporaryFolder(), 'fifo');
  mkfifo(path);
  assert.throws(() => mkfifo(path), isSystemError('EEXIST'));
  const fd = open(path, constants['O_RDWR']!);
  assert.ok(isKind(fstat(fd), 'S_IFIFO'));
  close(fd);
});

test('System calls: descriptors go over a Unix socket, 253 at the most', () => {
  const [a, b] = socketpair('seqpacket');
  const [reader, writer] = pipe2();
  assert.equal(sendmsg(a, bytes('here'), [writer, reader]), 4);
  const { length, descriptors } = recvmsg(b, new Uint8Array(10));
  assert.equal(length, 4);
  write(descriptors[0]!, bytes('x'));
  const buffer = new Uint8Array(1);
  read(reader, buffer);
  assert.equal(text(buffer), 'x');
  assert.throws(() => sendmsg(a, bytes('x'), new Array(254).fill(reader)), isSystemError('E2BIG'));
  assert.throws(() => sendmsg(a, bytes('x'), [9999]), isSystemError('EBADF'));
  sendmsg(a, bytes('x'), new Array(253).fill(reader));
  const many = recvmsg(b, new Uint8Array(1));
  assert.equal(many.descriptors.length, 253);
  for (const fd of [...many.descriptors, ...descriptors, reader, writer, a, b]) close(fd);
});

test('System calls: the counters agree with the kernel, which counts reads and writes of a process itself', async () => {
  const program = `
    import { readFileSync } from 'node:fs';
    import { close, open, pipe2, read, systemCallCounters, write, constants } from 'vecino/system';
    const kernel = () => Object.fromEntries(readFileSync('/proc/thread-self/io', 'utf8').trim().split('\\n').map((row) => [row.split(': ')[0], Number(row.split(': ')[1])]));
    const [reader, writer] = pipe2();
    const source = open('/proc/self/exe', 0);
    const bytes = new Uint8Array(10000);
    kernel(); // warm
    const own = kernel(), before = kernel();
    const cost = { rchar: before.rchar - own.rchar, syscr: before.syscr - own.syscr }; // of looking
    const mine = systemCallCounters();
    for (let i = 0; i < 100; i++) { const n = read(source, bytes, 0, 1 + i * 7); write(writer, bytes, 0, n); read(reader, bytes, 0, n); }
    const now = systemCallCounters(), after = kernel();
    console.log(JSON.stringify({
      in: [now.bytesIn - mine.bytesIn, after.rchar - before.rchar - cost.rchar],
      out: [now.bytesOut - mine.bytesOut, after.wchar - before.wchar],
      calls: [now.calls - mine.calls, after.syscr - before.syscr - cost.syscr + after.syscw - before.syscw],
    }));`;
  const { stdout, stderr, code } = await startScript(program).ended;
  if (code !== 0 && /ENOENT.*\/io/.test(stderr)) return; // a kernel without CONFIG_TASK_IO_ACCOUNTING
  const counted = JSON.parse(stdout) as Record<string, [number, number]>;
  for (const [name, [ours, theirs]] of Object.entries(counted)) {
    // The text of /proc/…/io itself may be a digit longer the second time.
    assert.ok(Math.abs(ours - theirs) <= 20, `${name}: ${ours} counted, ${theirs} by the kernel`);
    assert.ok(ours > 0);
  }
});

test('System calls: a blocking wait that signals interrupt goes on for the time that remains', async () => {
  const program = `
    import { eventfd, readableSync } from 'vecino/system';
    let handled = 0;
    process.on('SIGUSR1', () => handled++);
    const fd = eventfd();
    console.log('ready');
    const from = performance.now();
    try { readableSync(fd, { timeout: 400 }); } catch (error) { console.log(error.code, performance.now() - from >= 400); }
    setImmediate(() => setImmediate(() => { console.log(handled > 0); process.exit(); }));`;
  const child = startScript(program);
  assert.equal(await child.line(), 'ready');
  const pester = setInterval(() => child.child.kill('SIGUSR1'), 10);
  const { stdout } = await child.ended;
  clearInterval(pester);
  assert.equal(stdout, 'ready\nERR_VECINO_TIMEOUT true\ntrue\n');
});

test('System calls: a futex wait ends by a wake from another process, by its time-out, and at once if the word has changed', async () => {
  using memory = SharedMemory.anonymous(4096);
  const words = new Int32Array(memory.buffer);
  assert.equal(futexWait(words, 0, 1), false);
  assert.throws(() => futexWait(words, 0, 0, { timeout: 5 }), TimeoutError);
  assert.equal(futexWake(words, 0), 0);
  const child = startScript(
    `import { SharedMemory, futexWait } from 'vecino';
     const words = new Int32Array(SharedMemory.fromFd(3).buffer);
     words[1] = 1;
     console.log('ready');
     while (Atomics.load(words, 0) === 0) futexWait(words, 0, 0);
     console.log('woken');`,
    [],
    { stdio: ['ignore', 'pipe', 'inherit', memory.fd] },
  );
  assert.equal(await child.line(), 'ready');
  Atomics.store(words, 0, -5);
  futexWake(words, 0);
  assert.equal(await child.line(), 'woken');
  await child.ended;
  assert.throws(() => futexWait(words, 1024, 0), { code: 'ERR_OUT_OF_RANGE' });
});

test('System calls: pollNow and readableSync see what is there', () => {
  const [reader, writer] = pipe2();
  assert.equal(pollNow(reader, constants['POLLIN']!), 0);
  assert.throws(() => readableSync(reader, { timeout: 0 }), TimeoutError);
  write(writer, bytes('x'));
  assert.equal(pollNow(reader, constants['POLLIN']!), constants['POLLIN']!);
  readableSync(reader);
  close(writer);
  close(reader);
});

test('System calls: a wait for a descriptor that is not open is EBADF in each voice, and never taken for readiness', async () => {
  const [reader, writer] = pipe2();
  close(reader);
  const isClosed = (error: unknown) => error instanceof SystemError && error.code === 'EBADF';
  assert.throws(() => pollNow(reader, constants['POLLIN']!), isClosed);
  assert.throws(() => readableSync(reader), isClosed);
  assert.throws(() => writableSync(reader), isClosed);
  await assert.rejects(readable(reader), isClosed);
  await assert.rejects(readable(reader, { timeout: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  close(writer);
});

test('System calls: a view that says that it is larger than it is reads and writes nothing', () => {
  const [reader, writer] = pipe2();
  const liar = new Uint8Array(4);
  Object.defineProperty(liar, 'length', { value: 99 });
  write(writer, bytes('x'));
  for (const call of [() => read(reader, liar), () => write(writer, liar)]) {
    assert.throws(call, (error) => error instanceof SystemError && error.code === 'EINVAL');
  }
  assert.equal(read(reader, new Uint8Array(4)), 1);
  close(reader);
  close(writer);
});

test('System calls: a thread blocked in a system call does not keep a worker from being ended', async () => {
  const { Worker } = await import('node:worker_threads');
  const source = `
    import { parentPort } from 'node:worker_threads';
    import { eventfd, readableSync } from ${JSON.stringify(import.meta.resolve('vecino/system'))};
    const fd = eventfd();
    parentPort.postMessage(fd);
    readableSync(fd);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  const fd = await new Promise<number>((resolve) => worker.once('message', resolve));
  await worker.terminate();
  assert.throws(() => close(fd), isSystemError('EBADF'), 'it went with its thread');
});

test('System calls: bad arguments are refused before the system call', () => {
  for (const call of [
    () => open('', 0),
    () => open('a\0b', 0),
    () => close(-1),
    () => close(Number.NaN),
    () => close('1' as unknown as number),
    () => read(0, 'x' as unknown as Uint8Array),
    () => read(0, new Uint8Array(4), 5),
    () => read(0, new Uint8Array(4), 0, 5),
    () => write(0, new Uint8Array(4), -1),
    () => ftruncate(0, -1),
    () => fallocate(0, 0, 0),
    () => fchmod(0, 0o10000),
    () => dup(2 ** 31),
    () => eventfd(-1),
    () => readableSync(0, { timeout: -1 }),
    () => readableSync(0, { timeout: Number.NaN }),
    () => readableSync(0, { timeout: '5' as unknown as number }),
    () => readableSync(0, null as unknown as object),
    () => pollNow(Number.NaN, 1),
    () => pollNow(0, Number.NaN),
    () => open('/dev/null', 2 ** 40),
    () => fcntl(0, Number.NaN), // 0 would be F_DUPFD
    () => fcntl(0, 2 ** 32 + 1),
    () => fcntl(0, constants['F_GETFD']!, 'x' as unknown as number),
    () => dup3(0, 100, Number.NaN),
    () => fallocate(0, 0, 1, Number.NaN),
    () => sendfile(1, 0, Number.NaN), // 0 bytes would look like the end
    () => splice(0, 1, -1),
    () => splice(0, 1, 1, Number.NaN),
    () => copyFileRange(0, 1, 2 ** 53),
    () => eventfd(0, Number.NaN),
    () => pipe2(Number.NaN),
    () => memfdCreate(null as unknown as string),
    () => memfdCreate('x', 'y' as unknown as number),
    () => mmap(0, 4096, null as unknown as object),
    () => mmap(0, 4096, { readOnly: 'no' as unknown as boolean }),
    () => socketpair('constructor' as 'stream'),
    () => socketpair('stream', Number.NaN),
    () => sendmsg(0, new Uint8Array(1), null as unknown as number[]),
    () => sendmsg(0, new Uint8Array(1), [Number.NaN]),
    () => sendmsg(0, new Uint8Array(1), [], Number.NaN),
    () => recvmsg(0, new Uint8Array(1), Number.NaN),
    () => futexWait(new Int32Array(1), 0, Number.NaN, { timeout: 0 }),
    () => futexWait(new Int32Array(1), 1, 0, { timeout: 0 }),
    () => futexWait(new Int32Array(1), 0, 0, null as unknown as object),
    () => shmOpen('x', Number.NaN),
  ]) {
    assert.throws(
      call,
      (error) => error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_'),
      String(call),
    );
  }
});
