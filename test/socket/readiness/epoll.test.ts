import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { readiness } from 'vecino/socket';
import {
  ClosedError,
  close,
  constants,
  dup,
  eventfd,
  pipe2,
  read,
  readable,
  SystemError,
  socketpair,
  TimeoutError,
  write,
} from 'vecino/system';
import { start, startScript } from '../../support/processes.js';

const { Epoll } = readiness;
const one = new Uint8Array([1]);
const eight = new Uint8Array(new BigUint64Array([1n]).buffer);
const room = new Uint8Array(64);
const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

test('Epoll: wait resolves with the descriptor, its events and its data once something happens', async () => {
  using epoll = new Epoll<{ name: string }>();
  const [reader, writer] = pipe2(constants['O_NONBLOCK']);
  epoll.add(reader, { read: true }, { name: 'pipe' });
  const waiting = epoll.wait();
  setImmediate(() => write(writer, one));
  const [event, ...others] = await waiting;
  assert.deepEqual(others, []);
  assert.equal(event!.fd, reader);
  assert.equal(event!.data.name, 'pipe');
  assert.equal(event!.events.read, true);
  assert.equal(event!.events.hangUp, false);
  close(writer);
  assert.equal((await epoll.wait())[0]!.events.hangUp, true);
  assert.equal(epoll.remove(reader), true);
  assert.equal(epoll.tryWait(), undefined);
  close(reader);
});

test('Epoll: the three voices: tryWait answers at once, waitSync blocks, wait does not', async () => {
  using epoll = new Epoll();
  const fd = eventfd();
  epoll.add(fd, { read: true });
  assert.equal(epoll.tryWait(), undefined);
  assert.throws(() => epoll.waitSync(20), TimeoutError);
  assert.throws(() => epoll.waitSync({ timeout: 0 }), TimeoutError);
  await assert.rejects(epoll.wait(20), TimeoutError);
  await assert.rejects(epoll.wait({ timeout: 0 }), TimeoutError);
  const child = start('sh', ['-c', `sleep 0.05; printf '\\1\\0\\0\\0\\0\\0\\0\\0' >&3`], {
    stdio: ['pipe', 'pipe', 'pipe', fd],
  });
  assert.equal(epoll.waitSync(60_000)[0]!.fd, fd);
  assert.equal(epoll.tryWait()!.length, 1);
  assert.equal((await epoll.wait({ timeout: 0 })).length, 1);
  close(fd);
  await child.ended;
});

test('Epoll: level-triggered tells as long as it lasts, edge-triggered once, one-shot until it is modified', async () => {
  using epoll = new Epoll();
  const [reader, writer] = pipe2(constants['O_NONBLOCK']);
  write(writer, one);
  epoll.add(reader, { read: true });
  assert.equal(epoll.tryWait()!.length, 1);
  assert.equal(epoll.tryWait()!.length, 1);
  epoll.modify(reader, { read: true, edge: true });
  assert.equal(epoll.tryWait()!.length, 1);
  assert.equal(epoll.tryWait(), undefined);
  write(writer, one);
  assert.equal((await epoll.wait()).length, 1);
  assert.equal(epoll.tryWait(), undefined);
  epoll.modify(reader, { read: true, oneShot: true });
  assert.equal(epoll.tryWait()!.length, 1);
  write(writer, one);
  assert.equal(epoll.tryWait(), undefined);
  epoll.modify(reader, { read: true, oneShot: true }, 'again');
  assert.equal((await epoll.wait())[0]!.data, 'again');
  close(reader);
  close(writer);
});

test('Epoll: modify keeps the data unless it is given another', () => {
  using epoll = new Epoll<number>();
  const fd = eventfd();
  epoll.add(fd, { read: true }, 1);
  epoll.modify(fd, { write: true });
  assert.deepEqual([epoll.tryWait()![0]!.data, epoll.tryWait()![0]!.events.write], [1, true]);
  epoll.modify(fd, { write: true }, 2);
  assert.equal(epoll.tryWait()![0]!.data, 2);
  close(fd);
});

