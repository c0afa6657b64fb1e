import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { signals } from 'vecino/signal';
import { constants, TimeoutError } from 'vecino/system';
import { start, startScript, temporaryFolder } from '../support/processes.js';
import { compileQueue, has, masks, signalSet, stayAwake, threads } from './support.js';

stayAwake();
const queue = compileQueue(temporaryFolder());
const RTMIN = constants['SIGRTMIN']!;

test('Signals: wait resolves with the first signal of the set, as it was named', async () => {
  const waiting = signals.wait(['SIGUSR2', 'SIGRTMIN+2']);
  const sender = start(queue, [String(process.pid), String(RTMIN + 2), '1']);
  const info = await waiting;
  assert.deepEqual(
    [info.name, info.number, info.code, info.pid, info.value],
    ['SIGRTMIN+2', RTMIN + 2, 'SI_QUEUE', sender.pid, 0],
  );
  await sender.ended;
});

test('Signals: signals that come while they are blocked wait in order, and each wait takes one', async () => {
  signals.block('SIGRTMIN+2');
  for (let value = 0; value < 6; value++) signals.send(process.pid, 'SIGRTMIN+2', value);
  const values = [
    (await signals.wait('SIGRTMIN+2')).value,
    signals.waitSync('SIGRTMIN+2').value,
    signals.tryWait('SIGRTMIN+2')?.value,
    (await signals.wait('SIGRTMIN+2', { timeout: 0 })).value,
    signals.waitSync('SIGRTMIN+2', { timeout: 0 }).value,
    (await signals.wait(['SIGUSR2', 'SIGRTMIN+2'])).value,
  ];
  assert.deepEqual(values, [0, 1, 2, 3, 4, 5]);
  assert.equal(signals.tryWait('SIGRTMIN+2'), undefined);
  await assert.rejects(signals.wait('SIGRTMIN+2', { timeout: 0 }), TimeoutError);
  assert.throws(() => signals.waitSync('SIGRTMIN+2', { timeout: 0 }), TimeoutError);
  signals.unblock('SIGRTMIN+2');
});

test('Signals: several waits are ended one by one, the oldest first', async () => {
  signals.block('SIGRTMIN+2');
  const order: number[] = [];
  const waits = [0, 1, 2].map((index) => signals.wait('SIGRTMIN+2').then(({ value }) => order.push(index, value!)));
  for (const value of [10, 11, 12]) signals.send(process.pid, 'SIGRTMIN+2', value);
  await Promise.all(waits);
  assert.deepEqual(order, [0, 10, 1, 11, 2, 12]);
  signals.unblock('SIGRTMIN+2');
});

test('Signals: a wait that times out or is aborted takes no signal with it', { timeout: 60_000 }, async () => {
  signals.block('SIGRTMIN+2');
  await assert.rejects(signals.wait('SIGRTMIN+2', { timeout: 5 }), TimeoutError);
  assert.throws(() => signals.waitSync('SIGRTMIN+2', { timeout: 5 }), TimeoutError);
  const reason = new Error('enough');
  await assert.rejects(signals.wait('SIGRTMIN+2', { signal: AbortSignal.abort(reason) }), reason);
  const sender = start(queue, [String(process.pid), String(RTMIN + 2), '3000']);
  const values: number[] = [];
  while (values.length < 3000) {
    const controller = new AbortController();
    const waiting = signals.wait('SIGRTMIN+2', { signal: controller.signal });
    if (values.length % 2 === 0) setImmediate(() => controller.abort(reason));
    try {
      values.push((await waiting).value!);
    } catch (error) {
      assert.equal(error, reason);
    }
  }
  assert.deepEqual(
    values,
    Array.from({ length: 3000 }, (_, index) => index),
  );
  await sender.ended;
  signals.unblock('SIGRTMIN+2');
});

test('Signals: a wait takes what handlers get, too; blocked signals go to waits only, until they are unblocked', async () => {
  const seen: number[] = [];
  const subscription = signals.on('SIGRTMIN+2', ({ value }) => seen.push(value!));
  const waiting = signals.wait('SIGRTMIN+2');
  signals.send(process.pid, 'SIGRTMIN+2', 1);
  assert.equal((await waiting).value, 1);
  while (seen.length < 1) await new Promise((resolve) => setTimeout(resolve, 2));
  signals.block('SIGRTMIN+2');
  for (const value of [2, 3, 4]) signals.send(process.pid, 'SIGRTMIN+2', value);
  assert.equal((await signals.wait('SIGRTMIN+2')).value, 2);
  assert.deepEqual(seen, [1]);
  signals.unblock('SIGRTMIN+2');
  while (seen.length < 3) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.deepEqual(seen, [1, 3, 4]);
  subscription.close();
});

test('Signals: waitSync is woken by another process and leaves the handlers their signals', async () => {
  const seen: number[] = [];
  const subscription = signals.on('SIGRTMIN+3', ({ value }) => seen.push(value!));
  const other = start(queue, [String(process.pid), String(RTMIN + 3), '100']);
  signals.block('SIGUSR2'); // it may come before the wait
  const sender = start('sh', ['-c', `sleep 0.1; kill -USR2 ${process.pid}`]);
  assert.equal(signals.waitSync('SIGUSR2', { timeout: 60_000 }).pid, sender.pid);
  signals.unblock('SIGUSR2');
  assert.deepEqual(seen, []);
  while (seen.length < 100) await new Promise((resolve) => setTimeout(resolve, 2));
  subscription.close();
  await Promise.all([other.ended, sender.ended]);
});

