import './support/leaks.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startScript, temporaryFolder, uniqueName } from './support/processes.js';

/** Of something that can be waited for: how to make it (`object`), how to wait, and how to clear away what the kernel keeps. */
interface Kind {
  make: string;
  wait: string;
  clear?: string;
  env?: Record<string, string>;
}
/** What the programs begin with. What is at the other end is kept: its collection would end the wait. */
const prelude = `
  import * as vecino from 'vecino';
  const kept = (globalThis.kept = []);
  const keeping = (make) => (...args) => {
    const made = make(...args);
    kept.push(made);
    return made;
  };
  Object.assign(globalThis, vecino, {
    connect: keeping(vecino.connect),
    listen: keeping(vecino.listen),
    pipe: keeping(vecino.pipe),
    tcp: { ...vecino.tcp, listen: keeping(vecino.tcp.listen) },
    unix: { ...vecino.unix, listen: keeping(vecino.unix.listen), pair: keeping(vecino.unix.pair) },
  });`;
const kinds: Record<string, Kind> = {
  'a read of a pipe': { make: `const ends = pipe(); const object = ends.reader;`, wait: `object.read(options)` },
  'a write to a full pipe': {
    make: `const ends = pipe(); const object = ends.writer; while (object.tryWrite(new Uint8Array(4096)) > 0);`,
    wait: `object.write(new Uint8Array(1), options)`,
  },
  'the open of a FIFO for reading': {
    make: `const object = Fifo.create(path);`,
    wait: `object.openReader(options)`,
    clear: `object.unlink()`,
  },
  'the open of a FIFO for writing': {
    make: `const object = Fifo.create(path);`,
    wait: `object.openWriter(options)`,
    clear: `object.unlink()`,
  },
  'a receive from a message queue': {
    make: `const object = MessageQueue.create(name);`,
    wait: `object.receive(options)`,
    clear: `object.unlink()`,
  },
  'a send to a full message queue': {
    make: `const object = MessageQueue.create(name, { maxMessages: 1, messageSize: 8 }); object.sendSync('x');`,
    wait: `object.send('y', options)`,
    clear: `object.unlink()`,
  },
  'a receive from a System V message queue': {
    make: `const object = SysVMessageQueue.create('private');`,
    wait: `object.receive(options)`,
    clear: `object.remove()`,
  },
  'a send to a full System V message queue': {
    make: `const object = SysVMessageQueue.create('private'); while (object.trySend(new Uint8Array(4096), { type: 1 }));`,
    wait: `object.send('y', { type: 1, ...options })`,
    clear: `object.remove()`,
  },
  'an accept of a Unix server': { make: `const object = unix.listen('@' + name);`, wait: `object.accept(options)` },
  'a receive from a Unix socket': {
    make: `const [object, peer] = unix.pair('seqpacket');`,
    wait: `object.receive(options)`,
  },
  'a send to a full Unix socket': {
    make: `const [object, peer] = unix.pair('stream'); while (object.trySend(new Uint8Array(65536)) > 0);`,
    wait: `object.send(new Uint8Array(1), options)`,
  },
  'a receive from a Unix datagram server': {
    make: `const object = unix.listen('@' + name, { type: 'datagram' });`,
    wait: `object.receive(options)`,
  },
  'an accept of a TCP server': { make: `const object = tcp.listen();`, wait: `object.accept(options)` },
  'a receive from a TCP socket': {
    make: `const server = tcp.listen(); const object = await tcp.connect({ port: server.port });`,
    wait: `object.receive(options)`,
  },
  'a wait of an epoll': {
    make: `const ends = pipe(); const object = new readiness.Epoll(); object.add(ends.reader.fd, { read: true });`,
    wait: `object.wait(options)`,
  },
  'a lock of a mutex that this thread holds': {
    make: `const object = Mutex.named(name); const guard = object.lockSync();`,
    wait: `object.lock(options)`,
    clear: `Mutex.unlink(name)`,
  },
  ...Object.fromEntries(
    ['ring', 'thread', 'look'].map((way) => [
      `a lock of a mutex, by the way "${way}"`,
      {
        make: `const other = Mutex.named(name); const guard = other.lockSync(); const object = Mutex.named(name);`,
        wait: `object.lock(options)`,
        clear: `Mutex.unlink(name)`,
        env: { VECINO_WORDS: way },
      },
    ]),
  ),
  'a read of a RwLock': {
    make: `const other = RwLock.named(name); const guard = other.writeSync(); const object = RwLock.named(name);`,
    wait: `object.read(options)`,
    clear: `RwLock.unlink(name)`,
  },
  'a write of a RwLock': {
    make: `const other = RwLock.named(name); const guard = other.readSync(); const object = RwLock.named(name);`,
    wait: `object.write(options)`,
    clear: `RwLock.unlink(name)`,
  },
  'a wait for a condition': {
    make: `const memory = SharedMemory.anonymous(4096); const mutex = Mutex.create(memory); const object = Condition.create(memory, 64);`,
    wait: `mutex.lock().then((guard) => object.wait(guard, options))`,
  },
  'a wait at a barrier': {
    make: `const memory = SharedMemory.anonymous(Barrier.byteLength); const object = Barrier.create(memory, 0, 9);`,
    wait: `object.wait(options)`,
  },
  'a permit of a semaphore': {
    make: `const object = Semaphore.create(name, 0);`,
    wait: `object.acquire(options)`,
    clear: `object.unlink()`,
  },
  'an operation of a System V semaphore': {
    make: `const object = SysVSemaphore.create('private', [0]);`,
    wait: `object.operate([{ index: 0, delta: -1 }], options)`,
    clear: `object.remove()`,
  },
  'a lock of a file': {
    make: `const other = FileLock.open(path, { create: true }); const guard = other.tryExclusive(); const object = FileLock.open(path);`,
    wait: `object.exclusive(options)`,
  },
  'an accept of a listener': { make: `const object = await listen(name);`, wait: `object.accept(options)` },
  'a receive over a connection': {
    make: `const listener = await listen(name); const [object, peer] = await Promise.all([listener.accept(), connect(name)]);`,
    wait: `object.receive(options)`,
  },
  'a send over a full connection': {
    make: `const listener = await listen(name); const [object, peer] = await Promise.all([listener.accept(), connect(name)]);
           while (object.trySend('x'.repeat(4096))); while (object.trySend('y'));`,
    wait: `object.send('y', options)`,
  },
  'a receive of a subscription': {
    make: `const topic = await Topic.open(name); const object = topic.subscribe();`,
    wait: `object.receive(options)`,
  },
  'a receive of a subscription, told by its topic': {
    make: `const object = await Topic.open(name); const subscription = object.subscribe();`,
    wait: `subscription.receive(options)`,
  },
  'a publication that waits for a loan': {
    make: `const object = await Topic.open(name); const loan = object.reserve(8);`,
    wait: `object.publish('x', options)`,
  },
  'a receive from a queue': {
    make: `const object = await Queue.open(name);`,
    wait: `object.receive(options)`,
    clear: `Queue.unlink(name)`,
  },
  'a send to a full queue': {
    make: `const object = await Queue.open(name, { capacity: 1 }); object.sendSync('x');`,
    wait: `object.send('y', options)`,
    clear: `Queue.unlink(name)`,
  },
  'a service': { make: `const object = await serve(name, { nothing() {} });`, wait: `Promise.resolve()` },
  'a call': {
    make: `const service = (await serve(name, { never: () => new Promise(() => {}) })).unref(); const object = await client(name);`,
    wait: `object.$with(options ?? {}).never()`,
  },
  'the next value of a stream': {
    make: `const service = (await serve(name, { async *never() { await new Promise(() => {}); } })).unref(); const object = await client(name);`,
    wait: `object.$with(options ?? {}).never().next()`,
  },
  'a call that waits for a service': {
    make: `const service = await serve(name, { never: () => new Promise(() => {}) }); const object = await client(name, { reconnect: true }); service.close();`,
    wait: `object.$with(options ?? {}).never()`,
  },
  'a subscription to a signal that was referenced': {
    make: `const object = signals.on('SIGUSR2', () => {}).ref();`,
    wait: `Promise.resolve()`,
  },
};