test('Epoll: a half-closed socket is told as peerClosed', async () => {
  using epoll = new Epoll();
  const [left, right] = socketpair('stream');
  epoll.add(left, { peerClosed: true });
  assert.equal(epoll.tryWait(), undefined);
  close(right);
  assert.equal((await epoll.wait())[0]!.events.peerClosed, true);
  close(left);
});

test('Epoll: an exclusive registration wakes one of two epolls at least', async () => {
  using first = new Epoll();
  using second = new Epoll();
  const fd = eventfd();
  for (const epoll of [first, second]) epoll.add(fd, { read: true, exclusive: true });
  const woken = Promise.any([first.wait(60_000), second.wait(60_000)]);
  write(fd, eight);
  assert.equal((await woken)[0]!.fd, fd);
  assert.throws(
    () => first.modify(fd, { read: true }),
    (error) => code('EINVAL')(error) && /exclusive/.test(String(error)),
  );
  close(fd);
  for (const epoll of [first, second]) epoll.close();
});

test('Epoll: maxEvents bounds an answer, and the others come with the next', async () => {
  using epoll = new Epoll();
  const fds = Array.from({ length: 10 }, () => eventfd(1));
  for (const fd of fds) epoll.add(fd, { read: true, edge: true });
  const seen = [
    ...(await epoll.wait({ maxEvents: 4 })),
    ...epoll.tryWait({ maxEvents: 4 })!,
    ...epoll.waitSync({ maxEvents: 4 }),
  ];
  assert.deepEqual(
    seen.map(({ fd }) => fd).sort((a, b) => a - b),
    fds,
  );
  for (const fd of fds) close(fd);
});

const limit = Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }));
test('Epoll: 5,000 descriptors in one epoll', {
  skip: limit < 6000 && `only ${limit} descriptors are allowed here`,
}, async () => {
  using epoll = new Epoll<number>();
  const fds = Array.from({ length: 5000 }, () => eventfd());
  for (const [index, fd] of fds.entries()) epoll.add(fd, { read: true }, index);
  assert.equal(epoll.tryWait(), undefined);
  const ready = fds.map((_, index) => index).filter((index) => index % 7 === 0);
  for (const index of ready) write(fds[index]!, eight);
  const seen: number[] = [];
  while (seen.length < ready.length) {
    for (const { fd, data } of await epoll.wait({ maxEvents: 100 })) {
      read(fd, room);
      seen.push(data);
    }
  }
  assert.deepEqual(
    seen.sort((a, b) => a - b),
    ready,
  );
  assert.equal(epoll.tryWait(), undefined);
  assert.equal(readiness.tryPoll(fds.map((fd) => ({ fd, write: true })))!.length, 5000);
  const waiting = readiness.poll(fds.map((fd) => ({ fd, read: true })));
  setImmediate(() => write(fds[4321]!, eight));
  assert.deepEqual(
    (await waiting).map(({ fd }) => fd),
    [fds[4321]],
  );
  for (const fd of fds) close(fd);
});

test('Epoll: an epoll can be awaited like any descriptor: by another epoll, poll, select and readable()', async () => {
  using inner = new Epoll();
  using outer = new Epoll();
  const fd = eventfd();
  inner.add(fd, { read: true });
  outer.add(inner.fd, { read: true }, 'inner');
  const all = Promise.all([
    outer.wait(),
    readiness.poll([{ fd: inner.fd, read: true }]),
    readiness.select({ read: [inner.fd] }),
    readable(inner.fd),
  ]);
  setImmediate(() => write(fd, eight));
  const [events, entries, sets] = await all;
  assert.equal(events[0]!.data, 'inner');
  assert.equal(entries[0]!.fd, inner.fd);
  assert.deepEqual(sets.read, [inner.fd]);
  close(fd);
});

