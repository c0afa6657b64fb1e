import '../support/leaks.js';
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { SystemError, unix } from 'vecino';
import { close, constants, flock, open } from 'vecino/system';
import { compile, type Running, start, startScript, temporaryFolder, uniqueName } from '../support/processes.js';

const types = ['stream', 'seqpacket', 'datagram'] as const;
const bytes = (text: string) => new TextEncoder().encode(text);
const hasCode =
  (code: string, text = /./) =>
  (error: unknown) =>
    error instanceof SystemError && error.code === code && text.test(error.message);
/** Leaves a socket file whose owner is dead. */
async function stale(path: string, type: string): Promise<void> {
  const owner = startScript(`
    import { unix } from 'vecino';
    const server = unix.listen(${JSON.stringify(path)}, { type: '${type}' });
    console.log('listening');
    setInterval(() => server.fd, 1000);`);
  await owner.line();
  await owner.kill();
  assert.ok(lstatSync(path).isSocket());
}

for (const type of types) {
  test(`${type}: the socket file has exactly the mode asked for, whatever the umask, and goes with its server`, () => {
    const path = join(temporaryFolder(), 'socket');
    const umask = process.umask(0o027);
    try {
      for (const mode of [undefined, 0o600, 0o666, 0o000, 0o770]) {
        const server = unix.listen(path, mode === undefined ? { type } : { type, mode });
        assert.equal(lstatSync(path).mode & 0o7777, mode ?? 0o600);
        assert.equal(server.address, path);
        server.close();
        server.close();
        assert.ok(!existsSync(path));
      }
    } finally {
      process.umask(umask);
    }
  });

  test(`${type}: a file that is no longer the server's own is left alone`, () => {
    const path = join(temporaryFolder(), 'socket');
    const first = unix.listen(path, { type });
    renameSync(path, `${path}.moved`);
    const second = unix.listen(path, { type });
    first.close();
    assert.ok(existsSync(path));
    second.close();
    assert.ok(!existsSync(path));
    unlinkSync(`${path}.moved`);
    const third = unix.listen(path, { type });
    unlinkSync(path);
    writeFileSync(path, 'mine');
    third.close();
    assert.ok(existsSync(path));
  });

  test(`${type}: the socket file of a dead process is taken over, also for another type`, async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'socket');
    await stale(path, type);
    await assert.rejects(unix.connect(path, { type }), hasCode('ECONNREFUSED', /its owner has ended/));
    const server = unix.listen(path, { type, mode: 0o640 });
    assert.equal(lstatSync(path).mode & 0o7777, 0o640);
    const client = await unix.connect(path, { type });
    client.close();
    server.close();
    assert.deepEqual(readdirSync(folder), []);
    await stale(path, type);
    unix.listen(path, { type: type === 'stream' ? 'datagram' : 'stream' }).close();
  });

  test(`${type}: the socket file of a living process is never taken, and its owner notices nothing`, async () => {
    const path = join(temporaryFolder(), 'socket');
    const server = unix.listen(path, { type });
    const { ino } = lstatSync(path);
    for (const other of types) {
      assert.throws(() => unix.listen(path, { type: other }), hasCode('EADDRINUSE', /running process/));
    }
    assert.equal(lstatSync(path).ino, ino);
    if (type !== 'datagram') assert.equal((server as ReturnType<typeof unix.listen>).tryAccept(), undefined);
    server.close();
  });

  test(`${type}: an abstract name is its socket's alone, and vanishes with it`, async () => {
    const name = uniqueName('abstract');
    const server = unix.listen(`@${name}`, { type });
    assert.equal(server.address, `@${name}`);
    assert.throws(() => unix.listen(`\0${name}`, { type }), hasCode('EADDRINUSE'));
    const client = await unix.connect(`\0${name}`, { type });
    assert.equal(client.remoteAddress, `@${name}`);
    client.close();
    server.close();
    assert.throws(() => unix.connectSync(`@${name}`, { type }), hasCode('ECONNREFUSED'));
    unix.listen(`@${name}`, { type }).close();
  });
}

