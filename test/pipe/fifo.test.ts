import '../support/leaks.js';
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Fifo, IpcError, type PipeReader, PipeWriter, pipe, SystemError, TimeoutError } from 'vecino';
import { descriptors } from '../support/leaks.js';
import { compile, type Running, runScript, start, startScript, temporaryFolder } from '../support/processes.js';

const limit = { timeout: 60_000 };
const folder = temporaryFolder();
let fifos = 0;
const makeFifo = () => Fifo.create(join(folder, `fifo-${fifos++}`)).path;
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (chunk: Uint8Array | null | undefined) => chunk && new TextDecoder().decode(chunk);
async function all(reader: PipeReader): Promise<string> {
  let result = '';
  for await (const chunk of reader) result += text(chunk);
  return result;
}
const threads = () => readdirSync('/proc/self/task').length;
const turn = () => new Promise((resolve) => setImmediate(resolve));
async function until(holds: () => boolean) {
  while (!holds()) await turn();
}
/** A process that announces its open(2), and then has nothing to sleep on but that. */
const opener = compile(
  folder,
  'opener',
  `#include <fcntl.h>
   #include <stdio.h>
   #include <unistd.h>
   int main(int argc, char **argv) {
     puts("opening"); fflush(stdout);
     int fd = open(argv[1], argv[2][0] == 'r' ? O_RDONLY : O_WRONLY);
     if (fd < 0) { perror("open"); return 1; }
     puts("open"); fflush(stdout);
     char buffer[4096];
     ssize_t count;
     if (argv[2][0] == 'r') while ((count = read(fd, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, count, stdout);
     else while ((count = read(0, buffer, sizeof buffer)) > 0) if (write(fd, buffer, count) != count) return 2;
     return 0;
   }`,
);
async function blockedOpener(path: string, mode: 'r' | 'w'): Promise<Running> {
  const process = start(opener, [path, mode]);
  assert.equal(await process.line(), 'opening');
  await until(() => / S /.test(readFileSync(`/proc/${process.pid}/stat`, 'utf8').replace(/^.*\)/, '')));
  return process;
}

test(
  'Fifo: a shell and a C program are met at a FIFO, on either side, in the asynchronous and the synchronous voice',
  limit,
  async () => {
    const path = makeFifo();
    const echo = start('sh', ['-c', 'echo from the shell > "$0"', path]);
    const reader = await Fifo.openReader(path);
    assert.equal(await all(reader), 'from the shell\n');
    reader.close();
    await echo.ended;

    const cat = start('cat', [path]);
    const writer = await Fifo.openWriter(path);
    await writer.write(bytes('to the shell'));
    writer.close();
    assert.equal((await cat.ended).stdout, 'to the shell');

    const input = pipe();
    const sending = start(opener, [path, 'w'], { stdio: [input.reader.fd, 'ignore', 'inherit'] });
    input.reader.close();
    const synchronous = Fifo.openReaderSync(path);
    input.writer.writeSync(bytes('from C'));
    assert.equal(text(synchronous.readSync()), 'from C');
    input.writer.close();
    assert.equal(synchronous.readSync(), null);
    synchronous.close();
    await sending.ended;

    const receiving = start(opener, [path, 'r']);
    const last = Fifo.openWriterSync(path);
    last.writeSync(bytes('to C'));
    last.close();
    assert.equal((await receiving.ended).stdout, 'opening\nopen\nto C');
  },
);

test(
  'Fifo: create() makes exactly that mode whatever the umask, refuses a name that is taken, and gives back what removes it',
  limit,
  async () => {
    const program = `
    import { statSync, existsSync } from 'node:fs';
    import { Fifo } from 'vecino/pipe';
    process.umask(0o777);
    const path = process.argv[1];
    for (const mode of [0o600, 0o666, 0o640, 0, undefined]) {
      const fifo = Fifo.create(path, mode);
      console.log((statSync(path).mode & 0o7777).toString(8), statSync(path).isFIFO(), fifo.unlink(), fifo.unlink());
    }
    Fifo.create(path);
    try { Fifo.create(path); } catch (error) { console.log(error.code, error.syscall); }
    Fifo.create(path + '2')[Symbol.dispose]?.();
    console.log(existsSync(path + '2'), Fifo.unlink(path), Fifo.unlink(path));`;
    assert.deepEqual((await runScript(program, [join(folder, 'moded')])).trim().split('\n'), [
      '600 true true false',
      '666 true true false',
      '640 true true false',
      '0 true true false',
      '600 true true false',
      'EEXIST mkfifo',
      `${Symbol.dispose ? (await runScript('console.log(Symbol.dispose === undefined)')).trim() : 'true'} true false`,
    ]);
    assert.throws(() => Fifo.create(join(folder, 'none', 'fifo')), { code: 'ENOENT' });
  },
);

