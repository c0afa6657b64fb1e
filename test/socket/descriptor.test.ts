import '../support/leaks.js';
import assert from 'node:assert/strict';
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { ClosedError, DescriptorsLostError, SharedMemory, SystemError, type UnixSocket, unix } from 'vecino';
import { close, constants, dup, eventfd, fcntl, pipe2, read, write } from 'vecino/system';
import { descriptors as openDescriptors } from '../support/leaks.js';
import { compile, start, startScript, temporaryFolder } from '../support/processes.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (message: { bytes: Uint8Array } | null | undefined) =>
  message ? new TextDecoder().decode(message.bytes) : message;
const isOpen = (fd: number) => openDescriptors().some((line) => line.startsWith(`${fd} `));
/** Runs `body` and checks that the process has as many descriptors afterwards. */
async function leakless(body: () => Promise<void>): Promise<void> {
  const before = openDescriptors().length;
  await body();
  assert.equal(openDescriptors().length, before, 'descriptors leaked');
}
async function withPair(
  type: 'stream' | 'seqpacket' | 'datagram',
  body: (a: UnixSocket, b: UnixSocket) => Promise<void>,
) {
  const [a, b] = unix.pair(type);
  try {
    await body(a, b);
  } finally {
    a.close();
    b.close();
  }
}

for (const type of ['stream', 'seqpacket', 'datagram'] as const) {
  test(`${type}: shared memory, pipes and files are passed, and work where they arrive`, async () => {
    await withPair(type, async (a, b) => {
      const memory = SharedMemory.anonymous(4096);
      new Uint8Array(memory.buffer)[5] = 55;
      const [reader, writer] = pipe2();
      const path = `${temporaryFolder()}/file`;
      writeFileSync(path, 'content');
      const file = openSync(path, 'r');
      await a.send(bytes('three'), { descriptors: [memory.fd, writer, file] });
      closeSync(file);
      close(writer);
      const message = (await b.receive())!;
      assert.equal(text(message), 'three');
      const { descriptors } = message;
      assert.equal(descriptors.length, 3);
      assert.equal(message.descriptors, descriptors);
      for (const fd of descriptors) assert.equal(fcntl(fd, constants['F_GETFD']!), constants['FD_CLOEXEC']);
      const [memoryFd, pipeFd, fileFd] = descriptors as [number, number, number];
      const mapped = SharedMemory.fromFd(memoryFd);
      assert.equal(new Uint8Array(mapped.buffer)[5], 55);
      write(pipeFd, bytes('through'));
      const buffer = new Uint8Array(16);
      assert.equal(read(reader, buffer), 7);
      assert.equal(readSync(fileFd, buffer), 7);
      assert.equal(new TextDecoder().decode(buffer.subarray(0, 7)), 'content');
      mapped.close();
      memory.close();
      for (const fd of [memoryFd, pipeFd, fileFd, reader]) if (isOpen(fd)) close(fd);
      message[Symbol.dispose]();
    });
  });

  test(`${type}: 253 descriptors go in one message; 254 are refused before anything is sent`, async () => {
    const fd = eventfd();
    await leakless(() =>
      withPair(type, async (a, b) => {
        await assert.rejects(a.send(bytes('x'), { descriptors: Array(254).fill(fd) }), { code: 'ERR_OUT_OF_RANGE' });
        assert.throws(() => a.trySend(bytes('x'), { descriptors: Array(254).fill(fd) }), { code: 'ERR_OUT_OF_RANGE' });
        assert.equal(b.tryReceive(), undefined);
        a.sendSync(bytes('x'), { descriptors: Array(253).fill(fd) });
        const { descriptors } = b.receiveSync()!;
        assert.equal(new Set(descriptors).size, 253);
        for (const received of descriptors) close(received);
      }),
    );
    close(fd);
  });

  test(`${type}: descriptors that nobody looks at do not leak`, async () => {
    const fd = eventfd();
    const one = { descriptors: [fd, fd] };
    await leakless(async () => {
      // Never received: the kernel closes them.
      await withPair(type, async (a) => {
        for (let i = 0; i < 5; i++) await a.send(bytes('x'), one);
      });
      // Received, not looked at: closed with the socket.
      await withPair(type, async (a, b) => {
        await a.send(bytes('x'), one);
        const message = (await b.receive())!;
        b.close();
        assert.throws(() => message.descriptors, ClosedError);
      });
      // In a loop: closed at the next turn. Looked at: the reader's.
      await withPair(type, async (a, b) => {
        for (let i = 0; i < 5; i++) await a.send(bytes(`${i}`), one);
        await a.send(bytes('last'));
        const before = openDescriptors().length;
        let kept: number[] = [];
        for await (const message of b) {
          if (text(message) === '2') kept = message.descriptors;
          if (text(message) === 'last') break;
        }
        assert.equal(openDescriptors().length, before + 2);
        for (const received of kept) close(received);
      });
      // Disposed of.
      await withPair(type, async (a, b) => {
        await a.send(bytes('x'), one);
        const before = openDescriptors().length;
        const message = (await b.receive())!;
        assert.equal(openDescriptors().length, before + 2);
        message[Symbol.dispose]();
        message[Symbol.dispose]();
        assert.equal(openDescriptors().length, before);
      });
      // A flood: no more than 253 are held.
      await withPair(type, async (a, b) => {
        const before = openDescriptors().length;
        const messages: { descriptors: number[] }[] = [];
        for (let i = 0; i < 30; i++) {
          await a.send(bytes('x'), { descriptors: Array(50).fill(fd) });
          messages.push((await b.receive())!);
          assert.ok(openDescriptors().length - before <= 253);
        }
        assert.throws(() => messages[0]!.descriptors, ClosedError);
        for (const received of messages.at(-1)!.descriptors) close(received);
      });
    });
    close(fd);
  });

  test(`${type}: descriptors that this process may not open are an error that carries the message`, async () => {
    const program = `
      import { execFileSync } from 'node:child_process';
      import { readdirSync } from 'node:fs';
      import { DescriptorsLostError, unix } from 'vecino';
      import { close, dup, eventfd } from 'vecino/system';
      const [a, b] = unix.pair('${type}');
      a.sendSync(new Uint8Array(0 + 1), { descriptors: [a.fd] });
      close(b.receiveSync().descriptors[0]);
      const fd = eventfd();
      await a.send(Buffer.from('four'), { descriptors: [fd, fd, fd, fd] });
      await a.send(Buffer.from('then'), { descriptors: [] });
      const used = [];
      try { for (;;) used.push(dup(fd)); } catch (error) { if (error.code !== 'EMFILE') throw error; }
      for (let i = 0; i < 2; i++) close(used.pop());
      let error;
      try { await b.receive(); } catch (caught) { error = caught; }
      const { received } = error;
      console.log(error instanceof DescriptorsLostError, error.code, Buffer.from(received.bytes).toString(), received.descriptors.length);
      console.log(Buffer.from((await b.receive()).bytes).toString());
      a.close();
      b.close();`;
    const { stdout, stderr } = await start('sh', [
      '-c',
      'ulimit -n 100; exec "$0" "$@"',
      process.execPath,
      '--input-type=module',
      '--eval',
      program,
    ]).ended;
    assert.deepEqual([stdout, stderr], ['true EMFILE four 2\nthen\n', '']);
    assert.ok(DescriptorsLostError.prototype instanceof SystemError);
  });
}

