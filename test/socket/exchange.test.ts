import '../support/leaks.js';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { type TcpServer, tcp, type UnixServer, unix } from 'vecino';
import { close, read } from 'vecino/system';
import { compile, start, temporaryFolder, uniqueName } from '../support/processes.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (message: { bytes: Uint8Array } | null | undefined) =>
  message ? new TextDecoder().decode(message.bytes) : message;
/** Everything a peer sends to its end, given back; and the end of it. */
async function echo(server: UnixServer | TcpServer): Promise<void> {
  const socket = await server.accept();
  for await (const { bytes } of socket) await socket.send(bytes);
  await socket.end();
  socket.close();
}
async function exchange(socket: Awaited<ReturnType<typeof tcp.connect | typeof unix.connect>>, content: Uint8Array) {
  const sent = socket.send(content).then(() => socket.end());
  const parts: Uint8Array[] = [];
  for await (const { bytes } of socket) parts.push(bytes);
  await sent;
  socket.close();
  return Buffer.concat(parts);
}

const PEER = `
  #define _GNU_SOURCE
  #include <arpa/inet.h>
  #include <stddef.h>
  #include <stdio.h>
  #include <stdlib.h>
  #include <string.h>
  #include <unistd.h>
  #include <sys/mman.h>
  #include <sys/socket.h>
  #include <sys/un.h>
  static int unix_address(struct sockaddr_un *to, const char *name) {
    to->sun_family = AF_UNIX;
    strcpy(to->sun_path + (*name == '@'), name + (*name == '@'));
    return offsetof(struct sockaddr_un, sun_path) + strlen(name) + (*name != '@');
  }
  static void echo(int fd) {
    static char buffer[1 << 20];
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
      for (ssize_t done = 0, k; done < n; done += k) if ((k = write(fd, buffer + done, n - done)) < 0) return perror("write"), exit(1);
    shutdown(fd, SHUT_WR);
  }
  int main(int argc, char **argv) {
    const char *what = argv[1], *name = argv[2];
    int seqpacket = !strcmp(what, "serve-seqpacket");
    if (!strncmp(what, "serve", 5)) {
      struct sockaddr_un own = {0};
      int fd = socket(AF_UNIX, seqpacket ? SOCK_SEQPACKET : SOCK_STREAM, 0), length = unix_address(&own, name);
      if (bind(fd, (void *)&own, length) || listen(fd, 5)) return perror("bind"), 1;
      puts("listening"), fflush(stdout);
      echo(accept(fd, NULL, NULL));
    } else if (!strcmp(what, "tcp6")) {
      struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(name)), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
      int fd = socket(AF_INET6, SOCK_STREAM, 0);
      if (connect(fd, (void *)&to, sizeof to)) return perror("connect"), 1;
      echo(fd);
    } else { /* pass a descriptor there and take one back */
      struct sockaddr_un to = {0};
      int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), length = unix_address(&to, name);
      if (connect(fd, (void *)&to, length)) return perror("connect"), 1;
      int memory = memfd_create("c", 0);
      if (write(memory, "from C", 6) != 6 || lseek(memory, 0, SEEK_SET)) return 1;
      union { char space[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control = {0};
      struct iovec part = {"take this", 9};
      struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
      struct cmsghdr *header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof(int));
      memcpy(CMSG_DATA(header), &memory, sizeof memory);
      if (sendmsg(fd, &message, 0) != 9) return perror("sendmsg"), 1;
      char buffer[64];
      part = (struct iovec){buffer, sizeof buffer};
      message.msg_controllen = sizeof control;
      ssize_t n = recvmsg(fd, &message, 0);
      int given;
      if (n != 5 || (header = CMSG_FIRSTHDR(&message)) == NULL) return perror("recvmsg"), 1;
      memcpy(&given, CMSG_DATA(header), sizeof given);
      return write(given, buffer, n) != n;
    }
    return 0;
  }`;

test('Socket: C and vecino exchange bytes, messages and descriptors, both ways', async () => {
  const folder = temporaryFolder();
  const program = compile(folder, 'peer', PEER);
  const content = randomBytes(700_000);
  for (const name of [join(folder, 'stream'), `@${uniqueName('c')}`]) {
    const peer = start(program, ['serve-stream', name]);
    await peer.line();
    assert.ok(content.equals(await exchange(await unix.connect(name), content)));
    await peer.ended;
  }
  const messages = start(program, ['serve-seqpacket', join(folder, 'seqpacket')]);
  await messages.line();
  const socket = await unix.connect(join(folder, 'seqpacket'), { type: 'seqpacket' });
  for (const word of ['one', 'and two']) await socket.send(bytes(word));
  assert.equal(text(await socket.receive()), 'one');
  assert.equal(text(await socket.receive()), 'and two');
  await socket.end();
  assert.equal(await socket.receive(), null);
  socket.close();
  await messages.ended;

  const server6 = tcp.listen({ host: '::1' });
  const peer6 = start(program, ['tcp6', `${server6.port}`]);
  assert.ok(content.equals(await exchange(await server6.accept(), content)));
  await peer6.ended;
  server6.close();

  const server = unix.listen(join(folder, 'pass'), { type: 'seqpacket' });
  const passing = start(program, ['pass', server.address]);
  const peer = await server.accept();
  assert.equal(peer.credentials().pid, passing.pid);
  const message = (await peer.receive())!;
  assert.equal(text(message), 'take this');
  const [fd] = message.descriptors as [number];
  const buffer = new Uint8Array(16);
  assert.equal(new TextDecoder().decode(buffer.subarray(0, read(fd, buffer))), 'from C');
  close(fd);
  const [a, b] = unix.pair();
  await peer.send(bytes('hello'), { descriptors: [b.fd] });
  b.close();
  assert.equal(text(await a.receive()), 'hello');
  assert.equal((await passing.ended).code, 0);
  for (const one of [a, peer, server]) one.close();
});