/**
 * Waits; says `kept` if the program still runs after some turns of its event loop, which nothing else keeps going; then what becomes of it
 * after unref(), ref(), and unref() again, with a second wait that has a time limit. At the end it must end by itself.
 */
const scenes = `
  const [name, path] = process.argv.slice(1);
  const begin = (options) => void (async () => wait(options))().catch((error) => { if (error.code !== 'ERR_VECINO_CLOSED') throw error; });
  const whenKept = (next) => {
    let turns = 0;
    const look = () => (++turns === 20 ? next() : setTimeout(look, 1).unref());
    look();
  };
  const same = (result) => { if (result !== object) throw new Error('ref() and unref() must return the object'); };
  process.on('exit', () => clear());
  begin();
  whenKept(() => {
    console.log('kept');
    same(object.unref());
    same(object.unref());
    process.once('beforeExit', () => {
      console.log('free');
      same(object.ref());
      same(object.ref());
      whenKept(() => {
        console.log('kept again');
        object.unref();
        begin({ timeout: 1e6 });
        process.once('beforeExit', () => console.log('free again'));
      });
    });
  });`;

for (const [what, { make, wait, clear = '', env }] of Object.entries(kinds)) {
  test(`Keep alive: ${what} keeps the program running, after unref() no more, and after ref() again`, async () => {
    const folder = temporaryFolder();
    const source = `${prelude}
      ${scenes.replace('begin();', `${make}\nconst wait = (options) => ${wait};\nconst clear = () => { ${clear} };\nbegin();`)}`;
    const { code, stdout, stderr } = await startScript(source, [uniqueName('keep-alive'), join(folder, 'path')], {
      env: { ...process.env, VECINO_RUNTIME_DIR: folder, ...env },
    }).ended;
    assert.deepEqual({ code, stderr, stdout }, { code: 0, stderr: '', stdout: 'kept\nfree\nkept again\nfree again\n' });
  });
}