test('Socket: a socket that C has bound but does not listen on yet counts as living', async () => {
  const folder = temporaryFolder();
  const program = compile(
    folder,
    'bound',
    `#include <stdio.h>
     #include <string.h>
     #include <sys/socket.h>
     #include <sys/un.h>
     int main(int argc, char **argv) {
       int fd = socket(AF_UNIX, SOCK_STREAM, 0);
       struct sockaddr_un own = {.sun_family = AF_UNIX};
       strcpy(own.sun_path, argv[1]);
       if (bind(fd, (void *)&own, sizeof own)) return perror("bind"), 1;
       puts("bound"), fflush(stdout);
       return getchar();
     }`,
  );
  const owner = start(program, [`${folder}/socket`]);
  await owner.line();
  assert.throws(() => unix.listen(`${folder}/socket`), hasCode('EADDRINUSE', /running process/));
  await owner.kill();
  unix.listen(`${folder}/socket`).close();
});

test('Socket: a file that is no socket, a folder or a link is refused and left alone', () => {
  const folder = temporaryFolder();
  writeFileSync(`${folder}/file`, 'precious');
  mkdirSync(`${folder}/folder`);
  symlinkSync('nowhere', `${folder}/link`);
  for (const name of ['file', 'folder', 'link']) {
    assert.throws(() => unix.listen(`${folder}/${name}`), hasCode('EADDRINUSE', /not a socket/));
    lstatSync(`${folder}/${name}`);
  }
  assert.throws(() => unix.listen(`${folder}/none/socket`), hasCode('ENOENT', /folder does not exist/));
});

test('Socket: of many processes that take over one stale file at once, exactly one listens', async () => {
  const path = join(temporaryFolder(), 'socket');
  const racers: Running[] = Array.from({ length: 4 }, () =>
    startScript(`
      import { createInterface } from 'node:readline';
      import { unix } from 'vecino';
      let server;
      console.log('ready');
      for await (const line of createInterface(process.stdin)) {
        if (line === 'close') server?.close(), server = undefined, console.log('closed');
        else {
          while (Date.now() < Number(line));
          try { server = unix.listen(${JSON.stringify(path)}); console.log('won'); } catch (error) { console.log(error.code); }
        }
      }`),
  );
  await Promise.all(racers.map((racer) => racer.line()));
  for (let round = 0; round < 5; round++) {
    await stale(path, 'stream');
    const begin = `${Date.now() + 20}\n`;
    for (const racer of racers) racer.write(begin);
    const results = await Promise.all(racers.map((racer) => racer.line()));
    assert.deepEqual(results.sort(), ['EADDRINUSE', 'EADDRINUSE', 'EADDRINUSE', 'won']);
    const client = await unix.connect(path);
    client.close();
    for (const racer of racers) racer.write('close\n');
    await Promise.all(racers.map((racer) => racer.line()));
    assert.ok(!existsSync(path));
  }
  await Promise.all(racers.map((racer) => racer.kill()));
});

test('Socket: a folder that somebody keeps locked makes a takeover fail after a while, and nothing else', {
  timeout: 60_000,
}, async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'socket');
  await stale(path, 'stream');
  const fd = open(folder, constants['O_RDONLY']!);
  assert.ok(flock(fd, constants['LOCK_EX']!));
  assert.throws(() => unix.listen(path), hasCode('EADDRINUSE', /flock/));
  unix.listen(join(folder, 'other')).close();
  close(fd);
  unix.listen(path).close();
});

test('Socket: a path longer than sun_path is refused before any call, with the limit and what to do', async () => {
  const folder = temporaryFolder();
  const exact = join(folder, 'x'.repeat(107 - folder.length - 1));
  assert.equal(exact.length, 107);
  const server = unix.listen(exact);
  const client = await unix.connect(exact);
  assert.equal(client.remoteAddress, exact);
  client.close();
  // Its taking over must not depend on a longer name either.
  server.close();
  await stale(exact, 'stream');
  unix.listen(exact).close();
  const tooLong = {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /at most 107 bytes .*not 108: use a shorter path.*abstract name/,
  };
  assert.throws(() => unix.listen(`${exact}y`), tooLong);
  await assert.rejects(unix.connect(`${exact}y`), tooLong);
  assert.throws(() => unix.connectSync(`${exact}y`), tooLong);
  assert.throws(() => unix.listen(`@${'ä'.repeat(54)}`), tooLong);
  unix.listen(`@${'ä'.repeat(53)}`).close();
});

