import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, readdirSync } from 'node:fs';
import { connect as connectNet } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  ClosedError,
  type Connection,
  connect,
  listen,
  MismatchError,
  PeerDiedError,
  SystemError,
  type UnixSocket,
  unix,
} from 'vecino';
import {
  type Running,
  root,
  runOnSmallFileSystem,
  start,
  startScript,
  temporaryFolder,
  uniqueName,
} from '../../support/processes.js';

const runtime = temporaryFolder();
process.env['VECINO_RUNTIME_DIR'] = runtime;
const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => i % 251);

/** A process that connects, runs `body` with `connection`, and lives on; and our end. */
async function withPeer(
  body: string,
  options = "codec: 'bytes', capacity: 4096",
): Promise<[Connection<Uint8Array>, Running]> {
  const name = uniqueName();
  await using listener = await listen<Uint8Array>(name, { codec: 'bytes', capacity: 4096 });
  const peer = startScript(`
    import { connect } from 'vecino';
    const connection = await connect('${name}', { ${options} });
    setInterval(() => {}, 1e6);
    ${body}`);
  const connection = await Promise.race([listener.accept(), peer.ended.then((outcome) => assert.fail(outcome.stderr))]);
  return [connection, peer];
}

test('Connection: a peer that is killed: all it had sent is received, then whoever waits gets PeerDiedError', {
  timeout: 60_000,
}, async () => {
  const [connection, peer] = await withPeer(`
    for (let i = 0; i < 10; i++) connection.sendSync(new Uint8Array([i]));
    process.kill(process.pid, 'SIGKILL');`);
  await peer.ended;
  for (let i = 0; i < 10; i++) assert.deepEqual(await connection.receive(), Uint8Array.of(i));
  await assert.rejects(connection.receive(), PeerDiedError);
  assert.throws(() => connection.receiveSync(), PeerDiedError);
  assert.throws(() => connection.tryReceive(), PeerDiedError);
  await assert.rejects(async () => {
    for await (const _ of connection);
  }, PeerDiedError);
  await assert.rejects(async () => {
    for (;;) await connection.send(bytes(100));
  }, PeerDiedError);
  connection.close();
});

test('Connection: a peer that is killed ends every wait at once: receive, send of a full ring, and the Sync voice', {
  timeout: 60_000,
}, async () => {
  const [connection, peer] = await withPeer("console.log('up');");
  await peer.line();
  while (connection.trySend(bytes(100)));
  const waits = [connection.receive(), connection.send(bytes(100))].map((each) => assert.rejects(each, PeerDiedError));
  await peer.kill();
  await Promise.all(waits);
  connection.close();

  const [other, dying] = await withPeer("connection.receiveSync(); process.kill(process.pid, 'SIGKILL');");
  other.sendSync(bytes(1));
  assert.throws(() => other.receiveSync(), PeerDiedError);
  await dying.ended;
  other.close();
});

test('Connection: somebody who only ever tries learns of the death too', { timeout: 60_000 }, async () => {
  const [connection, peer] = await withPeer('');
  await peer.kill();
  assert.throws(() => {
    for (;;) connection.tryReceive();
  }, PeerDiedError);
  connection.close();
  const [other, second] = await withPeer('');
  await second.kill();
  assert.throws(() => {
    for (;;) other.drain(() => {});
  }, PeerDiedError);
  assert.throws(() => {
    for (;;) other.trySend(bytes(100));
  }, PeerDiedError);
  other.close();
});

test('Connection: a message sent immediately before the end is received: exit(0) is a clean end, exit(1) is a death', {
  timeout: 60_000,
}, async () => {
  for (const [how, error] of [
    ['process.exit(0)', ClosedError],
    ['process.exit(1)', PeerDiedError],
    ['throw new Error("ouch")', PeerDiedError],
  ] as const) {
    const [connection, peer] = await withPeer(`await connection.send(new Uint8Array([42])); ${how};`);
    assert.deepEqual(await connection.receive(), Uint8Array.of(42));
    await assert.rejects(connection.receive(), error);
    await peer.ended;
    connection.close();
  }
});

test('Connection: a peer that is stopped holds nobody up for longer than that, and loses nothing', {
  timeout: 60_000,
}, async () => {
  const [connection, peer] = await withPeer(`
    console.log('up');
    for (;;) await connection.send(await connection.receive());`);
  await peer.line();
  process.kill(peer.pid, 'SIGSTOP');
  let sent = 0;
  while (connection.trySend(bytes(sent % 50))) sent++;
  await assert.rejects(connection.receive({ timeout: 50 }), /timed out after 50 ms/);
  process.kill(peer.pid, 'SIGCONT');
  for (let i = 0; i < sent; i++) assert.equal((await connection.receive()).length, i % 50);
  connection.close();
  await peer.kill();
});

