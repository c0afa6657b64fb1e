import '../support/leaks.js';
import assert from 'node:assert/strict';
import { connect as netConnect } from 'node:net';
import { test } from 'node:test';
import { HostError, SystemError, tcp, unix } from 'vecino';
import { constants, getsockopt } from 'vecino/system';
import { compile, start, startScript, temporaryFolder } from '../support/processes.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (message: { bytes: Uint8Array } | null | undefined) =>
  message ? new TextDecoder().decode(message.bytes) : message;
const hasCode =
  (code: string, text = /./) =>
  (error: unknown) =>
    error instanceof SystemError && error.code === code && text.test(error.message);

for (const host of ['127.0.0.1', '::1']) {
  test(`TCP: a server and a client meet on ${host}`, async () => {
    const server = tcp.listen({ host });
    assert.equal(server.address.host, host);
    assert.equal(server.address.family, host === '::1' ? 'IPv6' : 'IPv4');
    assert.ok(server.port > 0);
    for (const connect of [tcp.connect, tcp.connectSync]) {
      const client = await connect({ host, port: server.port });
      const peer = await server.accept();
      assert.deepEqual(client.remoteAddress, server.address);
      assert.deepEqual(peer.localAddress, server.address);
      assert.deepEqual(peer.remoteAddress, client.localAddress);
      for (const socket of [client, peer]) {
        assert.equal(
          getsockopt(socket.fd, constants['IPPROTO_TCP']!, constants['TCP_NODELAY']!),
          1,
          'TCP_NODELAY is on',
        );
      }
      await client.send(bytes('one'));
      assert.equal(text(await peer.receive()), 'one');
      peer.sendSync(bytes('two'));
      assert.equal(text(client.receiveSync()), 'two');
      assert.equal(client.tryReceive(), undefined);
      assert.equal(client.trySend(bytes('three')), 5);
      assert.equal(text(peer.receiveSync({ timeout: 60_000 })), 'three');
      await client.end();
      assert.equal(await peer.receive(), null);
      client.close();
      peer.close();
    }
    server.close();
  });
}

test('TCP: listening is for this machine only unless told otherwise', () => {
  const server = tcp.listen();
  assert.equal(server.address.host, '127.0.0.1');
  server.close();
  const wide = tcp.listen({ host: '0.0.0.0' });
  assert.equal(wide.address.host, '0.0.0.0');
  wide.close();
});

test('TCP: a port in use is EADDRINUSE with a hint, and free again when its server closes', async () => {
  const server = tcp.listen();
  assert.throws(() => tcp.listen({ port: server.port }), hasCode('EADDRINUSE', /Another socket uses this port/));
  const client = await tcp.connect({ port: server.port });
  const peer = await server.accept();
  peer.close(); // its side keeps the port in TIME_WAIT
  server.close();
  const again = tcp.listen({ port: server.port });
  again.close();
  client.close();
});

test('TCP: an unknown host is ENOTFOUND; a name is found', async () => {
  const unknown = (error: unknown) =>
    error instanceof HostError &&
    error.code === 'ENOTFOUND' &&
    error.syscall === 'getaddrinfo' &&
    error.hostname === 'no-such-host.invalid' &&
    /no such host/.test(error.message);
  await assert.rejects(tcp.connect({ host: 'no-such-host.invalid', port: 80 }), unknown);
  const server = tcp.listen();
  const client = await tcp.connect({ host: 'localhost', port: server.port });
  assert.equal(client.remoteAddress.port, server.port);
  client.close();
  const controller = new AbortController();
  const reason = new Error('enough');
  const aborted = assert.rejects(
    tcp.connect({ host: 'localhost', port: server.port, signal: controller.signal }),
    reason,
  );
  controller.abort(reason);
  await aborted;
  server.close();
});

test('TCP: nobody there is ECONNREFUSED, in both voices', async () => {
  const server = tcp.listen();
  const { port } = server;
  server.close();
  await assert.rejects(tcp.connect({ port }), hasCode('ECONNREFUSED', /No process listens/));
  assert.throws(() => tcp.connectSync({ port }), hasCode('ECONNREFUSED'));
  await assert.rejects(tcp.connect({ host: 'localhost', port }), hasCode('ECONNREFUSED'));
});