test('Fifo: what is not a FIFO is refused by every opener and by unlink(), and is left as it is', limit, async () => {
  const file = join(folder, 'file');
  writeFileSync(file, 'precious');
  const directory = join(folder, 'directory');
  mkdirSync(directory);
  for (const [path, kind] of [
    [file, 'a regular file'],
    [directory, 'a directory'],
    ['/dev/null', 'a character device'],
  ] as const) {
    const refused = (error: unknown) =>
      error instanceof IpcError &&
      error.code === 'ERR_VECINO_NOT_A_PIPE' &&
      error.message.includes(`is ${kind}, not a FIFO`);
    await assert.rejects(Fifo.openReader(path), refused);
    await assert.rejects(Fifo.openReader(path, { persistent: true }), refused);
    await assert.rejects(Fifo.openWriter(path), refused);
    assert.throws(() => Fifo.openReaderSync(path), refused);
    assert.throws(() => Fifo.openWriterSync(path), refused);
    assert.throws(() => Fifo.tryOpenReader(path), refused);
    assert.throws(() => Fifo.tryOpenWriter(path), refused);
    assert.throws(() => Fifo.unlink(path), refused);
  }
  assert.equal(readFileSync(file, 'utf8'), 'precious');
  const missing = (error: unknown) =>
    error instanceof SystemError && error.code === 'ENOENT' && /Fifo\.create/.test(error.message);
  await assert.rejects(Fifo.openReader(join(folder, 'missing')), missing);
  assert.throws(() => Fifo.tryOpenWriter(join(folder, 'missing')), missing);
});

test('Fifo: a symbolic link to a FIFO is followed, but not removed in its place', limit, async () => {
  const path = makeFifo();
  const link = `${path}-link`;
  symlinkSync(path, link);
  const [reader, writer] = await Promise.all([Fifo.openReader(link), Fifo.openWriter(path)]);
  writer.tryWrite(bytes('x'));
  assert.equal(text(await reader.read()), 'x');
  reader.close();
  writer.close();
  assert.throws(() => Fifo.unlink(link), { code: 'ERR_VECINO_NOT_A_PIPE', message: /a symbolic link/ });
  unlinkSync(path);
  await assert.rejects(Fifo.openReader(link), { code: 'ENOENT' });
});

test('Fifo: without permission every opener fails with EACCES and a hint', limit, async () => {
  const own = join(folder, 'own');
  mkdirSync(own);
  chmodSync(own, 0o755);
  Fifo.create(join(own, 'fifo'), 0o600);
  const program = `
    import { Fifo } from 'vecino/pipe';
    process.chdir(process.argv[1]);
    process.setgroups?.([]); process.setgid?.(65534); process.setuid?.(65534);
    for (const open of [Fifo.openReader, Fifo.openWriter, Fifo.openReaderSync, Fifo.openWriterSync, Fifo.tryOpenReader, Fifo.tryOpenWriter]) {
      try { await open('fifo'); } catch (error) { console.log(error.code, error.syscall, error.path, /owner and mode/.test(error.message)); }
    }`;
  assert.equal(await runScript(program, [own]), 'EACCES open fifo true\n'.repeat(6));
});

test(
  'Fifo: a FIFO that is removed while it is being opened: the open goes on waiting, and can be aborted',
  limit,
  async () => {
    const path = makeFifo();
    const controller = new AbortController();
    const opening = Fifo.openReader(path, { signal: controller.signal });
    assert.equal(Fifo.unlink(path), true);
    await assert.rejects(Fifo.openWriter(path), { code: 'ENOENT' });
    controller.abort();
    await assert.rejects(opening, { name: 'AbortError' });
  },
);

