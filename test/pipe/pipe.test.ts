import '../support/leaks.js';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ClosedError, type PipeReader, type PipeWriter, pipe, SystemError, TimeoutError } from 'vecino';
import { runScript, start, startScript } from '../support/processes.js';

const limit = { timeout: 60_000 };
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (chunk: Uint8Array | null | undefined) => chunk && new TextDecoder().decode(chunk);
async function all(reader: PipeReader): Promise<string> {
  let result = '';
  for await (const chunk of reader) result += text(chunk);
  return result;
}
function fill(writer: PipeWriter): number {
  let total = 0;
  for (let count = 1; count > 0; total += count) count = writer.tryWrite(new Uint8Array(4096));
  return total;
}
function drain(reader: PipeReader): number {
  let total = 0;
  for (let chunk = reader.tryRead(); chunk; chunk = reader.tryRead()) total += chunk.length;
  return total;
}
/** Runs with both ends of a pipe and closes them. */
function using(run: (reader: PipeReader, writer: PipeWriter) => unknown, capacity?: number) {
  return async () => {
    const { reader, writer } = pipe(capacity === undefined ? {} : { capacity });
    try {
      await run(reader, writer);
    } finally {
      reader.close();
      writer.close();
    }
  };
}
const isEpipe = (written?: number) => (error: unknown) =>
  error instanceof SystemError &&
  error.code === 'EPIPE' &&
  /reading end/.test(error.message) &&
  (written === undefined || (error as { bytesWritten?: number }).bytesWritten === written);

test(
  'Pipe: what is written is read, in each voice, then nothing yet, then the end',
  using(async (reader, writer) => {
    assert.equal(reader.tryRead(), undefined);
    assert.equal(writer.tryWrite(bytes('one')), 3);
    assert.equal(text(reader.tryRead()), 'one');
    writer.writeSync(bytes('two'));
    assert.equal(text(reader.readSync()), 'two');
    const waiting = reader.read();
    await writer.write(bytes('three'));
    assert.equal(text(await waiting), 'three');
    assert.equal(reader.tryRead(), undefined);
    writer.tryWrite(Buffer.from('last'));
    writer.close();
    assert.equal(text(await reader.read({ size: 2 })), 'la');
    assert.equal(text(reader.tryRead({ size: 1 })), 's');
    assert.equal(text(reader.readSync({ size: 9 })), 't');
    assert.deepEqual([await reader.read(), reader.tryRead(), reader.readSync()], [null, null, null]);
  }),
);

test('Pipe: bytes go through a child: cat reads one pipe and writes another', limit, async () => {
  const to = pipe();
  const from = pipe();
  const { ended } = start('cat', [], { stdio: [to.reader.fd, from.writer.fd, 'inherit'] });
  to.reader.close();
  from.writer.close();
  await to.writer.write(bytes('through '));
  assert.equal(text(await from.reader.read()), 'through ');
  to.writer.writeSync(bytes('the cat'));
  to.writer.close();
  assert.equal(await all(from.reader), 'the cat');
  assert.equal((await ended).code, 0);
  from.reader.close();
});

test('Pipe: a child takes over the end that it inherited, and its own children do not inherit it', limit, async () => {
  const { reader, writer } = pipe();
  const program = `
    import { execFileSync } from 'node:child_process';
    import { PipeWriter } from 'vecino/pipe';
    const writer = PipeWriter.fromFd(3);
    await writer.write(execFileSync('sh', ['-c', 'test -e /proc/self/fd/3 && echo inherited || echo closed']));`;
  const { ended } = startScript(program, [], { stdio: ['ignore', 'inherit', 'inherit', writer.fd] });
  writer.close();
  assert.equal(await all(reader), 'closed\n');
  assert.equal((await ended).code, 0);
  reader.close();
});

