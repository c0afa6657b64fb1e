import '../support/leaks.js';
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { signals } from 'vecino/signal';
import { stayAwake } from './support.js';

stayAwake();

test('Signals: a handler runs in the async context in which it was given', { timeout: 60_000 }, async () => {
  const storage = new AsyncLocalStorage<string>();
  const heard: unknown[] = [];
  const subscriptions = ['one', 'two'].map((context) =>
    storage.run(context, () => signals.on('SIGRTMIN+4', () => heard.push(storage.getStore()))),
  );
  storage.run('sender', () => signals.send(process.pid, 'SIGRTMIN+4'));
  while (heard.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual(heard, ['one', 'two']);
  for (const subscription of subscriptions) subscription.close();
});

test('Signals: nothing is left when the last subscriber goes while other threads look for signals', {
  timeout: 60_000,
}, async () => {
  const source = `
    import { workerData } from 'node:worker_threads';
    import { signals } from ${JSON.stringify(import.meta.resolve('vecino/signal'))};
    const stop = new Int32Array(workerData);
    while (Atomics.load(stop, 0) === 0) signals.tryWait('SIGRTMIN+5');`;
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const workers = [0, 1, 2].map(
    () => new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData: stop.buffer }),
  );
  const ended = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('online', resolve))));
  const serving = () =>
    readdirSync('/proc/self/task').filter((task) => {
      try {
        return readFileSync(`/proc/self/task/${task}/comm`, 'utf8') === 'vecino-signals\n';
      } catch {
        return false;
      }
    }).length;
  for (let i = 0; i < 50; i++) {
    signals.on('SIGRTMIN+4', () => {}).close();
    // It has been joined, and the kernel takes it from the list a moment later. One that was left would stay there.
    while (serving() > 0) await new Promise(setImmediate);
  }
  Atomics.store(stop, 0, 1);
  await Promise.all(ended);
});