test('TCP: wrong arguments are refused; the Sync form takes numeric addresses only and says so', async () => {
  for (const options of [
    {},
    { port: 0 },
    { port: 65536 },
    { port: '80' },
    { port: Number.NaN },
    { port: 80, host: '' },
    { port: 80, host: 5 },
    { port: 80, noDelay: 1 },
    { port: 80, timeout: -1 },
  ]) {
    await assert.rejects(tcp.connect(options as { port: number }), { code: /^ERR_/ });
    assert.throws(() => tcp.connectSync(options as { port: number }), { code: /^ERR_/ });
  }
  for (const options of [undefined, null, 80, 'x', () => {}]) {
    const wrong = options as unknown as { port: number };
    await assert.rejects(tcp.connect(wrong), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => tcp.connectSync(wrong), { code: 'ERR_INVALID_ARG_TYPE' });
    if (options !== undefined) assert.throws(() => tcp.listen(wrong), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  assert.throws(() => tcp.connectSync({ host: 'example.invalid', port: 80 }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /numeric/,
  });
  assert.throws(() => tcp.listen({ host: 'example.invalid' }), { code: 'ERR_INVALID_ARG_VALUE', message: /numeric/ });
  for (const options of [{ port: -1 }, { port: 65536 }, { backlog: 0 }, { host: null }, { ipv6Only: 1 }]) {
    assert.throws(() => tcp.listen(options as object), { code: /^ERR_/ });
  }
  const server = tcp.listen();
  const client = await tcp.connect({ port: server.port });
  await assert.rejects(client.send(bytes('x'), { descriptors: [0] }), { code: 'ERR_INVALID_ARG_VALUE' });
  const [a, b] = unix.pair();
  assert.throws(() => tcp.fromFd(a.fd), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => unix.fromFd(client.fd), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => tcp.fromFd(server.fd), { code: 'ERR_INVALID_ARG_VALUE' });
  for (const one of [a, b, client, server]) one.close();
});

test('TCP: peers that say nothing, half a message, reset, or close one direction harm only themselves', async () => {
  const program = compile(
    temporaryFolder(),
    'peer',
    `#include <arpa/inet.h>
     #include <stdio.h>
     #include <stdlib.h>
     #include <string.h>
     #include <unistd.h>
     #include <sys/socket.h>
     int main(int argc, char **argv) {
       int fd = socket(AF_INET, SOCK_STREAM, 0);
       struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
       if (connect(fd, (void *)&to, sizeof to)) return perror("connect"), 1;
       if (!strcmp(argv[2], "half")) write(fd, "half a mess", 11);
       if (!strcmp(argv[2], "reset")) {
         write(fd, "then reset", 10);
         struct linger now = {1, 0};
         getchar();
         setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
         return close(fd);
       }
       if (!strcmp(argv[2], "one direction")) {
         shutdown(fd, SHUT_WR);
         char buffer[64];
         ssize_t n = read(fd, buffer, sizeof buffer);
         return write(1, buffer, n) != n;
       }
       getchar();
       return 0;
     }`,
  );
  const server = tcp.listen();
  const peers = ['silent', 'half', 'reset', 'one direction'].map((what) => start(program, [`${server.port}`, what]));
  const results = new Map<string, string>();
  const sockets = await Promise.all(peers.map(() => server.accept()));
  const handle = async (socket: (typeof sockets)[0]) => {
    let said = '';
    try {
      for await (const message of socket) {
        said += text(message);
        if (said === 'then reset') peers[2]!.write('\n');
      }
      if (said === '') await socket.send(bytes('I hear nothing'));
    } catch (error) {
      said += ` ${(error as { code: string }).code}`;
    }
    results.set(said, said);
    socket.close();
  };
  const handled = sockets.map(handle);
  assert.equal((await peers[3]!.ended).stdout, 'I hear nothing');
  await peers[2]!.ended;
  await peers[1]!.kill();
  await peers[0]!.kill();
  await Promise.all(handled);
  assert.deepEqual([...results.keys()].sort(), ['', 'half a mess', 'then reset ECONNRESET']);
  server.close();
});

test('TCP: a peer that is killed while it sends: what had arrived is read, then the end or ECONNRESET', async () => {
  const server = tcp.listen();
  const peer = startScript(`
    import { tcp } from 'vecino';
    const socket = tcp.connectSync({ port: ${server.port} });
    socket.send(new Uint8Array(50_000_000)).catch(() => {});
    console.log('sending');
    setInterval(() => {}, 1000);`);
  const socket = await server.accept();
  await peer.line();
  await peer.kill();
  let received = 0;
  try {
    for await (const { bytes } of socket) received += bytes.length;
  } catch (error) {
    assert.equal((error as { code: string }).code, 'ECONNRESET');
  }
  assert.ok(received > 0 && received < 50_000_000);
  socket.close();
  server.close();
});

test('TCP: :: takes IPv4 as well, unless ipv6Only', async () => {
  const both = tcp.listen({ host: '::' });
  const client = await tcp.connect({ host: '127.0.0.1', port: both.port });
  const peer = await both.accept();
  assert.equal(peer.remoteAddress.host, '::ffff:127.0.0.1');
  for (const one of [client, peer, both]) one.close();
  const only = tcp.listen({ host: '::', ipv6Only: true });
  await assert.rejects(tcp.connect({ host: '127.0.0.1', port: only.port }), hasCode('ECONNREFUSED'));
  only.close();
});

test('TCP: node:net connects to a vecino server', async () => {
  const server = tcp.listen();
  const client = netConnect(server.port, '127.0.0.1');
  const peer = await server.accept();
  client.end('hello');
  let said = '';
  for await (const message of peer) said += text(message);
  assert.equal(said, 'hello');
  peer.close();
  await new Promise((resolve) => client.resume().once('close', resolve));
  server.close();
});
