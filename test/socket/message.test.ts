import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageTooLargeError, SystemError, unix } from 'vecino';
import { systemCallCounters } from 'vecino/system';
import { compile, start, startScript, temporaryFolder, uniqueName } from '../support/processes.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (message: { bytes: Uint8Array } | null | undefined) =>
  message ? new TextDecoder().decode(message.bytes) : message;
const hasCode = (code: string) => (error: unknown) => error instanceof SystemError && error.code === code;

for (const type of ['seqpacket', 'datagram'] as const) {
  test(`${type}: messages keep their borders, and an empty one is a message`, async () => {
    const [a, b] = unix.pair(type);
    for (const word of ['one', '', 'three', '']) await a.send(bytes(word));
    assert.equal(text(await b.receive()), 'one');
    assert.equal(text(b.tryReceive()), '');
    assert.equal(text(b.receiveSync()), 'three');
    if (type === 'seqpacket') a.close();
    assert.equal(text(await b.receive()), '');
    if (type === 'seqpacket') {
      assert.equal(await b.receive(), null);
      assert.equal(b.tryReceive(), null);
    } else assert.equal(b.tryReceive(), undefined);
    a.close();
    b.close();
  });

  test(`${type}: a long message arrives whole, whatever its length`, async () => {
    const [a, b] = unix.pair(type);
    a.sendBufferSize = 0x3fffffff; // as far as the kernel allows
    const limit = a.sendBufferSize;
    const lengths = [1, 4095, 4096, 65536, 65537, 200_000, 262_144, 300_000, 1_000_000, 3_000_000, 4_100_000];
    for (const length of lengths.filter((length) => length < limit - 1000)) {
      const content = Buffer.alloc(length, `${length} `);
      const sending = a.send(content);
      const received = (await b.receive())!;
      await sending;
      assert.ok(content.equals(received.bytes), `${length} bytes`);
    }
    a.close();
    b.close();
  });

  test(`${type}: a message that can never fit is a MessageTooLargeError that names SO_SNDBUF, and nothing is sent`, async () => {
    const [a, b] = unix.pair(type);
    const tooLarge = (error: unknown) =>
      error instanceof MessageTooLargeError && /SO_SNDBUF is \d+/.test(error.message);
    for (const length of [a.sendBufferSize + 1, 8_000_000]) {
      const content = new Uint8Array(length);
      await assert.rejects(a.send(content), tooLarge);
      assert.throws(() => a.trySend(content), tooLarge);
      assert.throws(() => a.sendSync(content), tooLarge);
    }
    assert.equal(b.tryReceive(), undefined);
    a.sendSync(bytes('small'));
    assert.equal(text(b.receiveSync()), 'small');
    a.close();
    b.close();
  });
}

test('Socket: datagrams tell where they come from, and can be answered and sent anywhere', async () => {
  const folder = temporaryFolder();
  const server = unix.listen(`${folder}/server`, { type: 'datagram' });
  const names = [`${folder}/client`, `@${uniqueName('client')}`, '@'];
  for (const bind of names) {
    const client = await unix.connect(server.address, { type: 'datagram', bind });
    await client.send(bytes('ping'));
    const message = (await server.receive())!;
    assert.equal(message.from, client.localAddress);
    if (bind !== '@') assert.equal(message.from, bind);
    else assert.match(message.from!, /^@[0-9a-f]{5}$/);
    await server.send(bytes('pong'), { to: message.from });
    assert.equal(text(client.receiveSync()), 'pong');
    client.close();
    await assert.rejects(server.send(bytes('late'), { to: message.from }), (error: SystemError) =>
      ['ECONNREFUSED', 'ENOENT'].includes(error.code),
    );
  }
  const nameless = await unix.connect(server.address, { type: 'datagram' });
  nameless.sendSync(bytes('who?'));
  const message = server.receiveSync()!;
  assert.ok(!('from' in message));
  assert.equal(nameless.localAddress, undefined);
  assert.equal(nameless.remoteAddress, server.address);
  assert.throws(() => nameless.credentials(), { code: 'ERR_VECINO_UNSUPPORTED' });
  assert.throws(() => server.trySend(bytes('x')), hasCode('ENOTCONN'));
  for (const to of ['', 5, null, 'x'.repeat(200)]) {
    await assert.rejects(server.send(bytes('x'), { to: to as string }), { code: /^ERR_INVALID_ARG/ });
  }
  nameless.close();
  server.close();
});

test('Socket: a datagram server can be accepted like one with connections', async () => {
  const name = `@${uniqueName('server')}`;
  const server = unix.listen(name, { type: 'datagram' });
  const client = unix.connectSync(name, { type: 'datagram' });
  const peer = await server.accept();
  client.sendSync(bytes('hello'));
  assert.equal(text(await peer.receive()), 'hello');
  assert.equal(server.tryAccept(), undefined);
  await assert.rejects(server.accept(), { code: 'ERR_VECINO_UNSUPPORTED' });
  client.close();
  server.close();
  assert.ok(peer.closed);
});

