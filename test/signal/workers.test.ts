import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { signals } from 'vecino/signal';
import { constants } from 'vecino/system';
import { start, startScript, temporaryFolder } from '../support/processes.js';
import { compileQueue, stayAwake } from './support.js';

stayAwake();
const queue = compileQueue(temporaryFolder());
const RTMIN = constants['SIGRTMIN']!;

/** A worker whose source has `signals` and `parentPort`; its messages, one by one. */
function startWorker(body: string): { worker: Worker; message(): Promise<unknown> } {
  const source = `
    import { parentPort } from 'node:worker_threads';
    import { signals } from ${JSON.stringify(import.meta.resolve('vecino/signal'))};
    ${body}
    parentPort.on('message', () => {});
    parentPort.postMessage('ready');`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  const messages: unknown[] = [];
  const waiting: ((message: unknown) => void)[] = [];
  worker.on('message', (message) => {
    if (waiting.length > 0) waiting.shift()!(message);
    else messages.push(message);
  });
  return {
    worker,
    message: () =>
      messages.length > 0 ? Promise.resolve(messages.shift()) : new Promise((resolve) => waiting.push(resolve)),
  };
}

test('Signals: two workers and the main thread subscribe to one signal: each gets all of them, in order', {
  timeout: 60_000,
}, async () => {
  const body = `
    const values = [];
    signals.on('SIGRTMIN+1', ({ value }) => { if (values.push(value) === 1000) parentPort.postMessage(values); });`;
  const workers = [startWorker(body), startWorker(body)];
  for (const each of workers) assert.equal(await each.message(), 'ready');
  const mine: number[] = [];
  const subscription = signals.on('SIGRTMIN+1', ({ value }) => mine.push(value!));
  const sender = start(queue, [String(process.pid), String(RTMIN + 1), '1000']);
  const expected = Array.from({ length: 1000 }, (_, index) => index);
  for (const each of workers) assert.deepEqual(await each.message(), expected);
  while (mine.length < 1000) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.deepEqual(mine, expected);
  subscription.close();
  await Promise.all(workers.map(({ worker }) => worker.terminate()));
  await sender.ended;
});

test('Signals: a worker that is terminated while it subscribes harms nobody, and the others go on', {
  timeout: 60_000,
}, async () => {
  const body = `signals.on('SIGRTMIN+1', ({ value }) => parentPort.postMessage(value));`;
  const [one, two] = [startWorker(body), startWorker(body)];
  for (const each of [one, two]) assert.equal(await each.message(), 'ready');
  await one.worker.terminate();
  for (let value = 0; value < 5; value++) {
    signals.send(process.pid, 'SIGRTMIN+1', value);
    assert.equal(await two.message(), value);
  }
  await two.worker.terminate();
});

test('Signals: workers come and go in a storm, and the main thread gets every signal', {
  timeout: 60_000,
}, async () => {
  const values: number[] = [];
  const subscription = signals.on('SIGRTMIN+1', ({ value }) => values.push(value!));
  const sender = start(queue, [String(process.pid), String(RTMIN + 1), '20000']);
  for (let round = 0; round < 4; round++) {
    const { worker, message } = startWorker(`signals.on('SIGRTMIN+1', () => {}); signals.on('SIGUSR2', () => {});`);
    await message();
    await worker.terminate();
  }
  while (values.length < 20_000) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.deepEqual(
    values,
    Array.from({ length: 20_000 }, (_, index) => index),
  );
  subscription.close();
  await sender.ended;
});

test('Signals: a worker that never returns to its event loop delays neither us nor Node', {
  timeout: 60_000,
}, async () => {
  const { worker, message } = startWorker(`
    signals.on('SIGCHLD', () => {});
    signals.on('SIGUSR2', () => {});
    parentPort.postMessage('blocked');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`);
  assert.equal(await message(), 'blocked');
  assert.equal((await start('sh', ['-c', 'exit 5']).ended).code, 5);
  const seen = new Promise((resolve) => process.once('SIGUSR2', resolve));
  signals.send(process.pid, 'SIGUSR2');
  await seen;
  await worker.terminate();
});

test('Signals: when the last worker that subscribed ends, the default action is back', async () => {
  const { signal, stdout } = await startScript(`
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    import { signals } from 'vecino';
    const source = "import { parentPort } from 'node:worker_threads'; import { signals } from '" + import.meta.resolve('vecino') +
      "'; signals.on('SIGUSR2', () => parentPort.postMessage('caught')); parentPort.on('message', () => {}); parentPort.postMessage('ready');";
    const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source)));
    await once(worker, 'message');
    signals.send(process.pid, 'SIGUSR2');
    console.log((await once(worker, 'message'))[0]);
    await worker.terminate();
    signals.send(process.pid, 'SIGUSR2');
    setTimeout(() => {}, 60_000);`).ended;
  assert.deepEqual([stdout, signal], ['caught\n', 'SIGUSR2']);
});

test('Signals: a worker blocks and the main thread unblocks: the mask is the process’s', {
  timeout: 60_000,
}, async () => {
  const { worker, message } = startWorker(`signals.block('SIGRTMIN+6');`);
  await message();
  await worker.terminate();
  signals.send(process.pid, 'SIGRTMIN+6', 42);
  assert.equal(signals.tryWait('SIGRTMIN+6')?.value, 42);
  signals.unblock('SIGRTMIN+6');
});