test(
  'Pipe: an end that a child was given stays blocking there when this process begins to use its own',
  limit,
  async () => {
    const { reader, writer } = pipe();
    const flags = (pid: number | 'self', fd: number) =>
      Number.parseInt(/flags:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))![1]!, 8);
    const { ended, pid } = start('cat', [], { stdio: [reader.fd, 'pipe', 'pipe'] });
    assert.equal(reader.tryRead(), undefined);
    assert.equal(flags('self', reader.fd) & 0o4000, 0o4000);
    assert.equal(flags(pid, 0) & 0o4000, 0);
    reader.close();
    writer.tryWrite(bytes('still here'));
    writer.close();
    assert.deepEqual(await ended, { code: 0, signal: null, stdout: 'still here', stderr: '' });
  },
);

const pattern = new Uint8Array(1 << 20).map((_, index) => (index * 31 + (index >> 8)) & 0xff);

test(
  'Pipe: a child killed in the middle of a large write: what it had written arrives, then the end',
  limit,
  async () => {
    const { reader, writer } = pipe();
    const program = `
    import { PipeWriter } from 'vecino/pipe';
    const pattern = new Uint8Array(1 << 20).map((_, index) => (index * 31 + (index >> 8)) & 0xff);
    const writer = PipeWriter.fromFd(3);
    for (;;) writer.writeSync(pattern);`;
    const child = startScript(program, [], { stdio: ['ignore', 'inherit', 'inherit', writer.fd] });
    writer.close();
    let received = 0;
    const take = (chunk: Uint8Array) => {
      const at = received % pattern.length;
      const first = Math.min(chunk.length, pattern.length - at);
      assert.ok(Buffer.from(pattern.subarray(at, at + first)).equals(chunk.subarray(0, first)));
      assert.ok(Buffer.from(pattern.subarray(0, chunk.length - first)).equals(chunk.subarray(first)));
      received += chunk.length;
    };
    while (received < 3_000_000) take((await reader.read())!);
    assert.equal((await child.kill()).signal, 'SIGKILL');
    const before = received;
    for await (const chunk of reader) take(chunk);
    assert.ok(received - before <= reader.capacity);
    reader.close();
  },
);

test('Pipe: the reader is killed: EPIPE in each voice, and the process lives', limit, async () => {
  const { reader, writer } = pipe();
  const child = start('sleep', ['1000'], { stdio: [reader.fd, 'ignore', 'ignore'] });
  reader.close();
  const waiting = writer.write(new Uint8Array(1 << 20));
  const behind = writer.write(bytes('behind'));
  const checks = [assert.rejects(waiting, isEpipe(65536)), assert.rejects(behind, isEpipe(0))];
  await child.kill();
  await Promise.all(checks);
  assert.throws(() => writer.tryWrite(bytes('x')), isEpipe());
  assert.throws(() => writer.writeSync(bytes('x')), isEpipe(0));
  await assert.rejects(writer.write(bytes('x')), isEpipe(0));
  writer.close();
});

test('Pipe: the reader goes while a write blocks the thread: EPIPE', limit, async () => {
  const { reader, writer } = pipe();
  const child = start('head', ['-c', '1'], { stdio: [reader.fd, 'ignore', 'inherit'] });
  reader.close();
  assert.throws(() => writer.writeSync(new Uint8Array(1 << 22)), isEpipe());
  writer.close();
  await child.ended;
});

test('Pipe: a worker gets EPIPE as an error too, and the process lives', limit, async () => {
  const program = `
    import { Worker } from 'node:worker_threads';
    const source = \`
      import { pipe } from \${JSON.stringify(import.meta.resolve('vecino/pipe'))};
      import { parentPort } from 'node:worker_threads';
      const { reader, writer } = pipe();
      reader.close();
      const codes = [];
      try { writer.tryWrite(new Uint8Array(1)); } catch (error) { codes.push(error.code); }
      try { writer.writeSync(new Uint8Array(1)); } catch (error) { codes.push(error.code); }
      try { await writer.write(new Uint8Array(1)); } catch (error) { codes.push(error.code); }
      writer.close();
      parentPort.postMessage(codes.join());\`;
    const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source)));
    worker.on('message', (codes) => console.log(codes));`;
  const { code, signal, stdout, stderr } = await startScript(program).ended;
  assert.deepEqual([code, signal, stdout, stderr], [0, null, 'EPIPE,EPIPE,EPIPE\n', '']);
});

