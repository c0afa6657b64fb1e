import '../support/leaks.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import * as vecino from 'vecino';
import { mmap, readableSync } from 'vecino/system';
import { temporaryFolder, uniqueName } from '../support/processes.js';

/** Options that exist nowhere, for whatever is called with them. */
const wrong = (name: string) => ({ [name]: undefined }) as never;
/** What must refuse them: the call, a misspelt name and the one that was meant. */
type Case = [call: (options: never) => unknown, misspelt: string, meant: string];

async function refuses([call, misspelt, meant]: Case): Promise<void> {
  const expected = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' };
  const message = new RegExp(
    `^options\\.${misspelt} does not exist\\. Did you mean '${meant}'\\? There are: .*${meant}`,
  );
  await assert.rejects(async () => call(wrong(misspelt)), { ...expected, message }, `${call} ${misspelt}`);
  await assert.rejects(async () => call(wrong('xyzzyxyzzy')), { ...expected, message: /exist\. There are: / });
}

test('Options: a name that no option has is refused by whatever opens something, with the nearest that there is', async () => {
  const name = uniqueName();
  const path = join(temporaryFolder(), 'no-file');
  const create = vecino.MessageQueue.create.bind(vecino.MessageQueue, name);
  const cases: Case[] = [
    [(o) => vecino.Queue.open(name, o), 'capcity', 'capacity'],
    [(o) => vecino.Topic.open(name, o), 'Codec', 'codec'],
    [(o) => vecino.listen(name, o), 'maxMessagesize', 'maxMessageSize'],
    [(o) => vecino.connect(name, o), 'time_out', 'timeout'],
    [(o) => vecino.serve(name, { f() {} }, o), 'maxCall', 'maxCalls'],
    [(o) => vecino.client(name, o), 'reconect', 'reconnect'],
    [(o) => vecino.pipe(o), 'capazity', 'capacity'],
    [(o) => vecino.Fifo.openReader(path, o), 'persistant', 'persistent'],
    [(o) => vecino.Fifo.openReaderSync(path, o), 'persistant', 'persistent'],
    [(o) => vecino.Fifo.tryOpenReader(path, o), 'persistant', 'persistent'],
    [(o) => vecino.Fifo.openWriter(path, o), 'signl', 'signal'],
    [(o) => vecino.Fifo.openWriterSync(path, o), 'timeot', 'timeout'],
    [(o) => create(o), 'maxMesages', 'maxMessages'],
    [(o) => vecino.MessageQueue.open(name, o), 'acess', 'access'],
    [(o) => vecino.SysVMessageQueue.create('private', o), 'limits', 'limit'],
    [(o) => vecino.SysVSharedMemory.create('private', 1, o), 'mod', 'mode'],
    [(o) => vecino.SysVSemaphore.create('private', [1], o), 'mod', 'mode'],
    [(o) => vecino.SharedMemory.create(name, 1, o), 'initialise', 'initialize'],
    [(o) => vecino.SharedMemory.open(name, o), 'readonly', 'readOnly'],
    [(o) => vecino.SharedMemory.fromFd(0, o), 'sise', 'size'],
    [(o) => mmap(0, 1, o), 'offest', 'offset'],
    [(o) => vecino.Semaphore.create(name, 1, o), 'mod', 'mode'],
    [(o) => vecino.Mutex.named(name, o), 'mod', 'mode'],
    [(o) => vecino.RwLock.named(name, o), 'mod', 'mode'],
    [(o) => vecino.Condition.named(name, o), 'mod', 'mode'],
    [(o) => vecino.Barrier.named(name, 2, o), 'mod', 'mode'],
    [(o) => vecino.FileLock.open(path, o), 'creat', 'create'],
    [(o) => vecino.unix.listen(path, o), 'backlogg', 'backlog'],
    [(o) => vecino.unix.connect(path, o), 'bnd', 'bind'],
    [(o) => vecino.unix.connectSync(path, o), 'bnd', 'bind'],
    [(o) => vecino.tcp.listen(o), 'nodelay', 'noDelay'],
    [(o) => vecino.tcp.connect(o), 'nodelay', 'noDelay'],
    [(o) => vecino.tcp.connectSync(o), 'keepalive', 'keepAlive'],
    [(o) => vecino.layout({ x: 'u8' }).toC('x', o), 'include', 'includes'],
    [(o) => vecino.futexWait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, o), 'timeOuts', 'timeout'],
    [(o) => vecino.futexWaitAsync(new Int32Array(new SharedArrayBuffer(4)), 0, 1, o), 'timeOuts', 'timeout'],
    [(o) => vecino.signals.wait('SIGUSR2', o), 'timeut', 'timeout'],
    [(o) => vecino.signals.waitSync('SIGUSR2', o), 'timeut', 'timeout'],
  ];
  for (const each of cases) await refuses(each);
});

