/** Everything that can be iterated over: what close() and an early return make of the loop is the same for all. */
import './support/leaks.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  connect,
  Fifo,
  listen,
  MessageQueue,
  pipe,
  Queue,
  readiness,
  SysVMessageQueue,
  Topic,
  tcp,
  unix,
} from 'vecino';
import { temporaryFolder, uniqueName } from './support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();

interface Kind extends AsyncIterable<unknown> {
  readonly closed?: boolean;
  close(): void;
}
/** Gives one of its kind with nothing to deliver, and what is to be closed besides. */
type Make = () => Promise<[kind: Kind, ...others: { close(): void }[]]>;
const connections = async () => {
  const name = uniqueName();
  const listener = await listen(name);
  const [connection, accepted] = await Promise.all([connect(name), listener.accept()]);
  return { listener, connection, accepted };
};
const kinds: Record<string, Make> = {
  async Connection() {
    const { listener, connection, accepted } = await connections();
    return [connection, accepted, listener];
  },
  Listener: async () => [await listen(uniqueName())],
  async Queue() {
    const name = uniqueName();
    return [await Queue.open(name), { close: () => void Queue.unlink(name) }];
  },
  async Subscription() {
    const topic = await Topic.open(uniqueName());
    return [topic.subscribe(), topic];
  },
  async MessageQueue() {
    const queue = MessageQueue.create(uniqueName(), { messageSize: 16 });
    queue.unlink();
    return [queue];
  },
  async SysVMessageQueue() {
    const queue = SysVMessageQueue.create('private');
    const { id } = queue;
    return [queue, { close: () => SysVMessageQueue.open({ id }).remove() }];
  },
  UnixSocket: async () => unix.pair('stream'),
  UnixServer: async () => [unix.listen(`@${uniqueName()}`) as unknown as Kind],
  TcpServer: async () => [tcp.listen()],
  async TcpSocket() {
    const server = tcp.listen();
    const [socket, accepted] = await Promise.all([tcp.connect({ port: server.port }), server.accept()]);
    return [socket, accepted, server];
  },
  Epoll: async () => [new readiness.Epoll()],
  async PipeReader() {
    const { reader, writer } = pipe();
    return [reader, writer];
  },
  async 'PipeReader of a FIFO'() {
    const fifo = Fifo.create(join(temporaryFolder(), 'fifo'));
    const [reader, writer] = await Promise.all([fifo.openReader(), fifo.openWriter()]);
    return [reader, writer];
  },
};

const unhandled: unknown[] = [];
const note = (reason: unknown) => void unhandled.push(reason);
const others = process.listeners('unhandledRejection');
before(() => process.removeAllListeners('unhandledRejection').on('unhandledRejection', note));
after(() => {
  process.removeListener('unhandledRejection', note);
  for (const each of others) process.on('unhandledRejection', each);
});
const turns = async () => {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
};
const DONE = { done: true, value: undefined };

for (const [name, make] of Object.entries(kinds)) {
  test(`${name}: close() ends the loop that waits, and a loop that begins after it; no promise is left to reject`, async (t) => {
    unhandled.length = 0;
    const ends: { close(): void }[] = [];
    t.after(() => {
      for (const end of ends) end.close();
    });
    const begin = async () => {
      const made = await make();
      ends.push(...made);
      return made[0];
    };
    const loop = async (kind: Kind) => {
      for await (const _ of kind) assert.fail('there was nothing to deliver');
    };

    const waits = await begin();
    const waiting = loop(waits);
    await turns();
    waits.close();
    await waiting;
    await loop(waits);
    waits.close();

    // By hand: two that are asked for at once, and one that is left before it was asked for anything.
    const asked = await begin();
    const iterator = asked[Symbol.asyncIterator]();
    const both = Promise.all([iterator.next(), iterator.next()]);
    await turns();
    asked.close();
    assert.deepEqual(await both, [DONE, DONE]);
    assert.deepEqual(await iterator.next(), DONE);

    const left = await begin();
    const unused = left[Symbol.asyncIterator]();
    assert.deepEqual(await unused.return!(), DONE);
    assert.deepEqual(await unused.next(), DONE);
    left.close();

    // A loop that nobody waits for any more, closed in the same turn.
    const dropped = await begin();
    void dropped[Symbol.asyncIterator]().next();
    dropped.close();

    await turns();
    assert.deepEqual(unhandled, []);
  });
}