test(
  'Pipe: reads are served in the order they were asked, and one that is aborted in between eats nothing',
  using(async (reader, writer) => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const reads = [0, 1, 2, 3].map((index) =>
      reader.read({ size: 1, signal: index === 1 ? controller.signal : undefined }),
    );
    const aborted = assert.rejects(reads[1]!, reason);
    assert.equal(reader.tryRead(), undefined);
    writer.tryWrite(bytes('abc'));
    assert.equal(reader.tryRead(), undefined, 'those who wait come first');
    controller.abort(reason);
    await aborted;
    assert.deepEqual([reads[0]!, reads[2]!, reads[3]!].length, 3);
    assert.equal(text(await reads[0]!) + text(await reads[2]!)! + text(await reads[3]!), 'abc');
    assert.equal(reader.tryRead(), undefined);
  }),
);

test(
  'Pipe: the first of many reads times out or is aborted: the others go on, and no byte is lost',
  using(async (reader, writer) => {
    const [late, next] = [reader.read({ timeout: 10 }), reader.read()];
    await assert.rejects(late, (error) => error instanceof TimeoutError && /read from fd \d+/.test(error.message));
    writer.tryWrite(bytes('x'));
    assert.equal(text(await next), 'x');
    await assert.rejects(reader.read({ signal: AbortSignal.abort('why') }), (error) => error === 'why');
    writer.tryWrite(bytes('y'));
    await assert.rejects(reader.read({ signal: AbortSignal.abort() }), { name: 'AbortError' });
    assert.equal(text(await reader.read({ timeout: 0 })), 'y');
    await assert.rejects(reader.read({ timeout: 0 }), TimeoutError);
    assert.throws(() => reader.readSync({ timeout: 5 }), TimeoutError);
    assert.throws(() => reader.readSync({ timeout: 0 }), TimeoutError);
  }),
);

test('Pipe: a read that was given up does not keep the program running', limit, async () => {
  const program = `
    import { pipe } from 'vecino/pipe';
    const { reader, writer } = pipe();
    const controller = new AbortController();
    const reads = [reader.read({ signal: controller.signal }), reader.read({ timeout: 5 })];
    setImmediate(() => controller.abort());
    console.log((await Promise.allSettled(reads)).map(({ reason }) => reason.name).join());
    setTimeout(() => {}, 1);`;
  const { code, stdout } = await startScript(program).ended;
  assert.deepEqual([code, stdout], [0, 'AbortError,TimeoutError\n']);
});

test(
  'Pipe: a synchronous read stands behind those that wait',
  using(async (reader, writer) => {
    const first = reader.read({ size: 2 });
    const second = reader.read({ size: 2 });
    writer.tryWrite(bytes('aabbcc'));
    assert.equal(text(reader.readSync()), 'cc');
    assert.equal(text(await first)! + text(await second), 'aabb');
    assert.equal(reader.tryRead(), undefined);
    const third = reader.read();
    assert.throws(() => reader.readSync({ timeout: 1 }), TimeoutError);
    writer.tryWrite(bytes('d'));
    assert.equal(text(await third), 'd');
  }),
);

test(
  'Pipe: writes at once do not mix: tryWrite takes nothing meanwhile, and a synchronous write comes after them',
  using(async (reader, writer) => {
    const size = 200_000;
    const letters = ['a', 'b', 'c'];
    const writes = letters.map((letter) => writer.write(bytes(letter.repeat(size))));
    assert.equal(writer.tryWrite(bytes('?')), 0);
    let got = '';
    while (got.length < size * 3) got += text(await reader.read());
    await Promise.all(writes);
    assert.ok(got === letters.map((letter) => letter.repeat(size)).join(''));

    const child = pipe();
    const counting = start('wc', ['-c'], { stdio: [child.reader.fd, 'pipe', 'inherit'] });
    child.reader.close();
    const pending = child.writer.write(new Uint8Array(300_000));
    child.writer.writeSync(bytes('end'));
    await pending;
    child.writer.close();
    assert.equal((await counting.ended).stdout.trim(), '300003');
  }),
);

