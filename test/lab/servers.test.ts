import '../support/leaks.js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Address, connectTo, parseAddress } from '#src/lab/servers/address.js';
import { checksum } from '#src/lab/servers/answer.js';
import { Client } from '#src/lab/servers/client.js';
import { forms } from '#src/lab/servers/forms/index.js';
import { load } from '#src/lab/servers/load.js';
import {
  encodeFrame,
  encodeU32,
  HEADER,
  MAX_PAYLOAD,
  MAX_ROUNDS,
  OPERATION,
  OUTCOME,
  readU32,
} from '#src/lab/servers/protocol.js';
import type { Socket } from '#src/socket/index.js';
import { readable, SystemError } from '#src/system/index.js';
import { type Running, root, start, temporaryFolder } from '../support/processes.js';

const main = join(root, 'dist', 'lab', 'servers', 'main.js');
const { ECHO, WORK, STATUS } = OPERATION;
const TIMEOUT = { timeout: 240_000 };
const none = new Uint8Array(0);
const pattern = (size: number) => Uint8Array.from({ length: size }, (_, index) => index * 7);

interface Server extends Running {
  readonly address: Address;
}
/** A server in a process of its own, which listens. */
async function serve(form: string, kind: 'unix' | 'tcp' = 'unix', more: string[] = []): Promise<Server> {
  const listen = kind === 'unix' ? `unix:${join(temporaryFolder(), 'socket')}` : 'tcp:0';
  const running = start(process.execPath, [main, form, '--listen', listen, ...more]);
  const [, address] = /^listening (.*)$/.exec(await running.line())!;
  return Object.assign(running, { address: parseAddress(address!)! });
}
/** SIGTERM, and what it must leave: nothing, and a good exit. */
async function end(server: Server): Promise<void> {
  const { code, signal, stderr } = await server.kill('SIGTERM');
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  if (server.address.kind === 'unix') assert.equal(existsSync(server.address.path), false);
}
async function echo(client: Client, bytes: Uint8Array): Promise<void> {
  const { kind, payload } = await client.request(ECHO, bytes);
  assert.equal(kind, OUTCOME.OK);
  assert.ok(Buffer.from(bytes).equals(payload), `${bytes.length} bytes came back changed`);
}
/** Whether the connection is over: its end, or a reset because the server did not read all. */
async function over(socket: Socket): Promise<void> {
  try {
    while ((await socket.receive()) !== null);
  } catch (error) {
    assert.ok(error instanceof SystemError && error.code === 'ECONNRESET', String(error));
  }
}
/** Asks, and ends the connection so that the server gets a reset: it was not read to its end, or TCP is told to. */
async function reset(address: Address, bytes: Uint8Array): Promise<void> {
  if (address.kind === 'tcp') {
    const socket = connect(address.port, '127.0.0.1');
    await new Promise((resolve) => socket.write(bytes, resolve));
    socket.resetAndDestroy();
    await once(socket, 'close');
  } else {
    const socket = await connectTo(address);
    await socket.send(Buffer.concat([encodeFrame(ECHO, pattern(1)), bytes]));
    await readable(socket.fd);
    socket.close();
  }
}