test('Socket: a message on a stream with descriptors needs a byte; a message elsewhere does not', async () => {
  const fd = eventfd();
  await withPair('stream', async (a) => {
    await assert.rejects(a.send(new Uint8Array(0), { descriptors: [fd] }), { code: 'ERR_INVALID_ARG_VALUE' });
    await a.send(new Uint8Array(0));
  });
  await withPair('seqpacket', async (a, b) => {
    await a.send(new Uint8Array(0), { descriptors: [fd] });
    const message = (await b.receive())!;
    assert.equal(message.bytes.length, 0);
    close(message.descriptors[0]!);
  });
  close(fd);
});

test('Socket: descriptors that are none are refused, and one that is not open is EBADF', async () => {
  await withPair('seqpacket', async (a, b) => {
    for (const descriptors of [5, 'x', [null], [-1], [1.5], [2 ** 53], [Number.NaN], ['1'], { length: 1, 0: 1 }]) {
      await assert.rejects(a.send(bytes('x'), { descriptors: descriptors as number[] }), { code: /^ERR_/ });
    }
    const gone = dup(0);
    close(gone);
    await assert.rejects(a.send(bytes('x'), { descriptors: [gone] }), (error: SystemError) => error.code === 'EBADF');
    assert.equal(b.tryReceive(), undefined);
  });
});

test('Socket: descriptors of a send that had to wait arrive once, with its first byte', async () => {
  await withPair('stream', async (a, b) => {
    const fd = eventfd();
    while (a.trySend(new Uint8Array(4096)) !== 0);
    const sending = a.send(new Uint8Array(1_000_000).fill(1), { descriptors: [fd] });
    const arrived: number[] = [];
    let first: number | undefined;
    for (let ones = 0; ones < 1_000_000; ) {
      const message = (await b.receive())!;
      if (message.descriptors.length > 0) first = message.bytes[0];
      arrived.push(...message.descriptors);
      for (const byte of message.bytes) ones += byte;
    }
    await sending;
    assert.equal(arrived.length, 1);
    assert.equal(first, 1);
    close(arrived[0]!);
    close(fd);
  });
});