test(
  'Pipe: a time-out or an abort in a large write tells how much is in the pipe; up to 4096 bytes that is nothing',
  using(async (reader, writer) => {
    const large = new Uint8Array(1 << 20);
    const failsWith = (written: number) => (error: unknown) =>
      error instanceof TimeoutError && (error as { bytesWritten?: number }).bytesWritten === written;
    await assert.rejects(writer.write(large, { timeout: 5 }), failsWith(65536));
    await assert.rejects(writer.write(large.subarray(0, 4096), { timeout: 5 }), failsWith(0));
    assert.throws(() => writer.writeSync(large.subarray(0, 4096), { timeout: 1 }), failsWith(0));
    assert.equal(drain(reader), 65536);
    assert.throws(() => writer.writeSync(large, { timeout: 1 }), failsWith(65536));
    assert.equal(drain(reader), 65536);

    const reason: Error & { bytesWritten?: number } = new Error('enough');
    const controller = new AbortController();
    const [head, behind] = [0, 1].map(() => writer.write(large, { signal: controller.signal }));
    const checks = [assert.rejects(head!, reason), assert.rejects(behind!, reason)];
    setImmediate(() => controller.abort(reason));
    await Promise.all(checks);
    assert.equal(reason.bytesWritten, 65536);
    for (const reason of ['a string', Object.freeze(new Error('frozen'))]) {
      const controller = new AbortController();
      const write = writer.write(large, { signal: controller.signal });
      controller.abort(reason);
      await assert.rejects(write, (error) => error === reason);
    }
    drain(reader);
    await writer.write(bytes('all is well'));
    assert.equal(text(await reader.read()), 'all is well');
  }),
);

test('Pipe: close() ends every wait with ClosedError; after it nothing works but close()', limit, async () => {
  const { reader, writer } = pipe();
  fill(writer);
  const writes = [writer.write(bytes('x')), writer.write(bytes('y'))].map((write) =>
    assert.rejects(write, ClosedError),
  );
  writer.close();
  await Promise.all(writes);
  while (reader.tryRead());
  const other = pipe();
  const reads = [other.reader.read(), other.reader.read()].map((read) => assert.rejects(read, ClosedError));
  other.reader.close();
  await Promise.all(reads);
  for (const end of [writer, other.reader, other.writer, reader]) {
    end.close();
    end.close();
    end[Symbol.dispose]?.();
    await end[Symbol.asyncDispose]?.();
    assert.equal(end.closed, true);
    for (const use of [() => end.fd, () => end.capacity, () => end.toStream(), () => end.detach()]) {
      assert.throws(use, ClosedError);
    }
  }
  assert.throws(() => reader.tryRead(), ClosedError);
  assert.throws(() => reader.readSync(), ClosedError);
  await assert.rejects(reader.read(), ClosedError);
  assert.throws(() => writer.tryWrite(bytes('x')), ClosedError);
  assert.throws(() => writer.writeSync(bytes('x')), ClosedError);
  await assert.rejects(writer.write(bytes('x')), ClosedError);
});

test(
  'Pipe: leaving a loop over the bytes loses none of them and leaves the reader open',
  using(async (reader, writer) => {
    writer.tryWrite(bytes('one'));
    for await (const chunk of reader) {
      assert.equal(text(chunk), 'one');
      writer.tryWrite(bytes('two'));
      break;
    }
    assert.equal(text(reader.tryRead()), 'two');
    writer.tryWrite(bytes('three'));
    writer.close();
    assert.equal(await all(reader), 'three');
    assert.equal(await all(reader), '');
  }),
);