const ends = async (make: string) => {
  const folder = temporaryFolder();
  const source = `${prelude}
    const [name] = process.argv.slice(1);
    ${make}
    let turns = 0;
    const look = () => (++turns === 20 ? (console.log('kept'), process.exit(0)) : setTimeout(look, 1).unref());
    look();`;
  const { code, stdout, stderr } = await startScript(source, [uniqueName('keep-alive')], {
    env: { ...process.env, VECINO_RUNTIME_DIR: folder },
  }).ended;
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return stdout === '' ? 'ends' : stdout.trim();
};
test('Keep alive: objects that share a handle keep the program running each for itself', async () => {
  const descriptor = `const { reader, writer } = pipe(); reader.unref().read(); readable(reader.fd);`;
  assert.equal(await ends(descriptor), 'kept');
  const pairs = {
    subscriptions: `const topic = await Topic.open(name); const one = topic.subscribe(); const other = topic.subscribe();`,
    mutexes: `const memory = SharedMemory.anonymous(4096); const held = Mutex.create(memory).lockSync();
              const [one, other] = [Mutex.at(memory), Mutex.at(memory)].map((mutex) => ({ unref: () => mutex.unref(), receive: () => mutex.lock() }));`,
    sockets: `const [[one, away], [other, gone]] = [unix.pair(), unix.pair()];`,
  };
  for (const [what, make] of Object.entries(pairs)) {
    const begin = `${make} one.receive(); other.receive(); one.unref();`;
    assert.equal(await ends(begin), 'kept', what);
    assert.equal(await ends(`${begin} other.unref();`), 'ends', what);
  }
});
test('Keep alive: a wait that has ended, whichever way, keeps nothing running', async () => {
  const away = `const away = new AbortController(); const done = (wait) => wait.catch(() => {});`;
  const waits = `
    const { reader, writer } = pipe(); const mutex = Mutex.named(name); const guard = mutex.lockSync();
    const queue = await Queue.open(name); const topic = await Topic.open(name + '-topic'); const subscription = topic.subscribe();
    const permits = Semaphore.create(name, 0); const sysv = SysVSemaphore.create('private', [0]); const mailbox = SysVMessageQueue.create('private');
    const begin = (options) => [reader.read(options), mutex.lock(options), queue.receive(options), subscription.receive(options),
      permits.acquire(options), sysv.operate([{ index: 0, delta: -1 }], options), mailbox.receive(options)].map(done);
    process.on('exit', () => { Mutex.unlink(name); Queue.unlink(name); permits.unlink(); sysv.remove(); mailbox.close(); });
    const remove = () => mailbox.remove();`;
  assert.equal(
    await ends(
      `${away} ${waits} const all = begin({ signal: away.signal }); away.abort(); await Promise.all(all); remove();`,
    ),
    'ends',
    'aborted',
  );
  assert.equal(
    await ends(`${away} ${waits} await Promise.all(begin({ timeout: 1 })); remove();`),
    'ends',
    'out of time',
  );
  assert.equal(
    await ends(
      `${away} ${waits} const all = begin(); remove(); for (const each of [reader, mutex, queue, topic, permits, sysv, mailbox]) each.close(); await Promise.all(all);`,
    ),
    'ends',
    'closed',
  );
});
test('Keep alive: a subscription to a signal does not keep the program running, unless it is told to', async () => {
  assert.equal(await ends(`signals.on('SIGUSR2', () => {});`), 'ends');
  assert.equal(await ends(`signals.on('SIGUSR2', () => {}).ref();`), 'kept');
  assert.equal(await ends(`signals.on('SIGUSR2', () => {}).ref().close();`), 'ends');
  assert.equal(await ends(`signals.on('SIGUSR2', () => {}).ref(); signals.reset('SIGUSR2');`), 'ends');
});
test('Keep alive: functions that wait keep the program running: descriptors, select, poll, signals, words', async () => {
  for (const wait of [
    `readable(ends.reader.fd)`,
    `readiness.select({ read: [ends.reader.fd] })`,
    `readiness.poll([{ fd: ends.reader.fd, read: true }])`,
    `signals.wait('SIGUSR2')`,
    `futexWaitAsync(new Int32Array(SharedMemory.anonymous(4096).buffer), 0, 0)`,
  ]) {
    assert.equal(await ends(`const ends = pipe(); ${wait};`), 'kept', wait);
  }
});