for (const form of forms.keys()) {
  test(`${form}: echoes payloads from nothing to the largest, works, and tells who it is`, TIMEOUT, async () => {
    const server = await serve(form);
    {
      using client = await Client.connect(server.address);
      for (const size of [0, 1, 64 * 1024, MAX_PAYLOAD]) await echo(client, pattern(size));
      for (const rounds of [0, 1, MAX_ROUNDS]) {
        const { kind, payload } = await client.request(WORK, encodeU32(rounds));
        assert.deepEqual([kind, readU32(payload, 0)], [OUTCOME.OK, checksum(rounds)]);
      }
      const { payload } = await client.request(STATUS, none);
      const status = JSON.parse(Buffer.from(payload).toString()) as { form: string; pid: number };
      assert.equal(status.form, form);
      assert.equal(status.pid === server.pid, form !== 'process-per-connection');
    }
    await end(server);
  });

  test(
    `${form}: takes frames in single bytes, many in one write, and large ones without waiting for answers`,
    TIMEOUT,
    async () => {
      const server = await serve(form, 'tcp');
      {
        using client = await Client.connect(server.address);
        for (const byte of encodeFrame(ECHO, pattern(9))) await client.socket.send(Uint8Array.of(byte));
        assert.deepEqual((await client.answer()).payload, pattern(9));
        const frames = Array.from({ length: 500 }, (_, index) => encodeFrame(ECHO, pattern(index)));
        // Half of the last one comes later.
        const bytes = Buffer.concat(frames);
        await client.socket.send(bytes.subarray(0, -100));
        for (let index = 0; index < 499; index++) assert.deepEqual((await client.answer()).payload, pattern(index));
        await client.socket.send(bytes.subarray(-100));
        assert.deepEqual((await client.answer()).payload, pattern(499));
        // More than all buffers on the way hold: the server must stop reading, and go on when the client takes its answers.
        const large = encodeFrame(ECHO, pattern(MAX_PAYLOAD));
        const sent = client.socket.send(Buffer.concat(Array.from({ length: 40 }, () => large)));
        for (let index = 0; index < 40; index++) assert.equal((await client.answer()).payload.length, MAX_PAYLOAD);
        await sent;
      }
      await end(server);
    },
  );

  test(`${form}: answers a client that has ended its direction, then closes`, TIMEOUT, async () => {
    const server = await serve(form);
    {
      using client = await Client.connect(server.address);
      await client.socket.send(Buffer.concat([encodeFrame(ECHO, pattern(3)), encodeFrame(WORK, encodeU32(5))]));
      await client.socket.end();
      assert.deepEqual((await client.answer()).payload, pattern(3));
      assert.equal(readU32((await client.answer()).payload, 0), checksum(5));
      assert.equal(await client.socket.receive(), null);
    }
    await end(server);
  });

  for (const kind of ['unix', 'tcp'] as const) {
    test(`${form}, ${kind}: outlives half frames, resets, garbage and frames that are too large`, TIMEOUT, async () => {
      const server = await serve(form, kind);
      const refused = async (bytes: Uint8Array, why: RegExp) => {
        using client = await Client.connect(server.address);
        await client.socket.send(bytes);
        const { kind: outcome, payload } = await client.answer();
        assert.equal(outcome, OUTCOME.ERROR);
        assert.match(Buffer.from(payload).toString(), why);
        await over(client.socket);
      };
      const header = Buffer.alloc(HEADER);
      header.writeUInt32LE(MAX_PAYLOAD + 1);
      header[4] = ECHO;
      await refused(header, /at most 262144/);
      await refused(Buffer.from('GET / HTTP/1.1\r\n\r\n'), /at most 262144/);
      await refused(encodeFrame(99, none), /unknown operation/);
      await refused(encodeFrame(WORK, encodeU32(MAX_ROUNDS + 1)), /WORK takes/);
      await refused(encodeFrame(WORK, none), /WORK takes/);
      await refused(encodeFrame(STATUS, pattern(1)), /no payload/);
      // Says nothing; half a header; half a payload; a large answer that it does not wait for.
      const large = encodeFrame(ECHO, pattern(MAX_PAYLOAD));
      for (const bytes of [none, header.subarray(0, 3), large.subarray(0, 500), large]) {
        const socket = await connectTo(server.address);
        if (bytes.length > 0) await socket.send(bytes);
        socket.close();
        await reset(server.address, bytes);
      }
      {
        using client = await Client.connect(server.address);
        await echo(client, pattern(100));
      }
      await end(server);
    });
  }

  test(`${form}: a client that dies with half a frame sent is nobody else's trouble`, TIMEOUT, async () => {
    const server = await serve(form);
    const { address } = server;
    const victim = start(process.execPath, [
      '--input-type=module',
      '--eval',
      `import { connect } from 'node:net';
       connect(${JSON.stringify((address as { path: string }).path)}).write(Uint8Array.of(100, 0, 0, 0, 1, 7), () => console.log('sent'));`,
    ]);
    assert.equal(await victim.line(), 'sent');
    await victim.kill('SIGKILL');
    {
      using client = await Client.connect(address);
      await echo(client, pattern(10));
    }
    await end(server);
  });

  test(`${form}: twenty clients at once all get their answers in the end`, TIMEOUT, async () => {
    const server = await serve(form);
    await Promise.all(
      Array.from({ length: 20 }, async (_, number) => {
        using client = await Client.connect(server.address);
        for (let count = 0; count < 5; count++) await echo(client, pattern(100 * number + count));
      }),
    );
    await end(server);
  });

  test(`${form}: killed, its clients see the end; ended by SIGTERM, they do too`, TIMEOUT, async () => {
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const server = await serve(form);
      {
        using client = await Client.connect(server.address);
        await echo(client, pattern(10));
        if (signal === 'SIGTERM') await end(server);
        else await server.kill(signal);
        await over(client.socket);
      }
      // The next takes over what a killed one left.
      if (signal === 'SIGKILL') {
        const next = start(process.execPath, [
          main,
          form,
          '--listen',
          `unix:${(server.address as { path: string }).path}`,
        ]);
        assert.match(await next.line(), /^listening/);
        await end(Object.assign(next, { address: server.address }));
      }
    }
  });
}