test('Connection: a name in use is refused; the name of a listener that was killed is free at once', {
  timeout: 60_000,
}, async () => {
  const name = uniqueName();
  const source = `import { listen } from 'vecino'; await listen('${name}', { codec: 'text' }); console.log('up'); setInterval(() => {}, 1e6);`;
  const owner = startScript(source);
  await owner.line();
  await assert.rejects(
    listen(name, { codec: 'text' }),
    (error) => error instanceof SystemError && error.code === 'EADDRINUSE',
  );
  await assert.rejects(connect(name, { codec: 'json' }), MismatchError);
  await owner.kill();
  await assert.rejects(
    connect(name, { codec: 'text' }),
    (error) => error instanceof SystemError && error.code === 'ECONNREFUSED',
  );
  await using next = await listen(name, { codec: 'json' });
  const [a, b] = await Promise.all([next.accept(), connect(name, { codec: 'json' })]);
  a.close();
  b.close();
  await assert.rejects(connect(uniqueName()), (error) => error instanceof SystemError && error.code === 'ENOENT');
});

test('Connection: strangers that say nothing, nonsense or too much, or leave, hold nobody up', {
  timeout: 60_000,
}, async () => {
  const name = uniqueName();
  await using listener = await listen(name, { codec: 'text' });
  const socket = join(runtime, name, 'socket');
  const accepted = listener.accept();
  const mute = await unix.connect(socket, { type: 'seqpacket' });
  for (const what of [
    '',
    '{',
    '{}',
    'null',
    '[1]',
    '{"vecino":2}',
    '{"vecino":1,"codec":"text","capacity":1e9,"takes":1}',
    '{"vecino":1,"codec":"text","capacity":4096,"takes":-1}',
    'x'.repeat(10_000),
  ]) {
    const stranger = await unix.connect(socket, { type: 'seqpacket' });
    await stranger.send(Buffer.from(what));
    for await (const { bytes } of stranger) assert.match(Buffer.from(bytes).toString(), /error/);
    stranger.close();
  }
  (await unix.connect(socket, { type: 'seqpacket' })).close();
  const wrongKind = connectNet(socket);
  await assert.rejects(once(wrongKind, 'connect'));
  const mine = await connect(name, { codec: 'text' });
  (await accepted).close();
  mine.close();
  mute.close();
});

test('Connection: many strangers that say nothing are hurried: somebody who speaks is accepted before the first of them is sent away', {
  timeout: 60_000,
}, async () => {
  const name = uniqueName();
  await using listener = await listen(name, { codec: 'text' });
  const mute: UnixSocket[] = [];
  const accepted = listener.accept();
  for (let i = 0; i < 64; i++) mute.push(await unix.connect(join(runtime, name, 'socket'), { type: 'seqpacket' }));
  const mine = await connect(name, { codec: 'text' });
  (await accepted).close();
  assert.equal(mute[0]!.tryReceive(), undefined); // it is still there
  mine.close();
  for (const each of mute) each.close();
});

test('Connection: a stranger of another user is sent away before he has said anything, and no memory is shared with him', {
  timeout: 60_000,
}, async (t) => {
  if (process.getuid!() !== 0) return t.skip('needs root, to be somebody else');
  const name = uniqueName();
  const seen: number[] = [];
  const allow = ({ uid }: { uid: number }) => seen.push(uid) > 0 && uid === 0;
  await using listener = await listen(name, { codec: 'text', allow });
  const folder = join(runtime, name);
  chmodSync(join(folder, 'socket'), 0o777); // as nobody should
  chmodSync(folder, 0o711);
  const accepted = listener.accept();
  chmodSync(root, 0o755);
  const source = `
    const { unix } = await import(${JSON.stringify(import.meta.resolve('vecino'))});
    const socket = await unix.connect('socket', { type: 'seqpacket' });
    const hello = { vecino: 1, codec: 'text', capacity: 4096, takes: 4096, barriers: false };
    await socket.send(Buffer.from(JSON.stringify(hello))).catch(() => {});
    const { bytes, descriptors } = await socket.receive();
    console.log(JSON.parse(Buffer.from(bytes)).error, descriptors.length);`;
  const { stdout, stderr } = await start(
    'setpriv',
    [
      ...['--reuid=65534', '--regid=65534', '--clear-groups'],
      ...[process.execPath, '--input-type=module', '--eval', source],
    ],
    { cwd: folder },
  ).ended;
  if (/Cannot find|EACCES.*node_modules|permission denied/i.test(stderr))
    return t.skip('this checkout cannot be read by others');
  assert.equal(stdout, 'EACCES 0\n', stderr);
  const mine = await connect(name, { codec: 'text' });
  (await accepted).close();
  mine.close();
  assert.deepEqual(seen, [65534, 0]);
});