test('Socket: a connection can be passed to another process, which goes on with it', async () => {
  const [a, b] = unix.pair('seqpacket');
  const [inner, outer] = unix.pair();
  const peer = startScript(
    `import { unix } from 'vecino';
     const control = unix.fromFd(3);
     const { descriptors } = await control.receive();
     const socket = unix.fromFd(descriptors[0]);
     await socket.send(Buffer.from('hello from ' + process.pid));
     socket.close();`,
    [],
    { stdio: ['pipe', 'pipe', 'pipe', b.fd] },
  );
  b.close();
  await a.send(bytes('this one'), { descriptors: [inner.fd] });
  inner.close();
  assert.equal(text(await outer.receive()), `hello from ${peer.pid}`);
  assert.equal(await outer.receive(), null);
  await peer.ended;
  a.close();
  outer.close();
  const [reader, writer] = pipe2();
  assert.throws(
    () => unix.fromFd(reader),
    (error: SystemError) => error.code === 'ENOTSOCK',
  );
  for (const fd of [-1, Number.NaN, '3', null]) assert.throws(() => unix.fromFd(fd as number), { code: /^ERR_/ });
  close(reader);
  close(writer);
});

const HOSTILE = `
  #define _GNU_SOURCE
  #include <errno.h>
  #include <stdio.h>
  #include <stdlib.h>
  #include <string.h>
  #include <unistd.h>
  #include <sys/socket.h>
  #include <sys/un.h>
  static int fd;
  static int attempt(const char *what, void *control, size_t length) {
    struct iovec part = {(void *)what, strlen(what)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = length};
    return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? errno : 0;
  }
  int main(int argc, char **argv) {
    fd = atoi(argv[1]);
    union { char space[4096]; struct cmsghdr header; } control;
    struct cmsghdr *header = &control.header;
    #define BEGIN(kind, size) memset(&control, 0, sizeof control), header->cmsg_level = SOL_SOCKET, header->cmsg_type = kind, header->cmsg_len = CMSG_LEN(size)
    int *fds = (int *)CMSG_DATA(header);
    struct ucred own = {getpid(), getuid(), getgid()};
    BEGIN(SCM_CREDENTIALS, sizeof own); memcpy(CMSG_DATA(header), &own, sizeof own);
    int results[8], n = 0;
    results[n++] = attempt("credentials ", &control, CMSG_SPACE(sizeof own));
    BEGIN(SCM_RIGHTS, 0);
    results[n++] = attempt("no rights ", &control, CMSG_SPACE(0));
    BEGIN(SCM_RIGHTS, 4); fds[0] = 987;
    results[n++] = attempt("bad descriptor ", &control, CMSG_SPACE(4));
    BEGIN(SCM_RIGHTS, 4 * 254); for (int i = 0; i < 254; i++) fds[i] = fd;
    results[n++] = attempt("254 ", &control, CMSG_SPACE(4 * 254));
    BEGIN(SCM_RIGHTS, 4 * 253); for (int i = 0; i < 253; i++) fds[i] = fd;
    results[n++] = attempt("253 ", &control, CMSG_SPACE(4 * 253));
    BEGIN(SCM_RIGHTS, 4); fds[0] = fd; header->cmsg_len = 4000;
    results[n++] = attempt("too long ", &control, CMSG_SPACE(4));
    BEGIN(SCM_RIGHTS, 4); fds[0] = fd;
    { struct cmsghdr *second = (void *)(control.space + CMSG_SPACE(4)); *second = *header; second->cmsg_len = CMSG_LEN(8); ((int *)CMSG_DATA(second))[0] = ((int *)CMSG_DATA(second))[1] = fd; }
    results[n++] = attempt("two parts ", &control, CMSG_SPACE(4) + CMSG_SPACE(8));
    BEGIN(77, 4);
    results[n++] = attempt("unknown ", &control, CMSG_SPACE(4));
    for (int i = 0; i < n; i++) printf("%s ", results[i] == 0 ? "sent" : results[i] == EINVAL ? "EINVAL" : results[i] == EBADF ? "EBADF" : strerror(results[i]));
    return 0;
  }`;
for (const type of ['stream', 'seqpacket'] as const) {
  test(`${type}: odd ancillary data of a C program harms nobody`, async () => {
    const program = compile(temporaryFolder(), 'hostile', HOSTILE);
    await leakless(async () => {
      const [a, b] = unix.pair(type);
      const peer = start(program, ['3'], { stdio: ['pipe', 'pipe', 'pipe', b.fd] });
      b.close();
      const { stdout } = await peer.ended;
      assert.equal(stdout.trim(), 'sent sent EBADF EINVAL sent EINVAL sent EINVAL');
      let whole = '';
      const counts: number[] = [];
      for await (const message of a) {
        whole += text(message);
        if (message.descriptors.length > 0) counts.push(message.descriptors.length);
        for (const fd of message.descriptors) close(fd);
      }
      assert.equal(whole, 'credentials no rights 253 two parts ');
      assert.deepEqual(counts, [253, 3]);
      a.close();
    });
  });
}
