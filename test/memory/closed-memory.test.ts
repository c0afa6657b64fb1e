import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runScript, temporaryFolder, uniqueName } from '../support/processes.js';

/** What the scripts share: the ways to make memory, and the collector. */
const PRELUDE = `
  import { randomFill } from 'node:crypto';
  import { closeSync, openSync, read, readFileSync, writeSync } from 'node:fs';
  import { setFlagsFromString } from 'node:v8';
  import { runInNewContext } from 'node:vm';
  import { promisify } from 'node:util';
  import { Worker } from 'node:worker_threads';
  import { gzip } from 'node:zlib';
  import { connect, listen, Mutex, SharedMemory, SysVSharedMemory, Topic } from 'vecino';
  import { native } from '#src/system/native.js';
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc');
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const SIZE = 1 << 20;
  const name = process.argv[1];
  const areas = (what) => readFileSync('/proc/self/maps', 'utf8').split('\\n').filter((line) => line.includes(what)).length;
  const ways = {
    anonymous: () => SharedMemory.anonymous(SIZE),
    named() { const memory = SharedMemory.create(name, SIZE); memory.unlink(); return memory; },
    'by descriptor'() { const memory = SharedMemory.anonymous(SIZE); const twin = SharedMemory.fromFd(memory.fd); memory.close(); return twin; },
    'read-only'() { const memory = SharedMemory.anonymous(SIZE); const twin = SharedMemory.fromFd(memory.fd, { readOnly: true }); memory.close(); return twin; },
    'System V'() { const memory = SysVSharedMemory.create('private', SIZE); memory.remove(); return memory; },
  };`;
const script = (source: string, args: string[] = [uniqueName('closed')]) =>
  runScript(PRELUDE + source, args, { env: { ...process.env, VECINO_RUNTIME_DIR: runtime } });
const runtime = temporaryFolder();

test('Shared memory: closed while zlib, crypto and fs work on it, of every kind, it hurts neither the process nor other memory', async () => {
  const output = await script(`
    const file = openSync(process.execPath, 'r');
    for (const [kind, make] of Object.entries(ways)) {
      for (let round = 0; round < 5; round++) {
        const one = make(), two = make(), three = make();
        const ends = [
          promisify(gzip)(new Uint8Array(one.buffer)),
          promisify(randomFill)(new Uint8Array(two.buffer)),
          promisify(read)(file, new Uint8Array(three.buffer), 0, SIZE, 0).catch((error) => { if (error.code !== 'EFAULT') throw error; }), // read-only
        ];
        for (const memory of [one, two, three]) memory.close();
        const others = Array.from({ length: 6 }, make); // where the closed ones lay, if the kernel could choose
        await Promise.all(ends);
        for (const other of others) {
          if (!Buffer.alloc(SIZE).equals(Buffer.from(other.buffer))) throw new Error(kind + ': written to another segment');
          other.check?.();
          other.close();
        }
      }
      console.log(kind);
    }`);
  assert.equal(output, 'anonymous\nnamed\nby descriptor\nread-only\nSystem V\n');
});

test('Channels: closed while others work on memory that a loan gave them, they hurt neither the process nor each other', async () => {
  const output = await script(`
    for (let round = 0; round < 10; round++) {
      const listener = await listen(name, { codec: 'bytes' });
      const [server, client] = await Promise.all([listener.accept(), connect(name, { codec: 'bytes' })]);
      const topic = await Topic.open(name + '-topic', { codec: 'bytes' });
      const filled = [client.reserve(4096), topic.reserve(4096)].map((loan) => promisify(randomFill)(loan.bytes));
      client.close();
      server.close();
      topic.close();
      listener.close();
      await Promise.all(filled);
    }
    console.log('lives');`);
  assert.equal(output, 'lives\n');
});

test('Shared memory: close() releases what is shared at once, whoever still works on the range', async () => {
  const output = await script(`
    const memory = SharedMemory.anonymous(SIZE);
    const segment = SysVSharedMemory.create('private', SIZE);
    const twin = SysVSharedMemory.open({ id: segment.id });
    const ends = [memory, segment].map((each) => promisify(randomFill)(new Uint8Array(each.buffer)));
    memory.close();
    segment.close();
    console.log(areas('memfd:vecino'), twin.status().attached, native.mappingCount(), native.reservationCount());
    const theirs = new Uint8Array(twin.buffer).slice(); // some of it was filled before
    await Promise.all(ends);
    console.log(Buffer.from(twin.buffer).equals(theirs));
    twin.remove();
    twin.close();
    console.log(areas('SYSV'));`);
  assert.equal(output, '0 1 1 2\ntrue\n0\n');
});

test('Shared memory: a lock that is held keeps the memory shared after close(), and its release gives it up', async () => {
  const output = await script(`
    const memory = SharedMemory.anonymous(SIZE);
    const guard = Mutex.create(memory).lockSync();
    const zipped = promisify(gzip)(new Uint8Array(memory.buffer));
    memory.close();
    console.log(areas('memfd:vecino'), native.mappingCount(), native.reservationCount());
    guard.release();
    console.log(areas('memfd:vecino'), native.mappingCount(), native.reservationCount());
    await zipped;
    const held = (() => { const other = SharedMemory.anonymous(SIZE); const held = Mutex.create(other).lockSync(); other.close(); return held; })();
    console.log(areas('memfd:vecino'));
    held.release();
    console.log(areas('memfd:vecino'), native.mappingCount(), native.reservationCount());`);
  assert.equal(output, '1 1 0\n0 0 1\n1\n0 0 2\n');
});

