import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { unix } from 'vecino';
import { runScript, uniqueName } from '../support/processes.js';

test('Socket: 5,000 connections wait at once, cost little memory, and each gets its own answer', {
  timeout: 120_000,
}, async () => {
  const output = await runScript(
    `
    import { unix } from 'vecino';
    const COUNT = 5000;
    const server = unix.listen('@${uniqueName('many')}');
    const clients = [], peers = [];
    gc();
    const before = process.memoryUsage();
    const heap = () => (process.memoryUsage().heapUsed - before.heapUsed) / COUNT / 2;
    for (let i = 0; i < COUNT; i++) {
      clients.push(unix.connectSync(server.address));
      peers.push(server.tryAccept());
    }
    gc();
    const idle = heap();
    const serving = peers.map(async (socket) => {
      for await (const { bytes } of socket) await socket.send(bytes);
      socket.close();
    });
    const answers = clients.map((socket) => socket.receive());
    await new Promise((resolve) => setImmediate(resolve));
    gc();
    const waiting = heap();
    clients.forEach((socket, i) => socket.sendSync(Buffer.from(String(i))));
    const texts = (await Promise.all(answers)).map(({ bytes }) => Buffer.from(bytes).toString());
    for (const socket of clients) socket.close();
    await Promise.all(serving);
    server.close();
    console.log(JSON.stringify({ right: texts.every((text, i) => text === String(i)), idle, waiting }));
  `,
    [],
    { env: { ...process.env, NODE_OPTIONS: '--expose-gc' } },
  );
  const { right, idle, waiting } = JSON.parse(output);
  assert.ok(right);
  assert.ok(idle < 1500, `${idle} bytes of heap for an idle socket`);
  assert.ok(waiting < 6000, `${waiting} bytes of heap for a socket that waits`);
});

test('Socket: a worker that is terminated while it waits, in the event loop or blocked, closes its sockets and harms no other', async () => {
  const [a, b] = unix.pair('seqpacket');
  const [c, d] = unix.pair('seqpacket');
  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    import { unix } from ${JSON.stringify(import.meta.resolve('vecino'))};
    const socket = unix.fromFd(workerData.fd);
    const message = await socket.receive();
    parentPort.postMessage(Buffer.from(message.bytes).toString());
    if (workerData.blocked) socket.receiveSync();
    else await socket.receive();`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const fds = [b, d].map((socket) => socket.detach());
  const workers = fds.map((fd, i) => new Worker(url, { workerData: { fd, blocked: i === 1 } }));
  const said = workers.map((worker) => new Promise((resolve) => worker.once('message', resolve)));
  await a.send(Buffer.from('to one'));
  await c.send(Buffer.from('to two'));
  assert.deepEqual(await Promise.all(said), ['to one', 'to two']);
  await Promise.all(workers.map((worker) => worker.terminate()));
  for (const socket of [a, c]) {
    assert.equal(await socket.receive(), null);
    socket.close();
  }
});

test('Socket: workers have sockets of their own and talk to each other', async () => {
  const name = `@${uniqueName('workers')}`;
  const server = unix.listen(name);
  const source = `
    import { unix } from ${JSON.stringify(import.meta.resolve('vecino'))};
    const socket = unix.connectSync(${JSON.stringify(name)});
    for (let i = 0; i < 500; i++) {
      socket.sendSync(Buffer.from([i & 255]));
      if (socket.receiveSync({ timeout: 60_000 }).bytes[0] !== (i & 255)) throw new Error('wrong echo');
    }
    socket.close();`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const workers = [new Worker(url), new Worker(url), new Worker(url)];
  const exits = workers.map(
    (worker) => new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject)),
  );
  const serving = (async () => {
    const echoes: Promise<void>[] = [];
    for await (const socket of server) {
      echoes.push(
        (async () => {
          for await (const { bytes } of socket) await socket.send(bytes);
          socket.close();
        })(),
      );
      if (echoes.length === 3) break;
    }
    await Promise.all(echoes);
  })();
  assert.deepEqual(await Promise.all(exits), [0, 0, 0]);
  await serving;
  server.close();
});

test('Socket: a socket that is dropped is closed with a warning; one that something waits for is not', async () => {
  const output = await runScript(
    `
    import { unix } from 'vecino';
    const warned = [];
    process.on('warning', ({ code, message }) => warned.push(code + ' ' + message.replace(/[0-9]+/, 'N')));
    let far;
    (() => { let near; [near, far] = unix.pair('seqpacket'); })();
    const server = unix.listen('@${uniqueName('dropped')}');
    let waited;
    const loud = await (async () => {
      const client = await unix.connect(server.address);
      const peer = await server.accept();
      waited = peer.receive();
      return client;
    })();
    let ended = false;
    void far.receive({ timeout: 60_000 }).then((message) => (ended = message === null));
    while (!ended) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    loud.sendSync(Buffer.from('heard'));
    console.log(Buffer.from((await waited).bytes).toString(), ...warned);
    far.close(); loud.close(); server.close();
    process.exit();`,
    [],
    { env: { ...process.env, NODE_OPTIONS: '--expose-gc --no-warnings' } },
  );
  assert.equal(output, 'heard VECINO_NOT_CLOSED A Unix seqpacket socket (fd N) was dropped without close()\n');
});

test('Socket: detach gives the descriptor up, open, and ends what waits', async () => {
  const [a, b] = unix.pair();
  const waiting = assert.rejects(a.receive(), { code: 'ERR_VECINO_CLOSED' });
  const again = unix.fromFd(a.detach());
  await waiting;
  assert.ok(a.closed);
  assert.throws(() => a.detach(), { code: 'ERR_VECINO_CLOSED' });
  a.close();
  again.sendSync(Buffer.from('x'));
  assert.equal((await b.receive())!.bytes.length, 1);
  again.close();
  b.close();
});
