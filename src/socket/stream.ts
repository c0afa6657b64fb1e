/** A socket as a Node stream. */
import { Duplex } from 'node:stream';
import type { Socket } from './socket.js';

/** @see Socket.toStream */
export function duplex(socket: Socket): Duplex {
  const messages = socket.type !== 'stream';
  const stream: Duplex = new Duplex({
    allowHalfOpen: true,
    decodeStrings: true,
    objectMode: messages,
    read() {
      socket.receive().then(
        (message) => {
          if (message === null) return void stream.push(null);
          message[Symbol.dispose]();
          const { buffer, byteOffset, length } = message.bytes;
          stream.push(Buffer.from(buffer, byteOffset, length));
        },
        (error) => void stream.destroy(error),
      );
    },
    write(chunk: Uint8Array | string, encoding, done) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
      socket.send(bytes).then(() => done(), done);
    },
    final(done) {
      socket.end().then(() => done(), done);
    },
    destroy(error, done) {
      socket.close();
      done(error);
    },
  });
  return stream;
}