test('Options: so it is refused by whatever sends, receives and locks, with or without waiting', async () => {
  const { reader, writer } = vecino.pipe();
  using queue = await vecino.Queue.open<number>(uniqueName());
  using topic = await vecino.Topic.open<number>(uniqueName());
  using subscription = topic.subscribe();
  const listener = await vecino.listen<number>(uniqueName());
  const [a, b] = await Promise.all([vecino.connect<number>(listener.name), listener.accept()]);
  const service = await vecino.serve(uniqueName(), { f: () => 1 });
  using client = await vecino.client<{ f(): number }>(service.name);
  using mailbox = vecino.MessageQueue.create(uniqueName());
  const sysv = vecino.SysVMessageQueue.create('private');
  const set = vecino.SysVSemaphore.create('private', [1]);
  using memory = vecino.SharedMemory.anonymous(131_072);
  const mutex = vecino.Mutex.create(memory, 0);
  const lock = vecino.RwLock.create(memory, 16_384);
  const semaphore = vecino.Semaphore.inMemory(memory, 65_536, 1);
  const barrier = vecino.Barrier.create(memory, 81_920, 2);
  const condition = vecino.Condition.create(memory, 98_304);
  using file = vecino.FileLock.open(join(temporaryFolder(), 'lock'), { create: true });
  const [left, right] = vecino.unix.pair();
  using epoll = new vecino.readiness.Epoll();
  const byte = new Uint8Array(1);
  const cases: Case[] = [
    [(o) => queue.send(1, o), 'prioritty', 'priority'],
    [(o) => queue.trySend(1, o), 'typ', 'type'],
    [(o) => queue.sendSync(1, o), 'timeuot', 'timeout'],
    [(o) => queue.receive(o), 'type', 'types'],
    [(o) => queue.tryReceive(o), 'type', 'types'],
    [(o) => queue.receiveSync(o), 'type', 'types'],
    [(o) => topic.publish(1, o), 'timout', 'timeout'],
    [(o) => topic.subscribe(o), 'form', 'from'],
    [(o) => subscription.receive(o), 'signal_', 'signal'],
    [(o) => subscription.receiveSync(o), 'timout', 'timeout'],
    [(o) => listener.accept(o), 'timout', 'timeout'],
    [(o) => a.send(1, o), 'timout', 'timeout'],
    [(o) => a.sendSync(1, o), 'timout', 'timeout'],
    [(o) => a.receive(o), 'timout', 'timeout'],
    [(o) => a.receiveSync(o), 'timout', 'timeout'],
    [(o) => a.end(o), 'timout', 'timeout'],
    [(o) => client.$with(o), 'timout', 'timeout'],
    [(o) => service.shutdown(o), 'timout', 'timeout'],
    [(o) => reader.read(o), 'siz', 'size'],
    [(o) => reader.tryRead(o), 'siz', 'size'],
    [(o) => reader.readSync(o), 'siz', 'size'],
    [(o) => writer.write(byte, o), 'timout', 'timeout'],
    [(o) => writer.writeSync(byte, o), 'timout', 'timeout'],
    [(o) => mailbox.send(byte, o), 'prority', 'priority'],
    [(o) => mailbox.trySend(byte, o), 'prority', 'priority'],
    [(o) => mailbox.sendSync(byte, o), 'prority', 'priority'],
    [(o) => mailbox.receive(o), 'timout', 'timeout'],
    [(o) => mailbox.receiveSync(o), 'timout', 'timeout'],
    [(o) => sysv.send(byte, o), 'typ', 'type'],
    [(o) => sysv.trySend(byte, o), 'typ', 'type'],
    [(o) => sysv.sendSync(byte, o), 'typ', 'type'],
    [(o) => sysv.receive(o), 'expect', 'except'],
    [(o) => sysv.tryReceive(o), 'expect', 'except'],
    [(o) => sysv.receiveSync(o), 'expect', 'except'],
    [(o) => set.operate([{ index: 0, delta: 0 }], o), 'timout', 'timeout'],
    [(o) => set.operateSync([{ index: 0, delta: 0 }], o), 'timout', 'timeout'],
    [(o) => mutex.lock(o), 'timout', 'timeout'],
    [(o) => mutex.lockSync(o), 'timout', 'timeout'],
    [(o) => mutex.enterSync(o), 'timout', 'timeout'],
    [(o) => lock.read(o), 'timout', 'timeout'],
    [(o) => lock.readSync(o), 'timout', 'timeout'],
    [(o) => lock.write(o), 'timout', 'timeout'],
    [(o) => lock.writeSync(o), 'timout', 'timeout'],
    [(o) => semaphore.acquire(o), 'timout', 'timeout'],
    [(o) => semaphore.acquireSync(o), 'timout', 'timeout'],
    [(o) => barrier.wait(o), 'timout', 'timeout'],
    [(o) => barrier.waitSync(o), 'timout', 'timeout'],
    [(o) => file.shared(o), 'strat', 'start'],
    [(o) => file.tryShared(o), 'lenght', 'length'],
    [(o) => file.sharedSync(o), 'lenght', 'length'],
    [(o) => file.exclusive(o), 'lenght', 'length'],
    [(o) => file.tryExclusive(o), 'lenght', 'length'],
    [(o) => file.exclusiveSync(o), 'lenght', 'length'],
    [(o) => left.send(byte, o), 'descriptor', 'descriptors'],
    [(o) => left.trySend(byte, o), 'descriptor', 'descriptors'],
    [(o) => left.sendSync(byte, o), 'descriptor', 'descriptors'],
    [(o) => left.receive(o), 'timout', 'timeout'],
    [(o) => left.receiveSync(o), 'timout', 'timeout'],
    [(o) => left.writable(o), 'timout', 'timeout'],
    [(o) => epoll.wait(o), 'maxEvent', 'maxEvents'],
    [(o) => epoll.tryWait(o), 'maxEvent', 'maxEvents'],
    [(o) => epoll.waitSync(o), 'maxEvent', 'maxEvents'],
    [(o) => vecino.readiness.select({}, o), 'timout', 'timeout'],
    [(o) => vecino.readiness.selectSync({}, o), 'timout', 'timeout'],
    [(o) => vecino.readiness.poll([], o), 'timout', 'timeout'],
    [(o) => vecino.readiness.pollSync([], o), 'timout', 'timeout'],
    [(o) => vecino.readable(left.fd, o), 'timout', 'timeout'],
    [(o) => readableSync(left.fd, o), 'timout', 'timeout'],
  ];
  for (const each of cases) await refuses(each);
  const guard = mutex.lockSync();
  await refuses([(o) => condition.wait(guard, o), 'timout', 'timeout']);
  await refuses([(o) => condition.waitSync(guard, o), 'timout', 'timeout']);
  guard.release();
  assert.equal(queue.stats().ready, 0);
  for (const each of [reader, writer, a, b, listener, service, left, right]) each.close();
  for (const each of [sysv, set]) each.remove();
  vecino.Queue.unlink(queue.name);
  mailbox.unlink();
});

