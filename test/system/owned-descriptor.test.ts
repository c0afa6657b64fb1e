import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { listen, Queue, tcp, unix } from 'vecino';
import { close, dup3 } from 'vecino/system';
import { descriptors } from '../support/leaks.js';
import { root, temporaryFolder, uniqueName } from '../support/processes.js';

const folder = temporaryFolder();
process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const limit = { timeout: 60_000 };

/** A thread that ran `source`, with all that 'vecino' and 'vecino/system' export as `v`, and posted what that returned. */
async function thread(source: string): Promise<[Worker, unknown]> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     Promise.all([import('vecino'), import('vecino/system')]).then(async ([vecino, system]) => {
       const v = { ...system, ...vecino };
       parentPort.on('message', () => process.exit(0));
       parentPort.postMessage(await (async () => { ${source} })());
     });`,
    { eval: true },
  );
  const said = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return [worker, said];
}
const exited = (worker: Worker) => new Promise((resolve) => worker.once('exit', resolve).postMessage('exit'));

for (const [how, end] of [
  ['is terminated', (worker: Worker) => worker.terminate()],
  ['exits', exited],
] as const) {
  test(
    `Descriptors: pipes and sockets of a thread that ${how} are closed, and their peers are told`,
    limit,
    async () => {
      const name = `${folder}/server-${how}`;
      // What a first worker and a first wait leave open for good is open after this.
      await end((await thread('const { reader } = v.pipe(); reader.read().catch(() => {});'))[0]);
      const [worker, said] = await thread(`
      const pipe = globalThis.pipe = v.pipe();
      const server = globalThis.server = v.unix.listen(${JSON.stringify(name)});
      const other = globalThis.other = v.tcp.listen();
      server.accept().then((socket) => {
        globalThis.socket = socket;
        socket.receive().catch(() => {});
        socket.sendSync(new Uint8Array(1));
      });
      return [pipe.writer.fd, other.address.port];`);
      try {
        const [writer, port] = said as [number, number];
        const before = descriptors();
        const socket = await unix.connect(name);
        assert.equal((await socket.receive())?.bytes.length, 1);
        const taken = await tcp.connect({ port });
        const other = openSync('/dev/null', 'r');
        // A number that was closed behind the owner's back and names something else by now is not its to close.
        close(writer);
        const stranger = dup3(other, writer);
        await end(worker);
        assert.equal(await socket.receive(), null);
        await assert.rejects(taken.receive(), { code: 'ECONNRESET' }); // nobody had accepted it
        closeSync(stranger); // it is still open
        for (const each of [socket, taken]) each.close();
        closeSync(other);
        assert.ok(descriptors().length <= before.length - 4, descriptors().join('\n'));
      } finally {
        await worker.terminate();
      }
    },
  );
}

/** Every call that makes descriptors; none of them is given to an object. */
const CALLS = `
  const { constants: c } = v, name = ${JSON.stringify(`${folder}/file`)};
  const [a, b] = v.socketpair('seqpacket');
  const server = v.socket('unix', 'stream');
  v.bind(server, v.unixAddress('path', ${JSON.stringify(`${folder}/calls`)} + Math.random()));
  const { listen, connect, inotifyInit } = (await import(${JSON.stringify(`${root}/dist/system/native.js`)})).native;
  listen(server, 1);
  const client = v.socket('unix', 'stream');
  connect(client, v.getsockname(server));
  v.accept4(server);
  const file = v.open(name, c.O_RDONLY);
  v.sendmsg(a, new Uint8Array(1), [file, file]);
  v.recvmsg(b, new Uint8Array(1));
  v.sendmsg(a, new Uint8Array(1), [file, file]);
  globalThis.kept = [v.unix.fromFd(b).receiveSync()];
  v.dup(file);
  v.fcntl(file, 1030, 0);
  v.dup3(file, 900);
  v.pipe2(); v.eventfd(); v.epollCreate(); v.memfdCreate('vecino-test', 0); inotifyInit(0);
  const [memory, queue] = ${JSON.stringify([uniqueName('memory'), uniqueName('queue')])};
  v.shmOpen(memory, c.O_RDWR | c.O_CREAT); v.shmUnlink(memory);
  v.mqOpen(queue, c.O_RDWR | c.O_CREAT); v.mqUnlink(queue);
  v.mkfifo(name + '.fifo' + Math.random());`;
/** Every kind of object that has a descriptor. */
const OBJECTS = `
  const name = ${JSON.stringify(uniqueName('worker'))};
  const kept = globalThis.kept = [];
  const keep = (object) => (kept.push(object), object);
  keep(v.SharedMemory.anonymous(4096));
  keep(v.SharedMemory.create(name, 4096)).unlink();
  keep(v.SharedMemory.fromFd(kept[0].fd));
  keep(v.Mutex.named(name)); v.Mutex.unlink(name);
  keep(v.RwLock.named(name)); v.RwLock.unlink(name);
  keep(v.Condition.named(name)); v.Condition.unlink(name);
  keep(v.Barrier.named(name, 2)); v.Barrier.unlink(name);
  keep(v.Semaphore.create(name, 1)).unlink();
  keep(v.FileLock.open(${JSON.stringify(`${folder}/file`)}));
  keep(v.MessageQueue.create(name)).unlink();
  keep(new v.readiness.Epoll()).add(keep(v.pipe()).reader.fd, { read: true });
  keep(v.unix.pair());
  keep(v.unix.listen('@' + name));
  keep(v.tcp.listen());
  keep(await v.Queue.open(name)); v.Queue.unlink(name);
  keep(await v.Topic.open(name + 't')).subscribe();
  keep(await v.listen(name + 'l')).accept().then(keep, () => {});
  keep(await v.connect(name + 'l'));
  keep(await v.serve(name + 's', { f: () => 1 }));
  keep(await v.client(name + 's'));`;
writeFileSync(`${folder}/file`, '');
for (const [what, source] of [
  ['each call makes', CALLS],
  ['objects of every kind have', OBJECTS],
] as const) {
  test(`Descriptors: what ${what} is closed with its thread, whichever way that ends`, limit, async () => {
    await (await thread(source))[0].terminate(); // what a first worker leaves open for good is open after this
    const before = descriptors().length;
    for (const end of [exited, (worker: Worker) => worker.terminate()]) {
      const [worker] = await thread(source);
      assert.ok(descriptors().length >= before + 20, 'the thread has made them');
      await end(worker);
      assert.deepEqual(descriptors().slice(before), []);
    }
  });
}
test('Descriptors: what was detached outlives its thread', limit, async () => {
  const [worker, fds] = await thread(
    'const [a, b] = v.unix.pair(); b.sendSync(Buffer.of(7)); return [a.detach(), b.detach()];',
  );
  await worker.terminate();
  const [a, b] = (fds as [number, number]).map((fd) => unix.fromFd(fd));
  assert.deepEqual([...(await a!.receive())!.bytes], [7]);
  a!.close();
  b!.close();
});
test(
  'Descriptors: what another thread has taken over stays open when the thread that made it ends',
  limit,
  async () => {
    const [worker, fds] = await thread('return v.socketpair("seqpacket");');
    const [a, b] = (fds as [number, number]).map((fd) => unix.fromFd(fd));
    await worker.terminate();
    a!.sendSync(Uint8Array.of(1));
    assert.equal((await b!.receive())?.bytes.length, 1);
    a!.close();
    b!.close();
  },
);
test('Descriptors: names and seats of threads that are terminated while they open something are free at once', {
  timeout: 240_000,
}, async () => {
  const source = (name: string) => `
    const { parentPort } = require('node:worker_threads');
    Promise.all([import('vecino'), import('vecino/system')]).then(async ([vecino, system]) => {
       const v = { ...system, ...vecino };
      parentPort.postMessage('begun');
      for (;;) {
        const listener = await v.listen('${name}');
        const [c] = await Promise.all([v.connect('${name}'), listener.accept()]);
        await c.send('x');
        await v.Queue.open('${name}-queue');
        v.SharedMemory.anonymous(4096);
        v.FileLock.open(${JSON.stringify(`${folder}/file`)});
        await new Promise((resolve) => parentPort.once('message', resolve).unref());
      }
    });`;
  let before: number | undefined;
  for (let i = 0; i < 24; i++) {
    const name = uniqueName('name');
    const worker = new Worker(source(name), { eval: true });
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    // Somewhere in the middle of it, another place each time: it takes a few milliseconds.
    const end = performance.now() + i / 2;
    while (performance.now() < end) await new Promise(setImmediate);
    await worker.terminate();
    (await listen(name)).close();
    (await Queue.open(`${name}-queue`)).close();
    Queue.unlink(`${name}-queue`);
    before ??= descriptors().length;
    assert.equal(descriptors().length, before, descriptors().join('\n'));
  }
});
