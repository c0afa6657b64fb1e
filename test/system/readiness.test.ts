import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { close, constants, eventfd, pipe2, readable, SystemError, TimeoutError, write } from 'vecino/system';
import { startScript } from '../support/processes.js';

const bytes = (text: string) => new TextEncoder().encode(text);

test('Readiness: readable() resolves when bytes arrive, and not before', async () => {
  const [reader, writer] = pipe2(constants['O_NONBLOCK']);
  let arrived = false;
  const waiting = readable(reader).then(() => assert.ok(arrived));
  setImmediate(() => {
    arrived = true;
    write(writer, bytes('x'));
  });
  await waiting;
  close(reader);
  close(writer);
});

test('Readiness: readable() fails with TimeoutError after its timeout and can be waited on again', async () => {
  const fd = eventfd();
  await assert.rejects(
    readable(fd, { timeout: 10 }),
    (error) => error instanceof TimeoutError && error.code === 'ERR_VECINO_TIMEOUT',
  );
  write(fd, new Uint8Array(new BigUint64Array([1n]).buffer));
  await readable(fd, { timeout: 0x7fffffff * 4 });
  close(fd);
});

test('Readiness: an abort rejects the wait with the reason of the signal, also one that was aborted before', async () => {
  const fd = eventfd();
  const reason = new Error('enough');
  const controller = new AbortController();
  const waiting = readable(fd, { signal: controller.signal });
  setImmediate(() => controller.abort(reason));
  await assert.rejects(waiting, reason);
  await assert.rejects(readable(fd, { signal: controller.signal }), reason);
  close(fd);
});

test('Readiness: many waits on one descriptor all end', async () => {
  const fd = eventfd();
  const waits = Array.from({ length: 20 }, () => readable(fd));
  write(fd, new Uint8Array(new BigUint64Array([1n]).buffer));
  await Promise.all(waits);
  close(fd);
});

test('Readiness: a regular file and a closed descriptor are refused with the reason', async () => {
  const { openSync, closeSync } = await import('node:fs');
  const file = openSync('/proc/self/exe', 'r');
  await assert.rejects(readable(file), (error) => error instanceof SystemError && error.code === 'EPERM');
  closeSync(file);
  await assert.rejects(readable(file), (error) => error instanceof SystemError && error.code === 'EBADF');
});

test('Readiness: a pending wait keeps the program running; nothing else does', async () => {
  const program = `
    import { eventfd, readable, write } from 'vecino/system';
    const fd = eventfd();
    setTimeout(() => write(fd, new Uint8Array(8).fill(1)), 20).unref();
    await readable(fd);
    console.log('woken');`;
  const { code, stdout, stderr } = await startScript(program).ended;
  assert.deepEqual([code, stdout, stderr], [0, 'woken\n', '']);
});

test('Readiness: several workers wait at once, and ending one that waits harms nobody', async () => {
  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    import { eventfd, readable } from ${JSON.stringify(import.meta.resolve('vecino/system'))};
    const fd = eventfd();
    parentPort.postMessage(fd);
    readable(fd).then(() => { parentPort.postMessage('woken'); });`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const workers = Array.from({ length: 4 }, () => new Worker(url));
  const fds = await Promise.all(
    workers.map((worker) => new Promise<number>((resolve) => worker.once('message', resolve))),
  );
  const woken = workers.slice(0, 2).map((worker) => new Promise((resolve) => worker.once('message', resolve)));
  await Promise.all(workers.slice(2).map((worker) => worker.terminate()));
  for (const fd of fds.slice(0, 2)) write(fd, new Uint8Array(8).fill(1));
  assert.deepEqual(await Promise.all(woken), ['woken', 'woken']);
  await Promise.all(workers.map((worker) => worker.terminate())); // their descriptors end with them
});
