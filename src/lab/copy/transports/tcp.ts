/** Through a TCP connection over loopback: the same calls as a Unix socket, and a whole network protocol below. Four copies. */
import { accept4, bind, close, getpeername, getsockname, inetAddress, socket } from '../../../system/index.js';
import { connect, listen } from '../../../system/socket.js';
import type { Transport } from '../transport.js';
import { drain, feed } from './pipe.js';
import { inheritedPair } from './unix.js';

export const tcp: Transport = {
  name: 'tcp',
  summary: 'a TCP connection over loopback, one end inherited by each',
  chunk: 64 * 1024,
  prepare: () => inheritedPair(connectedPair()),
  serve: (side) => feed(side, side.descriptors[0]!),
  receive: (side) => drain(side, side.descriptors[0]!),
};

/** As socketpair(2), which the kernel does not offer for TCP. */
function connectedPair(): [number, number] {
  const listener = socket('ipv4', 'stream');
  const open: number[] = [];
  try {
    bind(listener, inetAddress('127.0.0.1', 0));
    listen(listener, 1);
    const client = socket('ipv4', 'stream');
    open.push(client);
    connect(client, getsockname(listener));
    const own = Buffer.from(getsockname(client));
    for (;;) {
      const server = accept4(listener);
      // For a moment the port was open to every process of this machine: only our own end gets the file.
      if (isPeer(server, own)) return [server, client];
      close(server);
    }
  } catch (error) {
    open.forEach(close);
    throw error;
  } finally {
    close(listener);
  }
}
function isPeer(fd: number, name: Buffer): boolean {
  try {
    return name.equals(getpeername(fd));
  } catch {
    return false; // a stranger's, which has gone
  }
}