test("Socket: Python's standard library and vecino exchange bytes, messages and descriptors, both ways", async (t) => {
  if (spawnSync('python3', ['-c', 'import socket; socket.send_fds']).status !== 0) {
    return t.skip('install python3, 3.9 or later');
  }
  const folder = temporaryFolder();
  const python = (program: string, ...args: string[]) => start('python3', ['-u', '-c', program, ...args]);
  const serve = python(
    `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1]); s.listen(); print('listening')
c, _ = s.accept()
while data := c.recv(65536): c.sendall(data)
c.shutdown(socket.SHUT_WR)`,
    join(folder, 'stream'),
  );
  await serve.line();
  const content = randomBytes(300_000);
  assert.ok(content.equals(await exchange(await unix.connect(join(folder, 'stream')), content)));
  assert.equal((await serve.ended).code, 0);

  const server = unix.listen(join(folder, 'pass'), { type: 'seqpacket' });
  const pass = python(
    `import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
r, w = os.pipe()
socket.send_fds(s, [b'a pipe'], [w]); os.close(w)
print(os.read(r, 100).decode())
data, fds, flags, _ = socket.recv_fds(s, 100, 5)
os.write(fds[0], data)`,
    server.address,
  );
  const peer = await server.accept();
  const message = (await peer.receive())!;
  assert.equal(text(message), 'a pipe');
  const { write } = await import('vecino/system');
  write(message.descriptors[0]!, bytes('written by vecino'));
  close(message.descriptors[0]!);
  assert.equal(await pass.line(), 'written by vecino');
  const [a, b] = unix.pair();
  await peer.send(bytes('back'), { descriptors: [b.fd] });
  b.close();
  assert.equal(text(await a.receive()), 'back');
  assert.equal((await pass.ended).code, 0);
  for (const one of [a, peer, server]) one.close();

  const listening = tcp.listen();
  const client = python(
    `import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.sendall(b'question'); s.shutdown(socket.SHUT_WR)
print(s.recv(100).decode(), end='')`,
    `${listening.port}`,
  );
  await echo(listening);
  assert.equal((await client.ended).stdout, 'question');
  listening.close();
});

test('Socket: socat talks to every socket', async (t) => {
  if (spawnSync('socat', ['-V']).status !== 0) return t.skip('install socat (Debian, Ubuntu: apt-get install socat)');
  const folder = temporaryFolder();
  const talk = async (address: string, server: UnixServer | TcpServer) => {
    const peer = start('socat', ['-t', '10', '-', address]);
    peer.write('hello from socat\n');
    const echoed = echo(server);
    assert.equal(await peer.line(), 'hello from socat');
    peer.child.stdin!.end();
    await echoed;
    assert.equal((await peer.ended).stderr, '');
    server.close();
  };
  await talk(`UNIX-CONNECT:${folder}/a`, unix.listen(`${folder}/a`));
  const name = uniqueName('socat');
  await talk(`ABSTRACT-CONNECT:${name}`, unix.listen(`@${name}`));
  await talk(`UNIX-CONNECT:${folder}/b,socktype=5`, unix.listen(`${folder}/b`, { type: 'seqpacket' }));
  const four = tcp.listen();
  await talk(`TCP4:127.0.0.1:${four.port}`, four);
  const six = tcp.listen({ host: '::1' });
  await talk(`TCP6:[::1]:${six.port}`, six);

  const datagram = unix.listen(`${folder}/c`, { type: 'datagram' });
  const sender = start('socat', ['-u', '-', `UNIX-SENDTO:${folder}/c`]);
  sender.write('one datagram');
  assert.equal(text(await datagram.receive()), 'one datagram');
  sender.child.stdin!.end();
  await sender.ended;
  datagram.close();

  const listener = start('socat', ['-d', '-d', `UNIX-LISTEN:${folder}/d`, 'EXEC:cat']);
  await new Promise<void>((resolve) =>
    listener.child.stderr!.on('data', (text: string) => {
      if (text.includes('listening on')) resolve();
    }),
  );
  const content = randomBytes(50_000);
  assert.ok(content.equals(await exchange(await unix.connect(`${folder}/d`), content)));
  await listener.ended;
});
