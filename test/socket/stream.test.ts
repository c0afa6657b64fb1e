import '../support/leaks.js';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type Duplex, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { SystemError, tcp, unix } from 'vecino';
import { startScript, temporaryFolder, uniqueName } from '../support/processes.js';

test('Socket: a pipeline through a socket brings every byte and ends both sides', async () => {
  const [a, b] = unix.pair();
  const content = randomBytes(3_000_000);
  const source = Readable.from([content.subarray(0, 1_000_000), content.subarray(1_000_000)]);
  const hash = createHash('sha256');
  const other = b.toStream();
  other.end();
  await Promise.all([pipeline(source, a.toStream().resume()), pipeline(other, hash)]);
  assert.equal(hash.digest('hex'), createHash('sha256').update(content).digest('hex'));
  b.close();
  assert.ok(a.closed);
});

test('Socket: the writing side may end while the reading side goes on', async () => {
  const [a, b] = unix.pair();
  const one = a.toStream();
  const two = b.toStream();
  // Not by a loop over the stream: that destroys it, both sides, at its end.
  const content = (stream: Duplex) =>
    new Promise<string>((resolve) => {
      let text = '';
      stream.on('data', (chunk) => (text += chunk)).once('end', () => resolve(text));
    });
  one.end('question');
  assert.equal(await content(two), 'question');
  two.end('answer');
  assert.equal(await content(one), 'answer');
  await Promise.all(
    [one, two].map((stream) => stream.closed || new Promise((resolve) => stream.once('close', resolve))),
  );
  assert.ok(a.closed && b.closed);
});

test('Socket: over messages, each chunk is one message', async () => {
  const [a, b] = unix.pair('seqpacket');
  const words = ['one', '', 'three'];
  const out = a.toStream();
  for (const word of words) out.write(word);
  out.end();
  const chunks: string[] = [];
  for await (const chunk of b.toStream()) chunks.push(String(chunk));
  assert.deepEqual(chunks, words);
  out.destroy();
  b.close(); // from Node 24 on the loop leaves a stream open that may still be written to
});

test('Socket: an error of the socket destroys the stream and closes the socket; so does destroy()', async () => {
  const [a, b] = unix.pair();
  b.close();
  const broken = a.toStream();
  await assert.rejects(
    pipeline(Readable.from([new Uint8Array(10)]), broken),
    (error) => error instanceof SystemError && error.code === 'EPIPE',
  );
  assert.ok(a.closed);
  const [c, d] = unix.pair();
  const stream = c.toStream().resume();
  await new Promise((resolve) => setImmediate(resolve));
  stream.destroy();
  await new Promise((resolve) => stream.once('close', resolve));
  assert.ok(c.closed);
  assert.equal(await d.receive(), null);
  d.close();
});

test('Socket: back-pressure reaches the stream that writes', async () => {
  const [a, b] = unix.pair();
  const out = a.toStream();
  while (out.write(new Uint8Array(60_000)));
  assert.ok(out.writableNeedDrain);
  let read = 0;
  const reading = pipeline(
    b.toStream().on('end', () => {}),
    new Writable({
      write(chunk, _encoding, done) {
        read += chunk.length;
        done();
      },
    }),
  ).catch(() => {});
  await new Promise((resolve) => out.once('drain', resolve));
  out.end();
  out.resume();
  b.shutdown('write');
  await new Promise((resolve) => out.once('close', resolve));
  await reading;
  assert.ok(read >= 60_000);
  b.close();
});

test('Socket: node:net and vecino talk to each other, over a Unix socket and TCP', async () => {
  const closed: Promise<unknown>[] = [];
  const server = createServer((socket) => {
    closed.push(once(socket, 'close')); // the server's own close() does not wait for all of that
    socket.pipe(socket);
  });
  const path = `${temporaryFolder()}/net`;
  for (const connect of [
    async () => {
      await new Promise<void>((resolve) => server.listen(path, resolve));
      return unix.connect(path);
    },
    async () => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return tcp.connect({ port: (server.address() as { port: number }).port });
    },
  ]) {
    const socket = await connect();
    const content = randomBytes(500_000);
    const sent = socket.send(content).then(() => socket.end());
    const parts: Uint8Array[] = [];
    for await (const { bytes } of socket) parts.push(bytes);
    await sent;
    assert.deepEqual(Buffer.concat(parts), content);
    socket.close();
    await new Promise((resolve) => server.close(resolve));
    await Promise.all(closed);
  }
});

for (const kind of ['socket', 'connection']) {
  test(`Stream of a ${kind}: a listener that throws is an uncaught exception, as with any stream`, async () => {
    const program = `
      import { connect, listen, unix } from 'vecino';
      process.on('uncaughtException', (error, origin) => { console.log(origin, error.message); process.exit(); });
      const ends = async () => {
        const listener = await listen(process.argv[1], { codec: 'text' });
        return Promise.all([connect(process.argv[1], { codec: 'text' }), listener.accept()]);
      };
      const [a, b] = ${kind === 'socket' ? 'unix.pair()' : 'await ends()'};
      const stream = ${kind === 'socket' ? 'a.toStream()' : 'a.toStreams().readable'};
      stream.on('data', () => { throw new Error('from a listener'); });
      await b.send(${kind === 'socket' ? "Buffer.from('x')" : "'x'"});`;
    const env = { ...process.env, VECINO_RUNTIME_DIR: temporaryFolder() };
    const { stdout, stderr } = await startScript(program, [uniqueName()], { env }).ended;
    assert.deepEqual([stdout, stderr], ['uncaughtException from a listener\n', '']);
  });
}