for (const form of forms.keys()) {
  // All connections are open at the same time, which the blocking server cannot serve.
  const connections = { blocking: 1, 'process-per-connection': 4 }[form] ?? 100;
  test(`${form}: stands the load generator, every answer right`, TIMEOUT, async () => {
    const server = await serve(form, 'unix', ['--period', '1']);
    const { address } = server;
    const most = { address, connections, concurrency: Math.min(10, connections) };
    const { firstError, ...result } = await load({ ...most, requests: 200, size: 64 });
    assert.equal(firstError, undefined);
    assert.deepEqual([result.connections, result.requests, result.errors], [connections, 200, 0]);
    assert.ok(result.latency.p50 > 0 && result.latency.p50 <= result.latency.p99);
    const worked = await load({ ...most, requests: 20, size: 0, rounds: 1000 });
    assert.deepEqual([worked.requests, worked.errors], [20, 0]);
    await end(server);
  });
}

test(
  'Servers: process-per-connection: takes no more clients than it may have children; the others wait',
  TIMEOUT,
  async () => {
    const server = await serve('process-per-connection', 'unix', ['--children', '2']);
    const { address } = server;
    const first = [await Client.connect(address), await Client.connect(address)] as const;
    for (const client of first) await echo(client, pattern(1));
    using third = await Client.connect(address);
    let answered = false;
    const waiting = echo(third, pattern(2)).then(() => {
      answered = true;
    });
    await echo(first[0], pattern(3));
    assert.equal(answered, false);
    const children = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8').trim().split(' ');
    assert.equal(children.length, 2);
    first[0].close();
    await waiting;
    first[1].close();
    await end(server);
  },
);

test('Servers: blocking: who comes second waits until the first has left', TIMEOUT, async () => {
  const server = await serve('blocking');
  const first = await Client.connect(server.address);
  using second = await Client.connect(server.address);
  await echo(first, pattern(1));
  let answered = false;
  const waiting = echo(second, pattern(2)).then(() => {
    answered = true;
  });
  await echo(first, pattern(3));
  assert.equal(answered, false);
  first.close();
  await waiting;
  await end(server);
});

test(
  'Servers: epoll: without a descriptor for the next client it serves those it has, and the next once one has left',
  TIMEOUT,
  async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'socket');
    const running = start('sh', [
      '-c',
      'ulimit -n 64; exec "$@"',
      'sh',
      process.execPath,
      main,
      'epoll',
      '--listen',
      `unix:${path}`,
    ]);
    assert.match(await running.line(), /^listening/);
    const server: Server = Object.assign(running, { address: { kind: 'unix', path } as const });
    const clients: Client[] = [];
    for (let count = 0; count < 64; count++) clients.push(await Client.connect(server.address));
    await echo(clients[0]!, pattern(1));
    const last = echo(clients.at(-1)!, pattern(2));
    for (const client of clients.slice(0, -1)) client.close();
    await last;
    clients.at(-1)!.close();
    await end(server);
  },
);

test('Servers: wrong usage is exit 2 with one line; an address in use is exit 1', TIMEOUT, async () => {
  for (const args of [
    [],
    ['epoll'],
    ['no-such-form', '--listen', 'tcp:0'],
    ['epoll', '--listen', 'udp:1'],
    ['epoll', '--listen', 'tcp:65536'],
    ['polling', '--listen', 'tcp:0', '--period', '0'],
    ['process-per-connection', '--listen', 'tcp:0', '--children', 'many'],
  ]) {
    const { code, stdout, stderr } = await start(process.execPath, [main, ...args]).ended;
    assert.deepEqual([code, stdout], [2, ''], args.join(' '));
    assert.match(stderr, /^usage: [^\n]+\n$/);
  }
  const server = await serve('epoll');
  const { code, stderr } = await start(process.execPath, [
    main,
    'select',
    '--listen',
    `unix:${(server.address as { path: string }).path}`,
  ]).ended;
  assert.equal(code, 1);
  assert.match(stderr, /^server: .*EADDRINUSE[^\n]*\n$/);
  await end(server);
});
