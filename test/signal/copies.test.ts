/** Two copies of the package in one process, as two versions in a dependency tree make them. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { test } from 'node:test';
import { root, runScript, temporaryFolder } from '../support/processes.js';

const limit = { timeout: 60_000 };
const copies = ['one', 'two'].map((name) => `${temporaryFolder()}/${name}`);
for (const copy of copies) {
  for (const part of ['package.json', 'dist', 'native/build/Release/vecino.node']) {
    cpSync(`${root}/${part}`, `${copy}/${part}`, { recursive: true });
  }
}
const [one, two] = copies.map((copy) => JSON.stringify(`${copy}/dist/index.js`));
const FIRST = `import * as one from ${one};`;
const BOTH = `${FIRST} import * as two from ${two};
  const until = async (done) => { while (!done()) await new Promise((resolve) => setTimeout(resolve, 1)); };`;

test(
  'Signals: every one reaches the subscribers of each copy of the package, in order, and Node’s listeners',
  limit,
  async () => {
    const output = await runScript(`${BOTH}
    const COUNT = 1000, a = [], b = [], c = [];
    one.signals.on('SIGRTMIN+1', ({ value }) => a.push(value));
    two.signals.on('SIGRTMIN+1', ({ value }) => b.push(value));
    two.signals.on('SIGUSR2', () => c.push('two'));
    process.on('SIGUSR2', () => c.push('node'));
    one.signals.on('SIGUSR2', () => c.push('one'));
    for (let i = 0; i < COUNT; i++) {
      (i % 2 ? one : two).signals.send(process.pid, 'SIGRTMIN+1', i);
      if (i % 100 === 0) await new Promise(setImmediate);
    }
    one.signals.send(process.pid, 'SIGUSR2');
    await until(() => a.length === COUNT && b.length === COUNT && c.length === 3);
    const expected = Array.from({ length: COUNT }, (_, i) => i).join();
    console.log(a.join() === expected, b.join() === expected, c.sort().join());
    process.exit();`);
    assert.equal(output, 'true true node,one,two\n');
  },
);
test(
  'Signals: the subscribers of one copy go on when the last of the other ends; then the signal has its action again',
  limit,
  async () => {
    const output = await runScript(`${BOTH}
    import { spawnSync } from 'node:child_process';
    let heard = 0;
    const ends = [one, two, one].map(({ signals }) => signals.on('SIGUSR2', () => heard++));
    for (const [index, end] of ends.entries()) {
      process.kill(process.pid, 'SIGUSR2');
      const expected = ends.length - index;
      await until(() => heard === expected);
      heard = 0;
      end.close();
    }
    console.log('default');
    process.kill(process.pid, 'SIGUSR2');
    await until(() => false);`).catch(String);
    assert.match(output, /ended with SIGUSR2\ndefault\n$/);
  },
);
test('Signals: what one copy blocks, the waits of the other take', limit, async () => {
  const output = await runScript(`${BOTH}
    one.signals.block('SIGRTMIN+2');
    two.signals.on('SIGRTMIN+2', () => console.log('not to be called'));
    one.signals.send(process.pid, 'SIGRTMIN+2', 1);
    two.signals.send(process.pid, 'SIGRTMIN+2', 2);
    console.log((await two.signals.wait('SIGRTMIN+2')).value, one.signals.tryWait('SIGRTMIN+2').value);
    two.signals.unblock('SIGRTMIN+2');
    process.exit();`);
  assert.equal(output, '1 2\n');
});
test(
  'Signals: a copy that was loaded by a worker alone, and first, serves the others after the worker has ended',
  limit,
  async () => {
    const output = await runScript(`
    import { Worker } from 'node:worker_threads';
    const worker = new Worker(${JSON.stringify(`import(${one}).then(({ signals }) => { signals.on('SIGUSR2', () => {}); process.exit(); })`)}, { eval: true });
    await new Promise((resolve) => worker.once('exit', resolve));
    const { signals } = await import(${two});
    const heard = new Promise((resolve) => signals.on('SIGUSR2', resolve));
    process.kill(process.pid, 'SIGUSR2');
    const timer = setInterval(() => {}, 1000);
    console.log((await heard).name);
    process.exit();`);
    assert.equal(output, 'SIGUSR2\n');
  },
);
test(
  'Faults: each copy guards its own memory, and hands on what is not its own, also after the worker that loaded it has ended',
  limit,
  async () => {
    const output = await runScript(
      `
    import { truncateSync } from 'node:fs';
    import { Worker } from 'node:worker_threads';
    const worker = new Worker(${JSON.stringify(`import(${one}).then(({ SharedMemory }) => { SharedMemory.anonymous(4096); process.exit(); })`)}, { eval: true });
    await new Promise((resolve) => worker.once('exit', resolve));
    // A fault that V8 makes an error of: memory of WebAssembly, out of bounds.
    const code = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 5, 1, 1, 102, 0, 0, 10, 9, 1, 7, 0, 32, 0, 40, 2, 0, 11);
    const { f } = new WebAssembly.Instance(new WebAssembly.Module(code)).exports;
    const fault = () => { try { f(1 << 20); } catch (error) { return error.constructor.name; } };
    console.log(fault());
    const copies = [await import(${one}), await import(${two})];
    for (const { SharedMemory } of copies) {
      const name = 'vecino-test-copies-' + process.pid;
      using memory = SharedMemory.create(name, 8192);
      truncateSync('/dev/shm/' + name, 0);
      memory.unlink();
      new Uint8Array(memory.buffer)[5000];
      try { memory.check(); } catch (error) { console.log(error.name, fault()); }
    }`.replaceAll('using memory', 'const memory'),
    );
    assert.equal(output, 'RuntimeError\nCorruptError RuntimeError\nCorruptError RuntimeError\n');
  },
);
