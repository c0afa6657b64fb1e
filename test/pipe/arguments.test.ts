import '../support/leaks.js';
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Fifo, IpcError, PipeReader, PipeWriter, pipe } from 'vecino';
import { dup, eventfd } from 'vecino/system';
import { temporaryFolder } from '../support/processes.js';

const limit = { timeout: 60_000 };
const bad = (code: string) => (error: unknown) =>
  (error instanceof TypeError || error instanceof RangeError) && (error as { code?: string }).code === code;
const TYPE = bad('ERR_INVALID_ARG_TYPE');
const VALUE = bad('ERR_INVALID_ARG_VALUE');
const RANGE = bad('ERR_OUT_OF_RANGE');
// biome-ignore lint/suspicious/noExplicitAny: what callers without types may pass
type Wrong = any;

test('Pipe: a pipe refuses a capacity that is none', limit, () => {
  for (const capacity of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, 2 ** 53]) {
    assert.throws(() => pipe({ capacity }), RANGE);
  }
  for (const capacity of [null, '4096', {}, [4096], 4096n, true]) {
    assert.throws(() => pipe({ capacity: capacity as Wrong }), TYPE);
  }
  for (const options of [null, 5, 'x', () => {}]) assert.throws(() => pipe(options as Wrong), TYPE);
});

test('Pipe: what is written must be bytes that are still there', limit, async () => {
  const { reader, writer } = pipe();
  const detached = new Uint8Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  const impostors = [Object.create(Uint8Array.prototype), new Proxy(new Uint8Array(4), {})];
  const wrong: [Wrong, (error: unknown) => boolean][] = [
    ...[
      null,
      undefined,
      'text',
      7,
      {},
      [1, 2],
      new ArrayBuffer(4),
      new Uint16Array(4),
      new DataView(new ArrayBuffer(4)),
    ].map((value): [Wrong, typeof TYPE] => [value, TYPE]),
    ...impostors.map((value): [Wrong, typeof TYPE] => [value, TYPE]),
    [detached, VALUE],
  ];
  for (const [value, expected] of wrong) {
    assert.throws(() => writer.tryWrite(value), expected);
    assert.throws(() => writer.writeSync(value), expected);
    await assert.rejects(writer.write(value), expected);
  }
  assert.equal(reader.tryRead(), undefined);
  assert.equal(writer.tryWrite(new Uint8Array(0)), 0);
  await writer.write(new Uint8Array(0));
  writer.writeSync(new Uint8Array(0));

  class Liar extends Uint8Array {
    override get length() {
      return 1_000_000;
    }
    override get byteLength() {
      return 2;
    }
  }
  const liar = new Liar([1, 2, 3]);
  await writer.write(liar);
  assert.deepEqual([...reader.tryRead()!], [1, 2]);
  await writer.write(new Uint8Array(new SharedArrayBuffer(4)).fill(7));
  assert.equal(writer.tryWrite(new Uint8Array(new SharedArrayBuffer(4)).fill(8)), 4);
  assert.deepEqual([...reader.tryRead()!], [7, 7, 7, 7, 8, 8, 8, 8]);
  reader.close();
  writer.close();
});

test(
  'Pipe: bytes that are transferred away while their write waits end that write, not the program',
  limit,
  async () => {
    const { reader, writer } = pipe();
    const large = new Uint8Array(1 << 20);
    const write = writer.write(large);
    structuredClone(large.buffer, { transfer: [large.buffer] });
    while (reader.tryRead());
    await assert.rejects(write, (error) => VALUE(error) && (error as { bytesWritten?: number }).bytesWritten === 65536);
    reader.close();
    writer.close();
  },
);

test(
  'Pipe: what was read keeps its bytes when somebody tries to transfer it; where that cannot be refused, reading goes on',
  limit,
  async () => {
    const { reader, writer } = pipe();
    for (let round = 0; round < 3; round++) {
      writer.tryWrite(new Uint8Array([1, 2, 3]));
      const bytes = reader.tryRead()!;
      assert.deepEqual([...bytes], [1, 2, 3]);
      try {
        structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] });
      } catch (error) {
        assert.equal((error as Error).name, 'DataCloneError');
      }
      assert.deepEqual([...bytes], [1, 2, 3]); // with it would have gone all else that was read
      const { transfer } = ArrayBuffer.prototype as { transfer?: (this: ArrayBufferLike) => ArrayBuffer };
      if (transfer === undefined) continue;
      try {
        transfer.call(bytes.buffer);
        assert.equal(bytes.length, 0);
      } catch (error) {
        assert.ok(error instanceof TypeError); // newer versions refuse this too
        assert.deepEqual([...bytes], [1, 2, 3]);
      }
    }
    reader.close();
    writer.close();
  },
);

