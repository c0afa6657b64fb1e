/** What the types call readonly cannot be assigned to, in any public class: others rely on what it says. */
import './support/leaks.js';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as vecino from 'vecino';
import {
  Barrier,
  type CallContext,
  Condition,
  client,
  connect,
  Fifo,
  FileLock,
  layout,
  listen,
  MessageQueue,
  Mutex,
  pipe,
  Queue,
  RwLock,
  readiness,
  Semaphore,
  SharedMemory,
  SysVMessageQueue,
  SysVSemaphore,
  SysVSharedMemory,
  serve,
  Topic,
  tcp,
  unix,
} from 'vecino';
import { Deadline, DescriptorSets, Readiness } from 'vecino/system';
import { temporaryFolder, uniqueName } from './support/processes.js';

const folder = temporaryFolder();
process.env['VECINO_RUNTIME_DIR'] = folder;

/** Properties of data: nothing of ours looks at them again. */
const DATA = new Set(['SocketMessage']);
/** The names of what `object` has to be read and not to be written: its own properties, and the getters of its classes. */
function* properties(object: object): Generator<string> {
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(object)))
    if (typeof value !== 'function') yield name;
  for (let kind = Object.getPrototypeOf(object); kind !== Object.prototype && kind !== null; ) {
    for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(kind)))
      if (get !== undefined) yield name;
    kind = Object.getPrototypeOf(kind);
  }
}
function assertReadOnly(object: object): number {
  let count = 0;
  for (const name of properties(object)) {
    assert.throws(
      () => {
        (object as Record<string, unknown>)[name] = 'mine';
      },
      TypeError,
      `${object.constructor.name}.${name} can be assigned to`,
    );
    count++;
  }
  return count;
}

test('Public classes: no property of an object can be assigned to', async () => {
  const closing: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(thing: T): T => {
    closing.push(thing);
    return thing;
  };
  const seen = new Map<string, number>();
  const look = (...objects: object[]) => {
    for (const object of objects)
      if (!DATA.has(object.constructor.name)) seen.set(object.constructor.name, assertReadOnly(object));
  };

  const memory = keep(SharedMemory.create(uniqueName(), 65536));
  const shared = keep(SysVSharedMemory.create('private', 4096));
  look(memory, shared, keep(SharedMemory.anonymous(4096)));
  const plan = layout({ count: { atomic: 'u32' }, all: { array: 'u32', length: 4 } });
  const record = plan.at(memory);
  look(plan, record.count);

  const mutex = Mutex.create(memory, 1024);
  const guard = mutex.lockSync();
  const rwLock = RwLock.create(memory, 4096);
  const readers = rwLock.readSync();
  const semaphore = keep(Semaphore.create(uniqueName(), 1));
  look(mutex, guard, rwLock, readers, semaphore, Condition.create(memory, 2048));
  look(Barrier.create(memory, 16384, 2));
  const permits = SysVSemaphore.create('private', [1]);
  writeFileSync(join(folder, 'locked'), '');
  const fileLock = keep(FileLock.open(join(folder, 'locked')));
  const fileGuard = fileLock.exclusiveSync();
  look(permits, fileLock, fileGuard);

  const { reader, writer } = pipe();
  const fifo = Fifo.create(join(folder, 'fifo'));
  look(keep(reader), keep(writer), fifo);
  const posix = keep(MessageQueue.create(uniqueName(), { messageSize: 16 }));
  const sysv = keep(SysVMessageQueue.create('private'));
  look(posix, sysv);

  const server = keep(unix.listen(join(folder, 'server')));
  const datagrams = keep(unix.listen(join(folder, 'datagrams'), { type: 'datagram' }));
  const tcpServer = keep(tcp.listen());
  const [socket, accepted] = await Promise.all([tcp.connect({ port: tcpServer.port }), tcpServer.accept()]);
  const pair = unix.pair('stream');
  look(server, datagrams, tcpServer, keep(socket), keep(accepted), keep(pair[0]), keep(pair[1]));
  look(keep(new readiness.Epoll()), new Deadline('wait', { timeout: 1 }), new DescriptorSets());
  look(keep(new Readiness(pair[0].fd, 'it')));

  const listener = keep(await listen(uniqueName(), { codec: 'bytes' }));
  const [connection, other] = await Promise.all([connect(listener.name, { codec: 'bytes' }), listener.accept()]);
  const loan = keep(connection).reserve(8);
  look(listener, connection, keep(other), loan);
  loan.discard();
  const topic = keep(await Topic.open(uniqueName()));
  look(topic, topic.subscribe());
  const queue = keep(await Queue.open<string>(uniqueName()));
  await queue.send('it');
  const delivery = await queue.receive();
  look(queue, delivery);
  delivery.acknowledge();

  const contexts: CallContext[] = [];
  const service = keep(
    await serve(uniqueName(), {
      call(this: CallContext) {
        contexts.push(this);
      },
    }),
  );
  const calls = keep(await client<{ call(): void }>(service.name));
  await calls.call();
  look(service, ...contexts);

  // All that were exported are there, but for errors, data, and what the program makes by itself.
  const exported = Object.entries(vecino).filter(
    ([, value]) => typeof value === 'function' && /^class/.test(Function.prototype.toString.call(value)),
  );
  const missing = exported
    .filter(
      ([name, value]) =>
        !seen.has(name) && !DATA.has(name) && !((value as { prototype: unknown }).prototype instanceof Error),
    )
    .map(([name]) => name);
  assert.deepEqual(missing, []);
  assert.ok([...seen.values()].reduce((sum, count) => sum + count) > 60);

  // What they say is what was made, after all of that.
  const { name } = memory;
  assert.throws(() => Object.assign(memory, { name: 'another' }), TypeError);
  assert.equal(memory.unlink(), true);
  assert.equal(SharedMemory.unlink(name!), false);

  readers.release();
  guard.release();
  fileGuard.release();
  fifo.unlink();
  permits.remove();
  shared.remove();
  posix.unlink();
  sysv.remove();
  Semaphore.unlink(semaphore.name!);
  Queue.unlink(queue.name);
  for (const thing of closing.reverse()) thing.close();
});

test('Public classes: what a class says of itself cannot be assigned to', () => {
  for (const [name, value] of Object.entries(vecino)) {
    if (typeof value !== 'function') continue;
    for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
      if (typeof descriptor.value !== 'number' || key === 'length') continue;
      assert.equal(descriptor.writable, false, `${name}.${key}`);
    }
  }
});