test('Epoll: an epoll is iterated: each step is what is ready then', async () => {
  using epoll = new Epoll();
  const [reader, writer] = pipe2(constants['O_NONBLOCK']);
  epoll.add(reader, { read: true });
  let steps = 0;
  setImmediate(() => write(writer, one));
  for await (const [event] of epoll) {
    assert.equal(read(event!.fd, room), 1);
    if (++steps === 3) break;
    setImmediate(() => write(writer, one));
  }
  assert.equal(steps, 3);
  write(writer, one);
  for await (const _ of epoll) {
    read(reader, room);
    setImmediate(() => epoll.close()); // ends the loop, as with all that deliver
  }
  close(reader);
  close(writer);
});

test('Epoll: several waits are served in the order they came, and one that is aborted takes nothing with it', async () => {
  using epoll = new Epoll();
  const fd = eventfd();
  epoll.add(fd, { read: true });
  const served: number[] = [];
  const controller = new AbortController();
  const waits = [0, 1, 2, 3, 4].map((index) =>
    epoll.wait(index === 2 ? { signal: controller.signal } : {}).then(
      () => {
        read(fd, room);
        served.push(index);
      },
      () => served.push(-index),
    ),
  );
  setImmediate(() => controller.abort());
  await waits[2];
  for (const index of [0, 1, 3, 4]) {
    write(fd, eight);
    await waits[index];
  }
  assert.deepEqual(served, [-2, 0, 1, 3, 4]);
  close(fd);
});

test('Epoll: bad descriptors are refused with the reason: closed, negative, twice, unknown, regular file, itself', () => {
  using epoll = new Epoll();
  const fd = eventfd();
  const file = openSync('/proc/self/exe', 'r');
  const closed = dup(fd);
  close(closed);
  const refused = (name: string, hint: RegExp) => (error: unknown) =>
    error instanceof SystemError && error.code === name && error.syscall === 'epoll_ctl' && hint.test(error.message);
  assert.throws(() => epoll.add(closed, { read: true }), refused('EBADF', /not open/));
  assert.throws(() => epoll.add(file, { read: true }), refused('EPERM', /Regular files.*select or poll/));
  assert.throws(() => epoll.modify(fd, { read: true }), refused('ENOENT', /add\(\) it first/));
  assert.throws(() => epoll.remove(fd), refused('ENOENT', /add\(\)/));
  epoll.add(fd, { read: true });
  assert.throws(() => epoll.add(fd, { write: true }), refused('EEXIST', /modify\(\)/));
  assert.throws(() => epoll.add(epoll.fd, { read: true }), refused('EINVAL', /itself/));
  for (const bad of [-1, Number.NaN, 1.5, 2 ** 31]) {
    assert.throws(() => epoll.add(bad, { read: true }), code('ERR_OUT_OF_RANGE'));
    assert.throws(() => epoll.modify(bad, { read: true }), code('ERR_OUT_OF_RANGE'));
    assert.throws(() => epoll.remove(bad), code('ERR_OUT_OF_RANGE'));
  }
  assert.throws(() => epoll.add('1' as never, { read: true }), code('ERR_INVALID_ARG_TYPE'));
  close(fd);
  close(file);
});

test('Epoll: epolls that would watch each other in a circle are refused', () => {
  using first = new Epoll();
  using second = new Epoll();
  first.add(second.fd, { read: true });
  assert.throws(() => second.add(first.fd, { read: true }), code('ELOOP'));
});

test('Epoll: bad interests and options are refused', async () => {
  using epoll = new Epoll();
  const fd = eventfd();
  for (const interest of [null, undefined, 5, 'read', ['read'], { read: 1 }, { edge: 'yes' }])
    assert.throws(() => epoll.add(fd, interest as never), code('ERR_INVALID_ARG_TYPE'));
  assert.throws(() => epoll.add(fd, { reed: true } as never), code('ERR_INVALID_ARG_VALUE'));
  for (const maxEvents of [0, -1, Number.NaN, 1.5, 65537, 2 ** 53])
    await assert.rejects(epoll.wait({ maxEvents }), code('ERR_OUT_OF_RANGE'));
  for (const options of [null, 'x', { timeout: '1' }, { signal: 5 }])
    await assert.rejects(epoll.wait(options as never), code('ERR_INVALID_ARG_TYPE'));
  for (const timeout of [-1, Number.NaN]) assert.throws(() => epoll.waitSync(timeout), code('ERR_OUT_OF_RANGE'));
  close(fd);
});