type Resizable = ArrayBuffer & { resize(size: number): void };
const resizable = (size: number, most: number) =>
  new (ArrayBuffer as unknown as new (size: number, options: object) => Resizable)(size, { maxByteLength: most });

test('Pipe: bytes whose buffer shrinks while their write waits end that write, not the program', limit, async () => {
  const { reader, writer } = pipe();
  const buffer = resizable(1 << 20, 1 << 20);
  const write = writer.write(new Uint8Array(buffer));
  buffer.resize(10);
  while (reader.tryRead());
  await assert.rejects(write, (error) => VALUE(error) && (error as { bytesWritten?: number }).bytesWritten === 65536);
  reader.close();
  writer.close();
});

test(
  'Pipe: bytes that their buffer has no room for any more are refused; a view that follows its buffer is taken',
  limit,
  async () => {
    const { reader, writer } = pipe();
    const buffer = resizable(64, 128);
    const beyond = new Uint8Array(buffer, 32, 32);
    const following = new Uint8Array(buffer);
    buffer.resize(8);
    assert.throws(() => writer.tryWrite(beyond), VALUE);
    assert.throws(() => writer.writeSync(beyond), VALUE);
    await assert.rejects(writer.write(beyond), VALUE);
    assert.equal(writer.tryWrite(following), 8);
    buffer.resize(128);
    await writer.write(following);
    assert.equal(reader.tryRead()!.length, 136);
    buffer.resize(0);
    assert.equal(writer.tryWrite(following), 0);
    reader.close();
    writer.close();
  },
);

test('Pipe: options are checked before anything is read or written', limit, async () => {
  const { reader, writer } = pipe();
  writer.tryWrite(new Uint8Array([1]));
  const wrong: [Wrong, (error: unknown) => boolean][] = [
    [{ size: 0 }, RANGE],
    [{ size: -1 }, RANGE],
    [{ size: Number.NaN }, RANGE],
    [{ size: 2 ** 53 }, RANGE],
    [{ size: '1' }, TYPE],
    [{ size: null }, TYPE],
    [null, TYPE],
    [7, TYPE],
  ];
  for (const [options, expected] of wrong) {
    assert.throws(() => reader.tryRead(options), expected);
    assert.throws(() => reader.readSync(options), expected);
    await assert.rejects(reader.read(options), expected);
  }
  const waits: [Wrong, (error: unknown) => boolean][] = [
    [{ timeout: -1 }, RANGE],
    [{ timeout: Number.NaN }, RANGE],
    [{ timeout: '5' }, TYPE],
    [{ timeout: null }, TYPE],
    [null, TYPE],
  ];
  for (const [options, expected] of waits) {
    assert.throws(() => reader.readSync(options), expected);
    await assert.rejects(reader.read(options), expected);
    assert.throws(() => writer.writeSync(new Uint8Array(1), options), expected);
    await assert.rejects(writer.write(new Uint8Array(1), options), expected);
  }
  await assert.rejects(reader.read({ signal: {} as Wrong }), TYPE);
  await assert.rejects(reader.read({ signal: null as Wrong }), TYPE);
  const thrown = new Error('from a getter');
  const hostile = {
    get timeout(): number {
      throw thrown;
    },
  };
  await assert.rejects(reader.read(hostile), thrown);
  assert.deepEqual([...reader.tryRead({ size: 1e9 })!], [1]);
  assert.equal(reader.tryRead(), undefined);
  reader.close();
  writer.close();
});

