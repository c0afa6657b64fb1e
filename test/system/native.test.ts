import assert from 'node:assert/strict';
import { closeSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { native } from '#src/system/native.js';
import { descriptors } from '../support/leaks.js';
import { root, startScript, temporaryFolder } from '../support/processes.js';

/** A copy of the built package, in which a test may break things. */
function copyOfPackage(): string {
  const folder = temporaryFolder();
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  return folder;
}
const load = (folder: string) =>
  startScript(`await import(${JSON.stringify(`${folder}/dist/system/index.js`)}); console.log('loaded');`).ended;
const built = join(root, 'native', 'build', 'Release', 'vecino.node');

test('Addon: without an addon, one sentence says what to install and what to run', async () => {
  const { code, stderr } = await load(copyOfPackage());
  assert.equal(code, 1);
  assert.match(
    stderr,
    /vecino has no native addon for linux-\w+, Node v[\d.]+: none was shipped or built\. Install a C compiler .* then run: node .*build-native\.mjs/,
  );
});

test('Addon: a prebuilt addon is preferred, and one that does not load gives way to the local build', async () => {
  const folder = copyOfPackage();
  const prebuilt = join(folder, 'prebuilds', `linux-${process.arch}`);
  mkdirSync(prebuilt, { recursive: true });
  cpSync(built, join(prebuilt, 'vecino.node'));
  assert.equal((await load(folder)).stdout, 'loaded\n');
  writeFileSync(join(prebuilt, 'vecino.node'), 'not an addon');
  const refused = await load(folder);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /prebuilds.*vecino\.node: (file too short|invalid ELF header)/);
  mkdirSync(join(folder, 'native', 'build', 'Release'), { recursive: true });
  cpSync(built, join(folder, 'native', 'build', 'Release', 'vecino.node'));
  assert.equal((await load(folder)).stdout, 'loaded\n');
});

test('Addon: on another system than Linux it says so', async () => {
  const { stderr } = await startScript(
    `Object.defineProperty(process, 'platform', { value: 'darwin' }); await import('vecino');`,
  ).ended;
  assert.match(stderr, /works on Linux only/);
});

test('Addon: workers load it at the same time, use it, and go, some of them by force, while others go on', async () => {
  const source = `
    import { parentPort } from 'node:worker_threads';
    import { SharedMemory } from ${JSON.stringify(import.meta.resolve('vecino'))};
    import { pipe2, read, write, close } from ${JSON.stringify(import.meta.resolve('vecino/system'))};
    parentPort.postMessage('ready');
    for (let round = 0; ; round++) {
      const memory = SharedMemory.anonymous(65536);
      const bytes = new Uint8Array(memory.buffer);
      const [reader, writer] = pipe2();
      write(writer, Uint8Array.of(1, 2, 3));
      read(reader, bytes, 100, 3);
      if (bytes[102] !== 3) throw new Error('wrong byte');
      close(reader); close(writer); memory.close();
      if (round % 50 === 49) { parentPort.postMessage(round); await new Promise(setImmediate); }
    }`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  for (let generation = 0; generation < 3; generation++) {
    const before = new Set(descriptors());
    const workers = Array.from({ length: 4 }, () => new Worker(url));
    const failed = Promise.race(workers.map((worker) => new Promise((_, reject) => worker.once('error', reject))));
    failed.catch(() => {});
    const rounds = workers.map(
      (worker) => new Promise<void>((resolve) => worker.on('message', (round) => round >= 99 && resolve())),
    );
    await Promise.race([Promise.all(rounds), failed]);
    await Promise.all(workers.map((worker) => worker.terminate()));
    // A thread that is ended between two lines cannot close what it holds; the numbers are the process's.
    for (const entry of descriptors()) {
      if (!before.has(entry) && /-> (\/memfd:vecino|pipe:)/.test(entry)) closeSync(Number(entry.split(' ')[0]));
    }
  }
  assert.equal(native.mappingCount(), 0);
});

test('Addon: arguments of a wrong type reach no descriptor: the addon answers EBADF or EINVAL and lives', () => {
  const functions = native as unknown as Record<string, unknown>;
  const odd = [
    undefined,
    null,
    Number.NaN,
    -1,
    2 ** 53,
    'x',
    {},
    [],
    Symbol.iterator,
    () => {},
    new Uint8Array(0),
    new ArrayBuffer(4),
  ];
  let calls = 0;
  for (const [name, call] of Object.entries(functions)) {
    // These act on the process or on names, which odd arguments can make valid, or wait for ever as asked.
    const valid = [
      'setParentDeathSignal',
      'pipe2',
      'eventfd',
      'epollCreate',
      'memfdCreate',
      'usePool',
      'poll',
      'pollOne',
    ];
    const waiting = [
      'openerStart',
      'msgWaitStart',
      'msgSendStart',
      'fileLockStart',
      'semOperateStart',
      'ringOpen',
      'waiterOpen',
    ];
    if (typeof call !== 'function' || [...valid, ...waiting, 'msgget'].includes(name)) continue;
    for (const value of odd) {
      const args = Array.from({ length: 6 }, () => value);
      const result = (call as (...args: unknown[]) => unknown)(...args);
      if (
        typeof result === 'number' &&
        !['gettid', 'getcpu', 'schedYield', 'mappingCount', 'reservationCount', 'mappingDamage', 'strerror'].includes(
          name,
        )
      ) {
        assert.ok(result <= 0, `${name}(${String(value)}) gave ${result}`);
      }
      calls++;
    }
  }
  assert.ok(calls > 100);
});

test('Addon: the symbols that the addon needs are in every C library since glibc 2.34', () => {
  const text = readFileSync(built, 'latin1');
  const versions = [...text.matchAll(/GLIBC_2\.(\d+)/g)].map((match) => Number(match[1]));
  assert.ok(Math.max(...versions) <= 34, `needs glibc 2.${Math.max(...versions)}`);
});