test('Shared memory: the addresses of what was closed are given back when its buffer is collected', async () => {
  const output = await script(`
    for (const make of Object.values(ways)) for (let i = 0; i < 20; i++) make().close();
    for (let i = 0; i < 100 && native.reservationCount() > 0; i++) { gc(); await turn(); }
    console.log(native.mappingCount(), native.reservationCount());
    // Kept by a view, it stays.
    const view = (() => { const memory = SharedMemory.anonymous(SIZE); const view = new Uint8Array(memory.buffer); memory.close(); return view; })();
    for (let i = 0; i < 5; i++) { gc(); await turn(); }
    console.log(native.reservationCount(), view.length);`);
  assert.equal(output, '0 0\n1 0\n');
});

test('Shared memory: opened and closed 100,000 times without a turn of the event loop, it exhausts nothing', {
  timeout: 300_000,
}, async () => {
  const output = await script(`
    const status = (key) => Number(new RegExp(key + ':\\\\s+(\\\\d+)').exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
    const memory = SharedMemory.anonymous(SIZE);
    const [before, resident] = [areas(''), status('VmRSS')];
    let most = 0;
    for (let i = 0; i < 100_000; i++) {
      const each = SharedMemory.fromFd(memory.fd);
      new Uint8Array(each.buffer)[i % SIZE] = 1;
      each.close();
      if (i % 10_000 === 0) most = Math.max(most, areas(''));
    }
    const grown = status('VmRSS') - resident;
    console.log(most - before < 1000, grown < 300 || grown);`);
  assert.equal(output, 'true true\n');
});

test('Shared memory: with an address space that is limited, memory that was closed makes room for more', async () => {
  const output = await script(`
    import { execFileSync } from 'node:child_process';
    const memory = SharedMemory.create(name, 1 << 26);
    const size = Number(/VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
    execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + (size + 2 ** 30) + ':']);
    for (let i = 0; i < 500; i++) SharedMemory.open(name).close();
    memory.unlink();
    console.log('enough');`);
  assert.equal(output, 'enough\n');
});

test('Shared memory: under a limit of private memory, closing is as harmless and does not count', async () => {
  const output = await script(`
    import { execFileSync } from 'node:child_process';
    import { truncateSync } from 'node:fs';
    const memory = SharedMemory.create(name, SIZE);
    truncateSync('/dev/shm/' + name, 2 ** 31); // holes
    const large = SharedMemory.open(name);
    memory.unlink();
    memory.close();
    const data = Number(/VmData:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
    const bytes = new Uint8Array(large.buffer);
    const ends = [promisify(gzip)(bytes.subarray(0, SIZE)), promisify(randomFill)(bytes.subarray(SIZE, SIZE + 65536))];
    execFileSync('prlimit', ['--pid', String(process.pid), '--data=' + (data + 2 ** 29)]); // enough for all the rest
    large.close();
    console.log(areas(name), native.mappingCount());
    await Promise.all(ends);
    console.log('lives');`);
  assert.equal(output, '0 0\nlives\n');
});

test('Shared memory: truncated and closed while other threads read it, in any order, the process lives', async () => {
  const output = await script(`
    import { truncateSync } from 'node:fs';
    for (let round = 0; round < 100; round++) {
      const memory = SharedMemory.create(name, SIZE);
      const ends = Array.from({ length: 4 }, (_, i) => promisify(gzip)(new Uint8Array(memory.buffer, i * 1000), { level: 1 }));
      memory.unlink();
      if (round % 2) await turn();
      truncateSync('/proc/self/fd/' + memory.fd, 0);
      if (round % 3) await turn();
      memory.close();
      await Promise.all(ends);
    }
    console.log('lives');`);
  assert.equal(output, 'lives\n');
});

test('Shared memory: a worker that ends, or is terminated, while others work on its memory takes its mappings with it', async () => {
  const output = await script(`
    const source = (end) => \`
      import { randomFill } from 'node:crypto';
      import { gzip } from 'node:zlib';
      import { parentPort } from 'node:worker_threads';
      import { SharedMemory, SysVSharedMemory } from \${JSON.stringify(import.meta.resolve('vecino'))};
      globalThis.kept = [];
      for (let i = 0; i < 8; i++) {
        const memory = i % 2 ? SharedMemory.anonymous(1 << 20) : SysVSharedMemory.create('private', 1 << 20);
        if (i % 2 === 0) memory.remove();
        if (i < 6) gzip(new Uint8Array(memory.buffer), () => {});
        else randomFill(new Uint8Array(memory.buffer), () => {});
        if (i % 4 < 2) memory.close(); else kept.push(memory);
      }
      parentPort.postMessage('working');
      \${end}\`;
    for (const end of ['', 'process.exit();', 'setInterval(() => {}, 1000);']) {
      for (let round = 0; round < 5; round++) {
        const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source(end))));
        const ended = new Promise((resolve) => worker.once('exit', resolve));
        await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
        if (end.startsWith('set')) await worker.terminate();
        await ended;
      }
      console.log(native.mappingCount(), native.reservationCount(), areas('SYSV'), areas('memfd:vecino'));
    }`);
  assert.equal(output, '0 0 0 0\n'.repeat(3));
});

test('Shared memory: moved to another object, it stays shared when the first one is collected', async () => {
  const output = await script(`
    const memory = SharedMemory.anonymous(SIZE);
    const twin = SharedMemory.fromFd(memory.fd);
    const moved = memory.buffer.transfer?.();
    memory.close();
    for (let i = 0; i < 5; i++) { gc(); await turn(); }
    if (moved !== undefined) new Uint8Array(moved)[0] = 7;
    console.log(moved === undefined ? 7 : new Uint8Array(twin.buffer)[0], native.reservationCount());`);
  assert.match(output, /^7 [01]\n$/);
});
