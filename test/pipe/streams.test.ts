import '../support/leaks.js';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { Readable, Transform, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { ClosedError, Fifo, pipe } from 'vecino';
import { start, startScript, temporaryFolder } from '../support/processes.js';

const limit = { timeout: 60_000 };
const closed = async (stream: Readable | Writable) => stream.closed || once(stream, 'close');

test('Pipe streams: stream.pipeline carries 32 MiB through a child and back unharmed', limit, async () => {
  const to = pipe();
  const from = pipe();
  const cat = start('cat', [], { stdio: [to.reader.fd, from.writer.fd, 'inherit'] });
  to.reader.close();
  from.writer.close();
  const chunk = Buffer.alloc(1 << 18, 'some text, ');
  const [sent, received] = [createHash('sha256'), createHash('sha256')];
  const source = Readable.from(
    (function* () {
      for (let count = 0; count < 128; count++) {
        sent.update(chunk);
        yield chunk;
      }
    })(),
  );
  await Promise.all([
    pipeline(source, to.writer.toStream()),
    pipeline(from.reader.toStream(), async (chunks: AsyncIterable<Buffer>) => {
      for await (const bytes of chunks) received.update(bytes);
    }),
  ]);
  assert.equal(received.digest('hex'), sent.digest('hex'));
  assert.deepEqual([to.writer.closed, from.reader.closed], [true, true]);
  assert.equal((await cat.ended).code, 0);
});

test(
  'Pipe streams: the writing stream pushes back when the pipe is full, and goes on when it is read',
  limit,
  async () => {
    const { reader, writer } = pipe();
    const stream = writer.toStream();
    assert.equal(writer.toStream(), stream);
    const chunk = Buffer.alloc(32768, 'x');
    let sent = 0;
    do sent += chunk.length;
    while (stream.write(chunk));
    assert.ok(stream.writableNeedDrain && sent <= 65536 * 3);
    let received = 0;
    stream.end();
    for await (const bytes of reader) received += bytes.length;
    assert.equal(received, sent);
    await closed(stream);
    assert.equal(writer.closed, true);
    reader.close();
  },
);

test('Pipe streams: the reading stream that nobody reads takes no more than its buffer', limit, async () => {
  const { reader, writer } = pipe();
  const stream = reader.toStream();
  assert.equal(reader.toStream(), stream);
  let sent = 0;
  stream.once('readable', () => {});
  for (let idle = 0; idle < 20; idle++) {
    const count = writer.tryWrite(new Uint8Array(4096));
    if (count > 0) idle = 0;
    sent += count;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(sent <= 65536 * 3, `${sent} bytes`);
  writer.close();
  let received = 0;
  for await (const bytes of stream) received += (bytes as Buffer).length;
  assert.equal(received, sent);
  assert.equal(reader.closed, true);
});

test('Pipe streams: a stream whose reader is killed has an EPIPE error and closes the writer', limit, async () => {
  const { reader, writer } = pipe();
  const child = start('sleep', ['1000'], { stdio: [reader.fd, 'ignore', 'ignore'] });
  reader.close();
  const stream = writer.toStream();
  stream.write(Buffer.alloc(1 << 20));
  const failed = once(stream, 'error');
  await child.kill();
  const [error] = await failed;
  assert.equal(error.code, 'EPIPE');
  await closed(stream);
  assert.equal(writer.closed, true);
});

test('Pipe streams: destroy() closes the end at once, also while it waits, and gives the error on', limit, async () => {
  const { reader, writer } = pipe();
  const [input, output] = [reader.toStream(), writer.toStream()];
  input.resume();
  output.write(Buffer.alloc(1 << 20));
  const reason = new Error('enough');
  const errors = Promise.all([once(input, 'error'), once(output, 'error')]);
  input.destroy(reason);
  output.destroy(reason);
  assert.deepEqual((await errors).flat(), [reason, reason]);
  assert.deepEqual([reader.closed, writer.closed], [true, true]);
  assert.throws(() => writer.fd, ClosedError);

  const other = pipe();
  const stream = other.reader.toStream();
  stream.resume();
  await new Promise((resolve) => setImmediate(resolve));
  stream.destroy();
  await closed(stream);
  assert.equal(other.reader.closed, true);
  other.writer.close();
});

test('Pipe streams: a pipeline that fails elsewhere closes the ends that it was given', limit, async () => {
  const { reader, writer } = pipe();
  const reason = new Error('from the middle');
  const broken = new Transform({ transform: (_bytes, _encoding, done) => done(reason) });
  const run = pipeline(reader.toStream(), broken, process.stdout, { end: false });
  writer.tryWrite(new Uint8Array(1));
  await assert.rejects(run, reason);
  assert.equal(reader.closed, true);
  assert.throws(() => writer.tryWrite(new Uint8Array(1)), { code: 'EPIPE' });
  writer.close();
});

test('Pipe streams: a listener that throws is an uncaught exception, as with any stream', limit, async () => {
  const program = `
    import { pipe } from 'vecino/pipe';
    process.on('uncaughtException', (error, origin) => { console.log(origin, error.message); process.exit(); });
    const { reader, writer } = pipe();
    reader.toStream().on('data', () => { throw new Error('from a listener'); });
    writer.tryWrite(new Uint8Array(1));`;
  assert.equal((await startScript(program).ended).stdout, 'uncaughtException from a listener\n');
});

test(
  'Pipe streams: the stream of a FIFO ends with its last writer; that of a persistent reader does not',
  limit,
  async () => {
    const fifo = Fifo.create(join(temporaryFolder(), 'fifo'));
    const stream = fifo.tryOpenReader().toStream();
    const echo = start('sh', ['-c', 'echo once > "$0"', fifo.path]);
    assert.equal(Buffer.concat(await stream.toArray()).toString(), 'once\n');
    await echo.ended;

    const lasting = fifo.tryOpenReader({ persistent: true }).toStream();
    for (const word of ['one', 'two']) {
      const data = once(lasting, 'data');
      await start('sh', ['-c', 'echo "$1" > "$0"', fifo.path, word]).ended;
      assert.equal(String((await data)[0]), `${word}\n`);
    }
    assert.equal(lasting.readableEnded, false);
    lasting.destroy();
    await closed(lasting);
  },
);
