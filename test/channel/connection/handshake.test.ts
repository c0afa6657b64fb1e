/** Listeners and connectors that lie, or say nothing: neither side believes the other, waits for ever for it, or keeps what it was handed. */
import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Connection,
  CorruptError,
  connect,
  listen,
  PeerDiedError,
  pipe,
  SharedMemory,
  TimeoutError,
  type UnixSocket,
  unix,
} from 'vecino';
import { Participant } from '#src/channel/directory/participant.js';
import { close } from '#src/system/file.js';
import { memfdCreate } from '#src/system/memory.js';
import { descriptors } from '../../support/leaks.js';
import { startScript, temporaryFolder, uniqueName } from '../../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const limit = { timeout: 60_000 };
const terms = { vecino: 1, capacity: 4096, takes: 1000, barriers: true };
/** What the memory of both rings needs. */
const SIZE = 4096 + 4096 + 4096;

/** Connects to somebody who answers as `answer` does, after he has heard what we want; how that ended. */
async function against(answer: (socket: UnixSocket) => unknown, timeout = 30_000): Promise<unknown> {
  const name = uniqueName();
  using participant = Participant.open(name, { kind: 'connection', codec: 'bytes', geometry: {} });
  using server = unix.listen(participant.path('socket'), { type: 'seqpacket' });
  const liar = server.accept().then(async (socket) => {
    await (socket as UnixSocket).receive();
    await answer(socket as UnixSocket);
    return socket;
  });
  const outcome = await connect(name, { codec: 'bytes', capacity: 4096, timeout }).then(
    (connection) => connection,
    (error: unknown) => error,
  );
  (await liar).close();
  return outcome;
}
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

test(
  'Handshake: a listener that hands over no memory, or such as cannot be relied on, is found out, and nothing of it is kept',
  limit,
  async () => {
    const sealed = SharedMemory.anonymous(SIZE);
    const short = SharedMemory.anonymous(SIZE - 1);
    const unsealed = memfdCreate('vecino-test', 0);
    const { reader, writer } = pipe();
    await against((socket) => socket.send(json(terms))); // what is opened lazily is open after this
    const before = descriptors();
    for (const [what, rights] of [
      ['none', []],
      ['two', [sealed.fd, sealed.fd]],
      ['as many as go', new Array<number>(253).fill(sealed.fd)],
      ['one byte short', [short.fd]],
      ['one that its owner can truncate', [unsealed]],
      ['a pipe', [reader.fd]],
      ['a folder, a terminal or the like', [0]],
    ] as const) {
      const outcome = await against((socket) => socket.send(json(terms), { descriptors: [...rights] }));
      assert.ok(outcome instanceof CorruptError, `${what}: ${outcome}`);
      assert.deepEqual(descriptors(), before, what);
    }
    const honest = await against((socket) => socket.send(json(terms), { descriptors: [sealed.fd] }));
    assert.ok(honest instanceof Connection, String(honest));
    honest.close();
    assert.deepEqual(descriptors(), before);
    sealed.close();
    short.close();
    close(unsealed);
    reader.close();
    writer.close();
  },
);

test('Handshake: terms that make no sense, and what is no answer at all, are a CorruptError', limit, async () => {
  const sealed = SharedMemory.anonymous(SIZE);
  for (const answer of [
    ...['', '{', 'null', '[]', '7', '{}', '{"vecino":2}'].map((text) => Buffer.from(text)),
    Buffer.alloc(5000, ' '),
    ...[0, -4096, 4097, 5000, 1e9, 2 ** 30, 1e300, '4096', null, [4096], { valueOf: 4096 }].map((capacity) =>
      json({ ...terms, capacity }),
    ),
    ...[0, -1, 1.5, 2 ** 31, '1', null].map((takes) => json({ ...terms, takes })),
  ]) {
    const outcome = await against((socket) => socket.send(answer, { descriptors: [sealed.fd] }));
    assert.ok(outcome instanceof CorruptError, `${answer.subarray(0, 100)}: ${outcome}`);
  }
  for (const error of [7, null, {}, 'E'.repeat(1000)]) {
    const outcome = await against((socket) => socket.send(json({ vecino: 1, error, message: { a: 1 } })));
    assert.equal(typeof (outcome as { code?: unknown }).code, 'string', String(outcome));
  }
  sealed.close();
});

test(
  'Handshake: a listener that says nothing is waited for as long as the time-out, one that hangs up not at all',
  limit,
  async () => {
    assert.ok((await against(() => {}, 20)) instanceof TimeoutError);
    assert.ok((await against((socket) => socket.close())) instanceof PeerDiedError);
    const name = uniqueName();
    await using listener = await listen(name);
    await assert.rejects(connect(name, { timeout: 20 }), TimeoutError); // nobody accepts
    await assert.rejects(connect(name, { timeout: 0 }), TimeoutError);
    const reason = new Error('enough');
    await assert.rejects(connect(name, { signal: AbortSignal.abort(reason) }), reason);
    const controller = new AbortController();
    const aborted = assert.rejects(connect(name, { signal: controller.signal }), reason);
    setImmediate(() => controller.abort(reason));
    await aborted;
    // Those who gave up are accepted by nobody; the next one is.
    const [a, b] = await Promise.all([listener.accept(), connect(name)]);
    await b.send('mine');
    assert.equal(await a.receive(), 'mine');
    a.close();
    b.close();
  },
);

test(
  'Handshake: a listener that is stopped is waited for; when it goes on it serves who has waited',
  limit,
  async () => {
    const name = uniqueName();
    const peer = startScript(`
    import { listen } from 'vecino';
    const listener = await listen('${name}', { codec: 'text' });
    console.log('up');
    for await (const connection of listener) connection.send(await connection.receive());`);
    await peer.line();
    process.kill(peer.pid, 'SIGSTOP');
    await assert.rejects(connect(name, { codec: 'text', timeout: 50 }), TimeoutError);
    const waiting = connect<string>(name, { codec: 'text' });
    setTimeout(() => process.kill(peer.pid, 'SIGCONT'), 20);
    const connection = await waiting;
    await connection.send('hello');
    assert.equal(await connection.receive(), 'hello');
    connection.close();
    await peer.kill();
  },
);