test('Fifo: something else that takes the place of the FIFO is never given out as one', limit, async () => {
  const path = join(folder, 'swapped');
  const [fifo, file] = [`${path}-fifo`, `${path}-file`];
  Fifo.create(fifo);
  writeFileSync(file, '');
  writeFileSync(path, '');
  const program = `
    import { linkSync, renameSync } from 'node:fs';
    const [, path] = process.argv;
    process.on('message', () => process.exit());
    for (let i = 0; ; i++) {
      linkSync(path + (i % 2 ? '-fifo' : '-file'), path + '-new');
      renameSync(path + '-new', path);
      if (i % 1000 === 0) await new Promise(setImmediate);
    }`;
  const swapper = startScript(program, [path]);
  const before = descriptors().length;
  const outcomes = new Map<string, number>();
  const watchdog = Date.now() + 20_000;
  while ((outcomes.size < 2 || [...outcomes.values()].some((count) => count < 100)) && Date.now() < watchdog) {
    let outcome = 'open';
    try {
      const reader = Fifo.tryOpenReader(path);
      assert.equal(statSync(`/proc/self/fd/${reader.fd}`).isFIFO(), true);
      reader.close();
    } catch (error) {
      outcome = (error as IpcError).code;
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    await turn();
  }
  await swapper.kill();
  assert.deepEqual([...outcomes.keys()].sort(), ['ERR_VECINO_NOT_A_PIPE', 'open']);
  assert.ok(descriptors().length <= before);
});

test(
  'Fifo: ten opens that wait do not keep fs.promises waiting, and neither process.exit() nor a natural end',
  limit,
  async () => {
    const path = makeFifo();
    const program = (end: string) => `
    import { readFile } from 'node:fs/promises';
    import { Fifo } from 'vecino/pipe';
    const controller = new AbortController();
    const opens = Array.from({ length: 10 }, () => Fifo.openReader(process.argv[1], { signal: controller.signal }));
    const settled = Promise.allSettled(opens);
    console.log((await readFile('package.json', 'utf8')).includes('vecino'));
    ${end}`;
    assert.equal(await runScript(program('process.exit();'), [path]), 'true\n');
    assert.equal(await runScript(program('controller.abort(); await settled;'), [path]), 'true\n');
    const fails = await startScript(program('throw new Error("uncaught");'), [path]).ended;
    assert.deepEqual([fails.code, fails.signal, fails.stdout], [1, null, 'true\n']);
    const killed = await startScript(program('process.kill(process.pid, "SIGTERM");'), [path]).ended;
    assert.equal(killed.signal, 'SIGTERM');
  },
);

test('Fifo: an open that waits keeps the program running until it is done', limit, async () => {
  const path = makeFifo();
  const program = `
    import { Fifo } from 'vecino/pipe';
    const reader = await Fifo.openReader(process.argv[1]);
    console.log(Buffer.from(await reader.read()).toString());
    reader.close();`;
  const script = startScript(program, [path]);
  const writer = await Fifo.openWriter(path);
  writer.tryWrite(bytes('worth the wait'));
  writer.close();
  assert.equal((await script.ended).stdout, 'worth the wait\n');
});

for (const [mode, side] of [
  ['r', 'Reader'],
  ['w', 'Writer'],
] as const) {
  test(
    `Fifo: giving up an open${side}() leaves no thread and no descriptor, and another process in the same open waits on`,
    limit,
    async () => {
      const path = makeFifo();
      const other = await blockedOpener(path, mode);
      const open = side === 'Reader' ? Fifo.openReader : Fifo.openWriter;
      const openSync = side === 'Reader' ? Fifo.openReaderSync : Fifo.openWriterSync;
      // Whatever is made lazily is made now, also the few threads that are kept for the next wait.
      const first = Array.from({ length: 5 }, () => assert.rejects(open(path, { timeout: 1 }), TimeoutError));
      await Promise.all(first);
      const before = { threads: threads(), descriptors: descriptors() };
      const reason = new Error('enough');
      for (let round = 0; round < 10; round++) {
        const controller = new AbortController();
        const opens = Array.from({ length: 4 }, () => open(path, { signal: controller.signal }));
        const checks = opens.map((opening) => assert.rejects(opening, reason));
        if (round % 2 === 0) await turn();
        controller.abort(reason);
        await Promise.all(checks);
        await assert.rejects(open(path, { timeout: round }), (error) => {
          return error instanceof TimeoutError && error.message.includes(path);
        });
        assert.throws(() => openSync(path, { timeout: round }), TimeoutError);
      }
      await until(() => threads() <= before.threads);
      assert.deepEqual(descriptors(), before.descriptors);
      assert.equal(other.child.exitCode, null);
      if (mode === 'r') {
        const writer = await Fifo.openWriter(path);
        assert.equal(await other.line(), 'open');
        writer.close();
      } else {
        const reader = await Fifo.openReader(path);
        assert.equal(await other.line(), 'open');
        other.child.stdin!.end();
        assert.equal(await reader.read(), null);
        reader.close();
      }
      assert.equal((await other.ended).code, 0);
    },
  );
}

test(
  'Fifo: a worker that is terminated while it opens, by either voice, leaves no thread and no descriptor',
  limit,
  async () => {
    const path = makeFifo();
    const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    import { Fifo } from ${JSON.stringify(import.meta.resolve('vecino/pipe'))};
    if (workerData.sync) {
      parentPort.postMessage('opening');
      Fifo.openReaderSync(workerData.path);
    } else {
      Fifo.openReader(workerData.path);
      parentPort.postMessage('opening');
    }`;
    const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
    const before = { threads: threads(), descriptors: descriptors() };
    for (const sync of [false, true]) {
      const worker = new Worker(url, { workerData: { path, sync } });
      await new Promise((resolve) => worker.once('message', resolve));
      await worker.terminate();
    }
    await until(() => threads() <= before.threads);
    assert.deepEqual(descriptors(), before.descriptors);
  },
);

test(
  'Fifo: a reader sees the end when the last writer closes, and the bytes of one that comes later',
  limit,
  async () => {
    const path = makeFifo();
    const [reader, first] = await Promise.all([Fifo.openReader(path), Fifo.openWriter(path)]);
    const second = await Fifo.openWriter(path);
    const waiting = reader.read();
    first.close();
    second.tryWrite(bytes('second'));
    assert.equal(text(await waiting), 'second');
    const end = reader.read();
    second.close();
    assert.deepEqual([await end, reader.tryRead(), reader.readSync()], [null, null, null]);
    const later = Fifo.tryOpenWriter(path)!;
    assert.equal(reader.tryRead(), undefined);
    const more = reader.read();
    later.tryWrite(bytes('later'));
    later.close();
    assert.equal(text(await more), 'later');
    assert.equal(await reader.read(), null);
    reader.close();
  },
);

test('Fifo: a reader that did not wait tells "no writer yet" from the end', limit, async () => {
  const path = makeFifo();
  assert.equal(Fifo.tryOpenWriter(path), null);
  const reader = Fifo.tryOpenReader(path);
  assert.deepEqual([reader.tryRead(), reader.tryRead()], [undefined, undefined]);
  assert.throws(() => reader.readSync({ timeout: 1 }), TimeoutError);
  await assert.rejects(reader.read({ timeout: 1 }), TimeoutError);
  const waiting = reader.read();
  const writer = Fifo.tryOpenWriter(path)!;
  assert.equal(reader.tryRead(), undefined);
  writer.close();
  assert.equal(await waiting, null, 'a writer came and went');
  assert.equal(reader.tryRead(), null);
  reader.close();

  // The same, where the writer has come and gone before the first read.
  for (const content of ['', 'left behind']) {
    const early = Fifo.tryOpenReader(path);
    const writer = Fifo.tryOpenWriter(path)!;
    if (content !== '') writer.tryWrite(bytes(content));
    writer.close();
    assert.equal(await all(early), content);
    early.close();
  }
});

test('Fifo: a persistent reader outlives its writers, and opening it does not wait', limit, async () => {
  const path = makeFifo();
  for (const reader of [
    await Fifo.openReader(path, { persistent: true }),
    Fifo.openReaderSync(path, { persistent: true }),
    Fifo.tryOpenReader(path, { persistent: true }),
  ]) {
    assert.equal(reader.tryRead(), undefined);
    for (const word of ['one', 'two', 'three']) {
      const waiting = reader.read();
      await start('sh', ['-c', 'echo "$1" > "$0"', path, word]).ended;
      assert.equal(text(await waiting), `${word}\n`);
      assert.equal(reader.tryRead(), undefined);
    }
    await assert.rejects(reader.read({ timeout: 1 }), TimeoutError);
    reader.close();
  }
});

test('Fifo: readers with nothing to read use no processor time', limit, async () => {
  const program = `
    import { Fifo } from 'vecino/pipe';
    const [, path] = process.argv;
    const [persistent, waiting, ended] = ['a', 'b', 'c'].map((name) => Fifo.create(path + name).path);
    const readers = [Fifo.tryOpenReader(persistent, { persistent: true }), Fifo.tryOpenReader(waiting), Fifo.tryOpenReader(ended)];
    const reads = [readers[0].read(), readers[1].read()].map((read) => read.catch(() => {}));
    const last = readers[2].read();
    Fifo.tryOpenWriter(ended).close();
    await last; // at its end, and still watched
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 600));
    const { user, system } = process.cpuUsage(before);
    console.log(user + system < 300_000);
    for (const reader of readers) reader.close();
    await Promise.all(reads);`;
  assert.equal(await runScript(program, [join(folder, 'idle-')]), 'true\n');
});

test(
  'Fifo: a killed reader is EPIPE for the writer of a FIFO; a new reader can be written to again',
  limit,
  async () => {
    const path = makeFifo();
    const cat = start('cat', [path]);
    const writer = await Fifo.openWriter(path);
    await cat.kill();
    assert.throws(() => writer.tryWrite(bytes('x')), { code: 'EPIPE' });
    await assert.rejects(writer.write(bytes('x')), { code: 'EPIPE' });
    const again = start('cat', [path]);
    const second = await Fifo.openWriter(path);
    await writer.write(bytes('once more'));
    writer.close();
    second.close();
    assert.equal((await again.ended).stdout, 'once more');
  },
);

test(
  'Fifo: a child is given an end of a FIFO and finds it blocking; it sees an end that has come already',
  limit,
  async () => {
    const path = makeFifo();
    const reader = Fifo.tryOpenReader(path);
    const writer = Fifo.tryOpenWriter(path)!;
    const cat = start('cat', [], { stdio: [reader.fd, 'pipe', 'pipe'] });
    reader.close();
    writer.writeSync(bytes('for the child'));
    writer.close();
    assert.deepEqual(await cat.ended, { code: 0, signal: null, stdout: 'for the child', stderr: '' });

    const [early, late] = await Promise.all([Fifo.openReader(path), Fifo.openWriter(path)]);
    late.tryWrite(bytes('all there is'));
    late.close();
    const program = `
    import { PipeReader } from 'vecino/pipe';
    const reader = PipeReader.fromFd(3);
    for await (const bytes of reader) process.stdout.write(bytes);
    console.log(reader.tryRead());`;
    const child = startScript(program, [], { stdio: ['ignore', 'pipe', 'inherit', early.fd] });
    early.close();
    assert.equal((await child.ended).stdout, 'all there isnull\n');
  },
);

test('Fifo: an end of a FIFO whose other side is gone can still be taken over', limit, async () => {
  const path = makeFifo();
  const reader = Fifo.tryOpenReader(path);
  const writer = Fifo.tryOpenWriter(path)!;
  reader.close();
  const taken = PipeWriter.fromFd(writer.detach());
  assert.throws(() => taken.tryWrite(bytes('x')), { code: 'EPIPE' });
  const again = Fifo.tryOpenReader(path);
  while (taken.tryWrite(new Uint8Array(4096)) > 0);
  taken.close();
  again.close();
});

test('Fifo: the object that create() gives opens by all the same ways', limit, async () => {
  const fifo = Fifo.create(join(folder, 'object'));
  const reader = fifo.tryOpenReader();
  const writers = [fifo.tryOpenWriter()!, await fifo.openWriter(), fifo.openWriterSync()];
  const readers = [await fifo.openReader(), fifo.openReaderSync()];
  for (const writer of writers) {
    writer.tryWrite(bytes('x'));
    writer.close();
  }
  assert.equal(text(reader.tryRead()), 'xxx');
  for (const end of [reader, ...readers]) end.close();
  assert.equal(fifo.unlink(), true);
});