test('Socket: a full receiver of datagrams holds back senders that are connected and that are not, in order, without spinning', async () => {
  const name = `@${uniqueName('full')}`;
  const server = unix.listen(name, { type: 'datagram' });
  const client = await unix.connect(name, { type: 'datagram' });
  const other = unix.listen(`@${uniqueName('sender')}`, { type: 'datagram' });
  let queued = 0;
  while (client.trySend(bytes(`${queued}`))) queued++;
  assert.equal(other.trySend(bytes('x'), { to: name }), false);
  await assert.rejects(other.send(bytes('x'), { to: name, timeout: 20 }), { code: 'ERR_VECINO_TIMEOUT' });
  assert.throws(() => other.sendSync(bytes('x'), { to: name, timeout: 20 }), { code: 'ERR_VECINO_TIMEOUT' });
  const sends = [1, 2, 3].map((i) => other.send(bytes(`other ${i}`), { to: name }));
  const connected = [1, 2, 3].map((i) => client.send(bytes(`client ${i}`)));
  const { calls } = systemCallCounters();
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(systemCallCounters().calls - calls < 50, 'nobody tries in vain');
  const seen: string[] = [];
  for (let i = 0; i < queued + 6; i++) seen.push(text(await server.receive())!);
  await Promise.all([...sends, ...connected]);
  assert.deepEqual(
    seen.filter((word) => word.startsWith('other')),
    ['other 1', 'other 2', 'other 3'],
  );
  assert.deepEqual(
    seen.filter((word) => word.startsWith('client')),
    ['client 1', 'client 2', 'client 3'],
  );
  while (client.trySend(bytes('x')));
  const waiting = [other.send(bytes('y'), { to: name }), client.send(bytes('y'))].map((send) =>
    assert.rejects(send, hasCode('ECONNREFUSED')),
  );
  server.close();
  await Promise.all(waiting);
  client.close();
  other.close();
});

test('Socket: a connected datagram sender learns that its receiver is dead', async () => {
  const path = `${temporaryFolder()}/receiver`;
  const receiver = startScript(`
    import { unix } from 'vecino';
    const server = unix.listen(${JSON.stringify(path)}, { type: 'datagram' });
    console.log('ready');
    for await (const message of server) console.log(Buffer.from(message.bytes).toString());`);
  await receiver.line();
  const client = await unix.connect(path, { type: 'datagram' });
  await client.send(bytes('hello'));
  assert.equal(await receiver.line(), 'hello');
  await receiver.kill();
  await assert.rejects(client.send(bytes('hello?')), hasCode('ECONNREFUSED'));
  client.close();
});

test('Socket: what a seqpacket peer sent before it was killed arrives, then ECONNRESET, then the end', async () => {
  const [a, b] = unix.pair('seqpacket');
  const peer = startScript(
    `import { unix } from 'vecino';
     const socket = unix.fromFd(3);
     for (let i = 0; i < 5; i++) socket.sendSync(Buffer.from('message ' + i));
     console.log('sent');
     setInterval(() => {}, 1000);`,
    [],
    { stdio: ['pipe', 'pipe', 'pipe', b.fd] },
  );
  b.close();
  a.sendSync(bytes('which it never reads'));
  assert.equal(await peer.line(), 'sent');
  await peer.kill();
  for (let i = 0; i < 5; i++) assert.equal(text(await a.receive()), `message ${i}`);
  await assert.rejects(a.receive(), hasCode('ECONNRESET'));
  assert.equal(await a.receive(), null);
  a.close();
});

test('Socket: what a stream peer sent before it was killed in the middle of a message arrives, then the end', async () => {
  const [a, b] = unix.pair();
  const peer = startScript(
    `import { unix } from 'vecino';
     const socket = unix.fromFd(3);
     const whole = Buffer.alloc(5_000_000, 'x');
     socket.send(whole).catch(() => {});
     console.log(whole.length - socket.bufferedAmount);
     setInterval(() => {}, 1000);`,
    [],
    { stdio: ['pipe', 'pipe', 'pipe', b.fd] },
  );
  b.close();
  const sent = Number(await peer.line());
  await peer.kill();
  let received = 0;
  for await (const { bytes } of a) received += bytes.length;
  assert.equal(received, sent);
  a.close();
});

test('Socket: C programs exchange datagrams with vecino, both ways', async () => {
  const folder = temporaryFolder();
  const program = compile(
    folder,
    'datagram',
    `#include <stdio.h>
     #include <string.h>
     #include <sys/socket.h>
     #include <sys/un.h>
     int main(int argc, char **argv) {
       int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
       struct sockaddr_un own = {.sun_family = AF_UNIX}, other = {.sun_family = AF_UNIX};
       strcpy(own.sun_path, argv[1]);
       if (bind(fd, (void *)&own, sizeof own)) return perror("bind"), 1;
       puts("ready"), fflush(stdout);
       char buffer[256];
       for (int i = 0; i < 3; i++) {
         socklen_t length = sizeof other;
         ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, (void *)&other, &length);
         for (ssize_t k = 0; k < n; k++) if (buffer[k] >= 'a' && buffer[k] <= 'z') buffer[k] -= 32;
         if (sendto(fd, buffer, n, 0, (void *)&other, length) != n) return perror("sendto"), 1;
       }
       return 0;
     }`,
  );
  const peer = start(program, [`${folder}/c`]);
  assert.equal(await peer.line(), 'ready');
  const own = unix.listen(`${folder}/vecino`, { type: 'datagram' });
  for (const word of ['one', '', 'three']) {
    await own.send(bytes(word), { to: `${folder}/c` });
    const answer = (await own.receive())!;
    assert.deepEqual([text(answer), answer.from], [word.toUpperCase(), `${folder}/c`]);
  }
  assert.equal((await peer.ended).code, 0);
  own.close();
});