test('Pipe: fromFd() takes only what it can use, and leaves the rest as it was', limit, () => {
  const { reader, writer } = pipe();
  for (const fd of [-1, 1.5, Number.NaN, 2 ** 31, 2 ** 53]) assert.throws(() => PipeReader.fromFd(fd), RANGE);
  for (const fd of [null, undefined, '3', {}, 3n]) assert.throws(() => PipeWriter.fromFd(fd as Wrong), TYPE);
  assert.throws(() => PipeReader.fromFd(0x7fffffff), { code: 'EBADF' });
  assert.throws(() => PipeReader.fromFd(writer.fd), { code: 'EBADF', message: /not the end that a pipe reader needs/ });
  assert.throws(() => PipeWriter.fromFd(reader.fd), { code: 'EBADF', message: /not the end that a pipe writer needs/ });
  const others = [openSync('/dev/null', 'r+'), openSync('/proc/self/exe', 'r'), eventfd()];
  for (const fd of others) {
    const refused = (error: unknown) => error instanceof IpcError && error.code === 'ERR_VECINO_NOT_A_PIPE';
    assert.throws(() => PipeReader.fromFd(fd), refused);
    assert.throws(() => PipeWriter.fromFd(fd), refused);
    closeSync(fd);
  }
  assert.equal(writer.tryWrite(new Uint8Array(3)), 3);
  assert.equal(reader.tryRead()!.length, 3);
  reader.close();
  writer.close();
});

test('Pipe: a worker uses an end by its number', limit, async () => {
  const there = pipe();
  const back = pipe();
  const source = `
    import { workerData } from 'node:worker_threads';
    import { PipeReader, PipeWriter } from ${JSON.stringify(import.meta.resolve('vecino/pipe'))};
    const reader = PipeReader.fromFd(workerData[0]);
    const writer = PipeWriter.fromFd(workerData[1]);
    for await (const bytes of reader) writer.writeSync(bytes.map((byte) => byte + 1));
    reader.close();
    writer.close();`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
    workerData: [there.reader.detach(), back.writer.detach()],
  });
  await there.writer.write(new Uint8Array([1, 2, 3]));
  assert.deepEqual([...(await back.reader.read())!], [2, 3, 4]);
  there.writer.close();
  assert.equal(await back.reader.read(), null);
  back.reader.close();
  await new Promise((resolve) => worker.once('exit', resolve));
});

test('Pipe: a second descriptor is an end of its own', limit, () => {
  const { reader, writer } = pipe();
  const second = PipeWriter.fromFd(dup(writer.fd));
  writer.close();
  second.tryWrite(new Uint8Array(1));
  assert.equal(reader.tryRead()!.length, 1);
  assert.equal(reader.tryRead(), undefined);
  second.close();
  assert.equal(reader.tryRead(), null);
  reader.close();
});

test('Pipe: the openers of a FIFO check what they are given before they look at the file', limit, async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'fifo');
  Fifo.create(path);
  const everyOpener = (path: Wrong, options?: Wrong) => [
    () => Fifo.openReader(path, options),
    () => Fifo.openWriter(path, options),
    async () => Fifo.openReaderSync(path, options),
    async () => Fifo.openWriterSync(path, options),
    async () => Fifo.tryOpenReader(path, options),
  ];
  for (const wrong of [null, undefined, 5, {}, Buffer.from('x')]) {
    for (const opener of everyOpener(wrong)) await assert.rejects(opener(), TYPE);
    assert.throws(() => Fifo.tryOpenWriter(wrong as Wrong), TYPE);
    assert.throws(() => Fifo.create(wrong as Wrong), TYPE);
    assert.throws(() => Fifo.unlink(wrong as Wrong), TYPE);
  }
  for (const wrong of ['', 'a\0b']) {
    for (const opener of everyOpener(wrong)) await assert.rejects(opener(), VALUE);
    assert.throws(() => Fifo.create(wrong), VALUE);
    assert.throws(() => Fifo.unlink(wrong), VALUE);
  }
  for (const opener of everyOpener(path, null)) await assert.rejects(opener(), TYPE);
  for (const opener of everyOpener(path, { timeout: -1 }).slice(0, 4)) await assert.rejects(opener(), RANGE);
  await assert.rejects(Fifo.openReader(path, { persistent: 1 as Wrong }), TYPE);
  assert.throws(() => Fifo.tryOpenReader(path, { persistent: 'yes' as Wrong }), TYPE);
  await assert.rejects(Fifo.openReader(path, { signal: AbortSignal.abort('why') }), (error) => error === 'why');
  for (const mode of [-1, 0o10000, 1.5, Number.NaN, 2 ** 53]) assert.throws(() => Fifo.create(`${path}2`, mode), RANGE);
  assert.throws(() => Fifo.create(`${path}2`, '600' as Wrong), TYPE);
  const long = join(folder, 'x'.repeat(5000));
  await assert.rejects(Fifo.openReader(long), { code: 'ENAMETOOLONG' });
  assert.throws(() => Fifo.create(long), { code: 'ENAMETOOLONG' });
});