test("Options: those of a prototype are the caller's own, and one that nothing is near is told all that there are", () => {
  class Config {
    declare other: number;
  }
  Config.prototype.other = 1;
  const { reader, writer } = vecino.pipe(Object.assign(new Config(), { capacity: 4096 }));
  reader.close();
  writer.close();
  assert.throws(() => vecino.pipe({ toString: 1 } as never), /options\.toString does not exist\. There are: capacity/);
});

test('Options: A time-out is told in whole milliseconds and names the channel', async () => {
  const name = uniqueName();
  const listener = await vecino.listen(name);
  const [connection, peer] = await Promise.all([vecino.connect<number>(name), listener.accept()]);
  using queue = await vecino.Queue.open(uniqueName());
  using topic = await vecino.Topic.open(uniqueName());
  using subscription = topic.subscribe();
  using mailbox = vecino.MessageQueue.create(uniqueName());
  const cases: [() => unknown, RegExp][] = [
    [() => connection.receive({ timeout: 1.25 }), new RegExp(`'${name}'.* timed out after 2 ms$`)],
    [() => connection.receiveSync({ timeout: 0.5 }), new RegExp(`'${name}'.* timed out after 1 ms$`)],
    [() => queue.receive({ timeout: 1 / 3 }), new RegExp(`queue '${queue.name}'.* timed out after 1 ms$`)],
    [() => subscription.receiveSync({ timeout: 0 }), new RegExp(`topic '${topic.name}'.* timed out after 0 ms$`)],
    [() => mailbox.receive({ timeout: 1.5 }), new RegExp(`'${mailbox.name}'.* timed out after 2 ms$`)],
  ];
  for (const [call, message] of cases) await assert.rejects(async () => call(), { name: 'TimeoutError', message });
  connection.close();
  peer.close();
  listener.close();
  vecino.Queue.unlink(queue.name);
  mailbox.unlink();
});