test('Signals: block holds in all threads, also twice and by another thread; unblock brings the default action', async () => {
  signals.block(['SIGUSR2', 'SIGHUP']);
  signals.block('SIGUSR2');
  for (const text of threads()) assert.ok(has(signalSet(text, 'SigBlk'), 12));
  signals.unblock(['SIGUSR2', 'SIGHUP']);
  while (masks().some((mask) => has(mask, 12))) await new Promise((resolve) => setTimeout(resolve, 2));
  const { signal, stdout } = await startScript(`
    import { signals } from 'vecino';
    signals.block('SIGUSR2');
    signals.send(process.pid, 'SIGUSR2');
    console.log('alive');
    signals.unblock('SIGUSR2');
    setTimeout(() => {}, 60_000);`).ended;
  assert.deepEqual([signal, stdout], ['SIGUSR2', 'alive\n']);
});

test('Signals: a blocked signal that Node listens to comes when it is unblocked', async () => {
  const { stdout, stderr } = await startScript(`
    import { signals } from 'vecino';
    process.on('SIGUSR2', () => { console.log('node'); process.exit(); });
    signals.block('SIGUSR2');
    signals.send(process.pid, 'SIGUSR2');
    setTimeout(() => { console.log('unblock'); signals.unblock('SIGUSR2'); }, 50);
    setTimeout(() => {}, 60_000);`).ended;
  assert.equal(stdout, 'unblock\nnode\n', stderr);
});

test('Signals: a pending wait keeps the program running', async () => {
  const program = startScript(`
    import { signals } from 'vecino';
    console.log('ready');
    const { code } = await signals.wait('SIGUSR2');
    console.log(code);`);
  await program.line();
  // The wait begins after the line is printed.
  while (!masks(program.pid).every((mask) => has(mask, 12))) await new Promise((resolve) => setTimeout(resolve, 2));
  signals.send(program.pid, 'SIGUSR2');
  assert.equal(await program.line(), 'SI_USER');
  assert.equal((await program.ended).code, 0);
});

test('Signals: ignore: nothing happens and children do not inherit it; reset: the default action is back', async () => {
  const { stdout, stderr, signal } = await startScript(`
    import { execFileSync } from 'node:child_process';
    import { signals } from 'vecino';
    const seen = [];
    signals.on('SIGTERM', () => seen.push(1));
    signals.ignore('SIGTERM');
    signals.send(process.pid, 'SIGTERM');
    console.log(/SigIgn:\\s*(\\S+)/.exec(execFileSync('cat', ['/proc/self/status'], { encoding: 'utf8' }))[1]);
    setTimeout(() => {
      console.log(seen.length);
      signals.ignore('SIGTERM');
      signals.reset('SIGTERM');
      signals.send(process.pid, 'SIGTERM');
    }, 50);
    setTimeout(() => {}, 60_000);`).ended;
  assert.deepEqual([stdout, signal], ['0000000000000000\n0\n', 'SIGTERM'], stderr);
});

test('Signals: reset ends this thread’s handlers; a handler after ignore is called, and the signal is ignored again after it', async () => {
  const { stdout, stderr, signal } = await startScript(`
    import { signals } from 'vecino';
    const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
    signals.ignore('SIGUSR2');
    let handled;
    const awaited = new Promise((resolve) => { handled = resolve; });
    const subscription = signals.on('SIGUSR2', () => { console.log('handled'); handled(); });
    setTimeout(() => {}, 60_000);
    signals.send(process.pid, 'SIGUSR2');
    await awaited;
    subscription.close();
    signals.send(process.pid, 'SIGUSR2');
    await pause();
    console.log('alive');
    signals.on('SIGUSR2', () => console.log('never'));
    signals.reset('SIGUSR2');
    signals.send(process.pid, 'SIGUSR2'); // the timer keeps the program until it has come`).ended;
  assert.deepEqual([stdout, signal], ['handled\nalive\n', 'SIGUSR2'], stderr);
});

test('Signals: what Node listens to cannot be ignored', async () => {
  process.on('SIGUSR2', () => {});
  assert.throws(
    () => signals.ignore('SIGUSR2'),
    (error: Error & { code?: string }) => error.code === 'EBUSY' && /process\.on/.test(error.message),
  );
  process.removeAllListeners('SIGUSR2');
  signals.ignore('SIGUSR2');
  signals.reset('SIGUSR2');
});

test('Signals: a worker that waits, in either way, can be terminated', { timeout: 60_000 }, async () => {
  for (const wait of ["signals.waitSync('SIGUSR2')", "await signals.wait('SIGUSR2')"]) {
    const source = `
      import { parentPort } from 'node:worker_threads';
      import { signals } from ${JSON.stringify(import.meta.resolve('vecino/signal'))};
      parentPort.postMessage('here');
      ${wait};`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
  }
});