test('Socket: wrong names, types and modes are refused', async () => {
  const trap = { toString: () => assert.fail('it was called') };
  for (const path of ['', '@', '\0', 'a\0b', 5, null, undefined, {}, ['x'], Symbol('x'), Object.create(null), trap]) {
    assert.throws(() => unix.listen(path as string), { code: /^ERR_INVALID_ARG/ });
    await assert.rejects(unix.connect(path as string), { code: /^ERR_INVALID_ARG/ });
    assert.throws(() => unix.connectSync(path as string), { code: /^ERR_INVALID_ARG/ });
  }
  for (const options of [null, 5, 'stream', () => {}]) {
    assert.throws(() => unix.listen('@vecino-never', options as object), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(unix.connect('@vecino-never', options as object), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => unix.connectSync('@vecino-never', options as object), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const options of [
    { type: 'raw' },
    { mode: -1 },
    { mode: 0o10000 },
    { mode: '600' },
    { backlog: 0 },
    { backlog: Number.NaN },
  ]) {
    assert.throws(() => unix.listen('@vecino-never', options as { mode: number }), { code: /^ERR_/ });
  }
  await assert.rejects(unix.connect('@vecino-never', { bind: 'x'.repeat(108) }), { code: 'ERR_INVALID_ARG_VALUE' });
  await assert.rejects(unix.connect('@vecino-never', { timeout: -1 }), { code: 'ERR_OUT_OF_RANGE' });
});

test('Socket: connecting to nobody, to another type and without permission says so', async () => {
  const folder = temporaryFolder();
  await assert.rejects(unix.connect(`${folder}/none`), hasCode('ENOENT', /No process listens/));
  const server = unix.listen(`${folder}/socket`, { type: 'seqpacket' });
  await assert.rejects(unix.connect(`${folder}/socket`), hasCode('EPROTOTYPE', /not of the type 'stream'/));
  server.close();
  const plain = unix.listen(`${folder}/plain`, { mode: 0o600 });
  if (process.getuid!() === 0) {
    chmodSync(folder, 0o755);
    const visitor = startScript(
      `import { unix } from 'vecino';
       process.setuid(65534);
       try { unix.connectSync(process.argv[1]); console.log('connected'); } catch (error) { console.log(error.code); }`,
      [`${folder}/plain`],
    );
    const { stdout } = await visitor.ended;
    assert.match(stdout, /EACCES/);
  }
  plain.close();
});

test('Socket: a full backlog makes connect wait, and its time-out and abort work', async () => {
  const name = `@${uniqueName('backlog')}`;
  const server = unix.listen(name, { backlog: 1 });
  const clients = [];
  for (;;) {
    try {
      clients.push(await unix.connect(name, { timeout: 0 }));
    } catch (error) {
      assert.equal((error as { code: string }).code, 'ERR_VECINO_TIMEOUT');
      break;
    }
  }
  assert.throws(() => unix.connectSync(name, { timeout: 10 }), { code: 'ERR_VECINO_TIMEOUT' });
  const reason = new Error('enough');
  const controller = new AbortController();
  const aborted = assert.rejects(unix.connect(name, { signal: controller.signal }), reason);
  setImmediate(() => controller.abort(reason));
  await aborted;
  const waiting = unix.connect(name);
  for (const _ of clients) (await server.accept()).close();
  clients.push(await waiting);
  for (const client of clients) client.close();
  server.close();
});

test('Socket: accept has three voices, takes connections in order, and ends with its server', async () => {
  const name = `@${uniqueName('accept')}`;
  const server = unix.listen(name);
  assert.equal(server.tryAccept(), undefined);
  await assert.rejects(server.accept({ timeout: 5 }), { code: 'ERR_VECINO_TIMEOUT' });
  assert.throws(() => server.acceptSync({ timeout: 5 }), { code: 'ERR_VECINO_TIMEOUT' });
  await assert.rejects(server.accept({ timeout: Number.NaN }), { code: 'ERR_OUT_OF_RANGE' });
  const accepts = [server.accept(), server.accept({ timeout: 60_000 })];
  const one = unix.connectSync(name);
  const two = await unix.connect(name);
  one.sendSync(bytes('one'));
  two.sendSync(bytes('two'));
  const sockets = await Promise.all(accepts);
  assert.deepEqual(
    sockets.map((socket) => new TextDecoder().decode(socket.receiveSync()!.bytes)),
    ['one', 'two'],
  );
  const three = unix.connectSync(name);
  sockets.push(server.acceptSync());
  const four = unix.connectSync(name);
  sockets.push(server.tryAccept()!);
  const loop = (async () => {
    let count = 0;
    for await (const socket of server) {
      count++;
      socket.close();
    }
    return count;
  })();
  const five = await unix.connect(name);
  assert.equal(await five.receive(), null);
  const pending = assert.rejects(server.accept(), { code: 'ERR_VECINO_CLOSED' });
  server.close();
  await pending;
  assert.equal(await loop, 1);
  await assert.rejects(server.accept(), { code: 'ERR_VECINO_CLOSED' });
  assert.throws(() => server.tryAccept(), { code: 'ERR_VECINO_CLOSED' });
  assert.throws(() => server.fd, { code: 'ERR_VECINO_CLOSED' });
  for (const socket of [...sockets, one, two, three, four, five]) socket.close();
});

test('Socket: when descriptors run out, accept fails with a hint instead of spinning, and the connection is not lost', async () => {
  const program = `
    import { unix } from 'vecino';
    import { close, dup, systemCallCounters } from 'vecino/system';
    const server = unix.listen('@${uniqueName('emfile')}');
    const client = await unix.connect(server.address);
    client.sendSync(Buffer.from('still here'));
    await new Promise((resolve) => setTimeout(resolve, 1));
    server.tryAccept().close();
    const second = await unix.connect(server.address);
    second.sendSync(Buffer.from('still here'));
    const used = [];
    try { for (;;) used.push(dup(0)); } catch {}
    const before = systemCallCounters().calls;
    let errors = 0;
    for (const accept of [() => server.accept(), () => server.acceptSync(), () => server.tryAccept(), async () => { for await (const socket of server); }]) {
      try { await accept(); } catch (error) { if (error.code === 'EMFILE' && /ulimit/.test(error.message)) errors++; }
    }
    console.log(errors, systemCallCounters().calls - before < 20);
    close(used.pop());
    console.log(Buffer.from(server.acceptSync().receiveSync().bytes).toString());
    process.exit();`;
  const { stdout, stderr } = await start('sh', [
    '-c',
    'ulimit -n 200; exec "$0" "$@"',
    process.execPath,
    '--input-type=module',
    '--eval',
    program,
  ]).ended;
  assert.deepEqual([stdout, stderr], ['4 true\nstill here\n', '']);
});

test('Socket: credentials tell the process at the other end', async () => {
  for (const type of ['stream', 'seqpacket'] as const) {
    const server = unix.listen(`@${uniqueName('credentials')}`, { type });
    const peer = startScript(`
      import { unix } from 'vecino';
      const socket = await unix.connect('${server.address}', { type: '${type}' });
      const { pid } = socket.credentials();
      console.log(pid);
      await socket.receive();`);
    const socket = await server.accept();
    assert.deepEqual(socket.credentials(), { pid: peer.pid, uid: process.getuid!(), gid: process.getgid!() });
    assert.equal(await peer.line(), `${process.pid}`);
    assert.equal(socket.localAddress, server.address);
    assert.equal(socket.remoteAddress, undefined);
    await socket.send(bytes('done'));
    await peer.ended;
    assert.equal(socket.credentials().pid, peer.pid, 'also when it is gone');
    socket.close();
    server.close();
  }
});

test("Socket: a server of Node's is not taken for dead", async () => {
  const path = join(temporaryFolder(), 'socket');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  assert.throws(() => unix.listen(path), hasCode('EADDRINUSE'));
  await new Promise((resolve) => server.close(resolve));
});