test('Connection: a full file system is ENOSPC for who listens, leaves nothing behind, and does not stop those who are there', {
  timeout: 60_000,
}, async (t) => {
  const source = `
    import { connect, listChannels, listen } from 'vecino';
    import { readdirSync, rmSync, writeFileSync } from 'node:fs';
    const root = process.env.VECINO_RUNTIME_DIR;
    const listener = await listen('first', { codec: 'text' });
    const fill = root + '/fill';
    try { for (let i = 0; ; i++) writeFileSync(fill, 'x'.repeat(1000), { flag: 'a' }); } catch (error) { console.log(error.code); }
    for (let i = 0; i < 2; i++) await listen('second', { codec: 'text' }).catch((error) => console.log(error.code, error.syscall));
    console.log(readdirSync(root).join());
    const [a, b] = await Promise.all([listener.accept(), connect('first', { codec: 'text' })]);
    await a.send('goes on');
    console.log(await b.receive(), listChannels().length);
    rmSync(fill);
    (await listen('second', { codec: 'text' })).close();
    for (const each of [a, b, listener]) each.close();
    console.log(readdirSync(root).length);`;
  const outcome = await runOnSmallFileSystem('100k', source);
  if (outcome === undefined) return t.skip('this machine lets no test mount a file system');
  const { stdout, stderr } = outcome;
  assert.equal(stderr, '');
  assert.deepEqual(stdout.trim().split('\n'), [
    ...['ENOSPC', 'ENOSPC fallocate', 'ENOSPC fallocate', 'fill,first', 'goes on 1', '0'],
  ]);
});

test("Connection: another user's folder is not used", { timeout: 60_000 }, async (t) => {
  if (process.getuid!() !== 0) return t.skip('needs root, to be somebody else');
  const name = uniqueName();
  await using _listener = await listen(name);
  chmodSync(root, 0o755);
  const source = `const { connect, runtimeError } = await import('vecino'); await connect('${name}').then(() => console.log('connected'), (error) => console.log(error.code));`;
  const { stdout, stderr } = await start(
    'setpriv',
    ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '--input-type=module', '--eval', source],
    { cwd: root, env: { ...process.env, VECINO_RUNTIME_DIR: runtime } },
  ).ended;
  if (/Cannot find|EACCES.*node_modules|permission denied/i.test(stderr))
    return t.skip('this checkout cannot be read by others');
  assert.equal(stdout, 'EACCES\n', stderr);
});

test('Connection: a worker thread can have a connection, and its termination is a death', {
  timeout: 60_000,
}, async () => {
  const name = uniqueName();
  await using listener = await listen<string>(name, { codec: 'text' });
  const worker = new Worker(
    `import('vecino').then(async ({ connect }) => {
      const connection = await connect('${name}', { codec: 'text' });
      await connection.send('hello');
      connection.receiveSync();
    });`,
    { eval: true },
  );
  const connection = await listener.accept();
  assert.equal(await connection.receive(), 'hello');
  await worker.terminate();
  await assert.rejects(connection.receive(), PeerDiedError);
  connection.close();
});

test('Connection: a connection costs one descriptor, and none is left when it closes', async () => {
  const count = () => readdirSync('/proc/self/fd').length;
  const name = uniqueName();
  await using listener = await listen(name);
  const before = count();
  const ends: Connection<unknown>[] = [];
  for (let i = 0; i < 20; i++) ends.push(...(await Promise.all([listener.accept(), connect(name)])));
  assert.equal(count() - before, ends.length);
  for (const end of ends) end.close();
  assert.equal(count(), before);
});

test('Connection: with too few descriptors either side fails clearly and leaks none', { timeout: 60_000 }, async () => {
  const outcome = await start(
    'sh',
    [
      '-c',
      'ulimit -n 128 && exec "$@"',
      'sh',
      process.execPath,
      '--input-type=module',
      '--eval',
      `
    import { connect, listen } from 'vecino';
    import { readdirSync } from 'node:fs';
    const listener = await listen('${uniqueName()}');
    const ends = [];
    let failure;
    while (failure === undefined) {
      const both = await Promise.allSettled([listener.accept({ timeout: 2000 }), connect(listener.name, { timeout: 2000 })]);
      for (const each of both) if (each.status === 'fulfilled') ends.push(each.value); else failure ??= each.reason;
    }
    console.log(['EMFILE', 'ERR_VECINO_TIMEOUT', 'ERR_VECINO_PEER_DIED', 'ECONNRESET'].includes(failure.code) ? 'clear' : failure);
    for (const end of ends) end.close();
    const [a, b] = await Promise.all([listener.accept(), connect(listener.name)]);
    await a.send('again');
    console.log(await b.receive());
    a.close(); b.close(); listener.close();
  `,
    ],
    { cwd: root },
  ).ended;
  assert.equal(outcome.stdout, 'clear\nagain\n', outcome.stderr);
});

test('Connection: an open connection or listener does not keep a program running; a wait does', {
  timeout: 60_000,
}, async () => {
  const outcome = await startScript(`
    import { connect, listen } from 'vecino';
    const listener = await listen('${uniqueName()}', { codec: 'text' });
    const [a, b] = await Promise.all([listener.accept(), connect(listener.name, { codec: 'text' })]);
    setTimeout(() => void a.send('late'), 50);
    console.log(await b.receive());`).ended;
  assert.deepEqual([outcome.code, outcome.stdout], [0, 'late\n'], outcome.stderr);
});