test(
  'Pipe: bytes that never stop coming do not keep timers from running, nor does a reader that always keeps up',
  limit,
  async () => {
    const { reader, writer } = pipe();
    const child = start('yes', [], { stdio: ['ignore', writer.fd, 'inherit'] });
    writer.close();
    let fired = false;
    setTimeout(() => (fired = true), 1);
    for await (const chunk of reader) {
      assert.ok(chunk.length > 0);
      if (fired) break;
    }
    reader.close();
    await child.ended; // by SIGPIPE

    const out = pipe();
    const sink = start('cat', [], { stdio: [out.reader.fd, 'ignore', 'inherit'] });
    out.reader.close();
    fired = false;
    setTimeout(() => (fired = true), 1);
    while (!fired) await out.writer.write(bytes('small'));
    await out.writer.write(new Uint8Array(8 << 20));
    out.writer.close();
    assert.equal((await sink.ended).code, 0);
  },
);

for (const voice of ['async', 'sync'] as const) {
  test(`Pipe: 64 MiB out and 64 MiB in arrive unharmed, in the ${voice} voice`, limit, async () => {
    const total = 64 << 20;
    const child = (ends: string, loop: string) => `
      import { createHash } from 'node:crypto';
      import { PipeReader, PipeWriter } from 'vecino/pipe';
      const pattern = new Uint8Array(1 << 20).map((_, index) => (index * 31 + (index >> 8)) & 0xff);
      const hash = createHash('sha256');
      const end = ${ends}.fromFd(3);
      ${loop}
      end.close();
      console.log(hash.digest('hex'));`;
    const whole = createHash('sha256');
    for (let sent = 0; sent < total; sent += pattern.length) whole.update(pattern);
    const digest = whole.digest('hex');

    const out = pipe();
    const receive =
      voice === 'async'
        ? 'for await (const bytes of end) hash.update(bytes);'
        : 'for (let bytes; (bytes = end.readSync()) !== null;) hash.update(bytes);';
    const receiver = startScript(child('PipeReader', receive), [], {
      stdio: ['ignore', 'pipe', 'inherit', out.reader.fd],
    });
    out.reader.close();
    for (let sent = 0; sent < total; sent += pattern.length) {
      if (voice === 'async') await out.writer.write(pattern);
      else out.writer.writeSync(pattern);
    }
    out.writer.close();
    assert.equal((await receiver.ended).stdout.trim(), digest);

    const back = pipe();
    const write = voice === 'async' ? 'await end.write(pattern)' : 'end.writeSync(pattern)';
    const sender = startScript(child('PipeWriter', `for (let i = 0; i < 64; i++) ${write};`), [], {
      stdio: ['ignore', 'ignore', 'inherit', back.writer.fd],
    });
    back.writer.close();
    const hash = createHash('sha256');
    if (voice === 'async') for await (const chunk of back.reader) hash.update(chunk);
    else for (let chunk: Uint8Array | null; (chunk = back.reader.readSync()) !== null; ) hash.update(chunk);
    back.reader.close();
    assert.equal((await sender.ended).code, 0);
    assert.equal(hash.digest('hex'), digest);
  });
}

test('Pipe: the capacity is what was asked for, rounded up, and the pipe takes that much', limit, async () => {
  for (const [asked, given] of [
    [1, 4096],
    [5000, 8192],
    [1 << 20, 1 << 20],
  ] as const) {
    const { reader, writer } = pipe({ capacity: asked });
    assert.deepEqual([reader.capacity, writer.capacity, fill(writer)], [given, given, given]);
    assert.equal(writer.tryWrite(bytes('x')), 0);
    reader.close();
    writer.close();
  }
  const { reader, writer } = pipe();
  assert.equal(writer.capacity, 65536);
  assert.equal(writer.tryWrite(new Uint8Array(100_000)), 65536);
  reader.close();
  writer.close();
});

