import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { readiness } from 'vecino/socket';
import { close, constants, dup3, eventfd, pipe2, TimeoutError, write } from 'vecino/system';
import { root, start } from '../../support/processes.js';

const one = new Uint8Array([1]);
const eight = new Uint8Array(new BigUint64Array([1n]).buffer);
const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

test('poll: poll resolves with the entries that became ready, each with its events and whatever it carried', async () => {
  const [reader, writer] = pipe2(constants['O_NONBLOCK']);
  const idle = eventfd();
  const waiting = readiness.poll([
    { fd: idle, read: true, name: 'idle' },
    { fd: reader, read: true, name: 'pipe' },
  ]);
  setImmediate(() => write(writer, one));
  const [found, ...others] = await waiting;
  assert.deepEqual(others, []);
  assert.equal(found!.fd, reader);
  assert.equal(found!.entry.name, 'pipe');
  assert.deepEqual(found!.events, {
    read: true,
    write: false,
    priority: false,
    peerClosed: false,
    hangUp: false,
    error: false,
    invalid: false,
  });
  for (const fd of [reader, writer, idle]) close(fd);
});

test('poll: the three voices: tryPoll answers at once, pollSync blocks, poll does not', async () => {
  const fd = eventfd();
  const entries = [{ fd, read: true }];
  assert.equal(readiness.tryPoll(entries), undefined);
  assert.throws(() => readiness.pollSync(entries, 20), TimeoutError);
  await assert.rejects(readiness.poll(entries, { timeout: 20 }), TimeoutError);
  const child = start('sh', ['-c', `sleep 0.05; printf '\\1\\0\\0\\0\\0\\0\\0\\0' >&3`], {
    stdio: ['pipe', 'pipe', 'pipe', fd],
  });
  assert.equal(readiness.pollSync(entries, 60_000)[0]!.events.read, true);
  assert.equal(readiness.tryPoll(entries)!.length, 1);
  assert.equal((await readiness.poll(entries)).length, 1);
  close(fd);
  await child.ended;
});

test('poll: a descriptor may stand in several entries, each with its own answer', async () => {
  const fd = eventfd();
  const waiting = readiness.poll([
    { fd, read: true },
    { fd, priority: true },
    { fd, read: true },
  ]);
  setImmediate(() => write(fd, eight));
  assert.equal((await waiting).length, 2);
  const both = readiness.tryPoll([
    { fd, read: true },
    { fd, write: true },
  ])!;
  assert.deepEqual(
    both.map(({ events }) => [events.read, events.write]),
    [
      [true, false],
      [false, true],
    ],
  );
  close(fd);
});

test('poll: a hang-up, an error and a closed descriptor are told, asked for or not', async () => {
  const [reader, writer] = pipe2();
  const [reader2, writer2] = pipe2();
  close(writer);
  close(reader2);
  const found = await readiness.poll([{ fd: reader }, { fd: writer2, write: true }, { fd: writer, read: true }]);
  assert.deepEqual(
    found.map(({ events }) => [events.hangUp, events.error, events.invalid]),
    [
      [true, false, false],
      [false, true, false],
      [false, false, true],
    ],
  );
  assert.equal(readiness.pollSync([{ fd: writer }])[0]!.events.invalid, true);
  close(reader);
  close(writer2);
});

test('poll: a peer that goes while it is polled ends the wait', async () => {
  const child = start('cat');
  const [reader, writer] = pipe2(constants['O_NONBLOCK']);
  const holder = start('sleep', ['60'], { stdio: ['pipe', 'pipe', 'pipe', writer] });
  close(writer);
  const waiting = readiness.poll([{ fd: reader, read: true }]);
  await holder.kill();
  assert.equal((await waiting)[0]!.events.hangUp, true);
  close(reader);
  await child.kill();
});

test('poll: a regular file is always ready; a descriptor above 1023 is like any other', async () => {
  const file = openSync('/proc/self/exe', 'r');
  const fd = eventfd();
  const high = dup3(fd, 1500);
  const found = await readiness.poll([
    { fd: file, read: true },
    { fd: high, write: true },
  ]);
  assert.deepEqual(
    found.map((result) => result.fd),
    [file, high],
  );
  for (const each of [file, fd, high]) close(each);
});

test('poll: an aborted wait rejects with the reason, also of a signal that had aborted before', async () => {
  const fd = eventfd();
  const controller = new AbortController();
  const waiting = readiness.poll([{ fd, read: true }], { signal: controller.signal });
  setImmediate(() => controller.abort(new Error('enough')));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(readiness.poll([{ fd, write: true }], { signal: controller.signal }), /enough/);
  close(fd);
});

test('poll: signals do not end pollSync: it goes on with the time that remains', async () => {
  const fd = eventfd();
  process.on('SIGUSR2', () => {});
  const child = start('sh', ['-c', 'i=0; while [ $i -lt 20 ]; do kill -USR2 $PPID; sleep 0.01; i=$((i+1)); done']);
  const began = performance.now();
  assert.throws(() => readiness.pollSync([{ fd, read: true }], 400), TimeoutError);
  assert.ok(performance.now() - began >= 399);
  close(fd);
  await child.ended;
  process.removeAllListeners('SIGUSR2');
});

test('poll: a worker that blocks in pollSync can be terminated', { timeout: 60_000 }, async () => {
  const source = `
    import { parentPort } from 'node:worker_threads';
    import { readiness } from ${JSON.stringify(import.meta.resolve('vecino/socket'))};
    parentPort.postMessage('here');
    readiness.pollSync([]);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  await new Promise((resolve) => worker.once('message', resolve));
  await worker.terminate();
});

test('poll: what is no list of entries is refused', async () => {
  const type = code('ERR_INVALID_ARG_TYPE');
  for (const entries of [null, undefined, 5, {}, [null], [5], [{}], [{ fd: '1' }], [{ fd: 0, read: 1 }]])
    await assert.rejects(readiness.poll(entries as never), type);
  for (const fd of [-1, Number.NaN, 0.5, 2 ** 31]) {
    await assert.rejects(readiness.poll([{ fd, read: true }]), code('ERR_OUT_OF_RANGE'));
    assert.throws(() => readiness.tryPoll([{ fd, read: true }]), code('ERR_OUT_OF_RANGE'));
    assert.throws(() => readiness.pollSync([{ fd, read: true }]), code('ERR_OUT_OF_RANGE'));
  }
  const refusal = Object.defineProperty({}, 'fd', {
    get() {
      throw new Error('no');
    },
  });
  await assert.rejects(readiness.poll([refusal as never]), /no/);
  await assert.rejects(readiness.poll([], 10), TimeoutError);
  assert.throws(() => readiness.pollSync([], Number.NaN), code('ERR_OUT_OF_RANGE'));
});

test('poll: more entries than the process may have descriptors are EINVAL, with the limit named', async () => {
  const program = `
    import { readiness } from 'vecino';
    import { eventfd } from 'vecino/system';
    const fd = eventfd();
    readiness.tryPoll(Array.from({ length: 201 }, () => ({ fd })));`;
  const node = [process.execPath, '--input-type=module', '--eval', program];
  const { stderr } = await start('sh', ['-c', 'ulimit -n 200; exec "$@"', 'sh', ...node], { cwd: root }).ended;
  assert.match(stderr, /SystemError: EINVAL.*RLIMIT_NOFILE/);
});