test('Epoll: a descriptor that was closed leaves the epoll by itself', () => {
  using epoll = new Epoll();
  const fd = eventfd(1);
  epoll.add(fd, { read: true });
  close(fd);
  assert.equal(epoll.tryWait(), undefined);
  assert.equal(epoll.remove(fd), false);
  const again = eventfd(1);
  epoll.add(again, { read: true }, 'new');
  assert.equal(epoll.tryWait()![0]!.data, 'new');
  close(again);
});

test('Epoll: close ends pending waits, may be called twice, and everything after it is ClosedError', async () => {
  const epoll = new Epoll();
  const waits = [epoll.wait(), epoll.wait()];
  setImmediate(() => epoll.close());
  for (const wait of waits) await assert.rejects(wait, ClosedError);
  epoll.close();
  await assert.rejects(epoll.wait(), ClosedError);
  for (const use of [
    () => epoll.fd,
    () => epoll.tryWait(),
    () => epoll.waitSync(),
    () => epoll.add(0, {}),
    () => epoll.remove(0),
  ])
    assert.throws(use, ClosedError);
});

test('Epoll: an epoll that is closed by the reading of its own arguments is closed', async () => {
  const [reader, writer] = pipe2();
  const calls: ((epoll: InstanceType<typeof Epoll>, trap: object) => unknown)[] = [
    (epoll, trap) => epoll.add(writer, trap),
    (epoll, trap) => epoll.modify(reader, trap),
    (epoll, trap) => epoll.wait(trap),
    (epoll, trap) => epoll.tryWait(trap),
    (epoll, trap) => epoll.waitSync(trap),
  ];
  for (const call of calls) {
    await using epoll = new Epoll();
    epoll.add(reader, { read: true });
    const trap = Object.defineProperty({}, call === calls[0] || call === calls[1] ? 'read' : 'timeout', {
      enumerable: true,
      get: () => epoll.close(),
    });
    await assert.rejects(async () => call(epoll, trap), ClosedError);
  }
  close(reader);
  close(writer);
});

test('Epoll: signals do not end waitSync: it goes on with the time that remains', async () => {
  using epoll = new Epoll();
  process.on('SIGUSR2', () => {});
  const child = start('sh', ['-c', 'i=0; while [ $i -lt 20 ]; do kill -USR2 $PPID; sleep 0.01; i=$((i+1)); done']);
  const began = performance.now();
  assert.throws(() => epoll.waitSync(400), TimeoutError);
  assert.ok(performance.now() - began >= 399);
  await child.ended;
  process.removeAllListeners('SIGUSR2');
});

test('Epoll: many answers in a row leave room for timers', async () => {
  using epoll = new Epoll();
  const fd = eventfd(1);
  epoll.add(fd, { read: true });
  let fired = false;
  setTimeout(() => {
    fired = true;
  }, 1);
  while (!fired) await epoll.wait();
  close(fd);
});

test('Epoll: a pending wait keeps the program running; an open epoll does not', async () => {
  const program = `
    import { readiness } from 'vecino';
    const epoll = new readiness.Epoll();
    const timer = setTimeout(() => console.log('timed'), 60_000).unref();
    await epoll.wait(30).catch((error) => console.log(error.name));`;
  const { code: exit, stdout, stderr } = await startScript(program).ended;
  assert.deepEqual([exit, stdout, stderr], [0, 'TimeoutError\n', '']);
});

test('Epoll: a worker that waits, in either way, can be terminated', { timeout: 60_000 }, async () => {
  for (const wait of ['epoll.waitSync()', 'await epoll.wait()']) {
    const source = `
      import { parentPort } from 'node:worker_threads';
      import { readiness } from ${JSON.stringify(import.meta.resolve('vecino/socket'))};
      const epoll = new readiness.Epoll();
      parentPort.postMessage(epoll.fd);
      ${wait};`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate(); // its descriptors end with it
  }
});