test(
  'Pipe: a capacity above the limit fails without a privilege, and says which limit and how to raise it',
  limit,
  async () => {
    const program = `
    import { readdirSync } from 'node:fs';
    import { pipe } from 'vecino/pipe';
    process.setgroups?.([]); process.setgid?.(65534); process.setuid?.(65534);
    const count = () => readdirSync('/proc/self/fd').length;
    const before = count();
    try { pipe({ capacity: 2 ** 26 }); } catch (error) { console.log(error.code, count() - before, error.message); }`;
    const { stdout, stderr } = await startScript(program).ended;
    const limit = readFileSync('/proc/sys/fs/pipe-max-size', 'utf8').trim();
    assert.equal(stderr, '');
    assert.match(
      stdout,
      new RegExp(`^EPERM 0 .*fs\\.pipe-max-size = ${limit} bytes.*sysctl fs\\.pipe-max-size=67108864`),
    );
  },
);

test(
  'Pipe: ends that are dropped without close() are closed, with a warning; a detached descriptor is not touched',
  limit,
  async () => {
    const program = `
    import { readdirSync } from 'node:fs';
    import { pipe } from 'vecino/pipe';
    const count = () => readdirSync('/proc/self/fd').length;
    const before = count();
    let warnings = 0;
    process.on('warning', ({ code }) => { if (code === 'VECINO_NOT_CLOSED') warnings++; });
    await (async () => {
      const a = pipe(), b = pipe(), c = pipe();
      a.writer.tryWrite(new Uint8Array(1));
      await Promise.allSettled([a.reader.read(), a.reader.read({ timeout: 1 })]);
      b.reader.detach(); b.writer.detach();
      c.reader.close(); c.writer.close();
    })();
    while (warnings < 2) { gc(); await new Promise((resolve) => setTimeout(resolve, 1)); }
    console.log(warnings, count() - before);`;
    const args = ['--expose-gc', '--no-warnings', '--input-type=module', '--eval', program];
    const { stdout, stderr } = await start(process.execPath, args, { cwd: process.cwd() }).ended;
    assert.deepEqual([stdout, stderr], ['2 2\n', '']);
  },
);

test('Pipe: one signal ends a thousand waits at once, and nobody takes that for a leak', limit, async () => {
  const output = await runScript(`
    import { getEventListeners } from 'node:events';
    import { pipe } from 'vecino';
    process.on('warning', (warning) => console.log(warning.name));
    const { reader, writer } = pipe();
    const controller = new AbortController();
    const { signal } = controller;
    const most = () => getEventListeners(signal, 'abort').length;
    // One after the other …
    for (let i = 0; i < 1000; i++) {
      const read = reader.read({ signal });
      writer.tryWrite(Uint8Array.of(i));
      await read;
    }
    console.log(most());
    // … and all at once.
    const reads = Array.from({ length: 1000 }, () => reader.read({ signal }).then(String, (error) => error));
    console.log(most());
    controller.abort('enough');
    console.log((await Promise.all(reads)).filter((reason) => reason === 'enough').length, most());
    await new Promise(setImmediate);
    reader.close();
    writer.close();`);
  assert.equal(output, '0\n1\n1000 0\n');
});

test('PipeReader: what a child had not written when it called process.exit() never comes; what it has waited for does', async () => {
  const capacity = 65536;
  const counted = async (program: string, readFirst: boolean) => {
    const { reader, writer } = pipe({ capacity });
    const child = start(process.execPath, ['--eval', program], { stdio: ['ignore', writer.fd, 'ignore'] });
    writer.close();
    if (!readFirst) await child.ended;
    let count = 0;
    for await (const bytes of reader) count += bytes.length;
    reader.close();
    await child.ended;
    return count;
  };
  const write = `process.stdout.write('x'.repeat(300_000)`;
  assert.equal(await counted(`${write}); process.exit()`, false), capacity);
  assert.equal(await counted(`${write}, () => process.exit())`, true), 300_000);
  assert.equal(await counted(`${write}); process.exitCode = 0`, true), 300_000);
});
