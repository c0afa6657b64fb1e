/** A socket as a Node stream. */
import { Duplex } from 'node:stream';
import type { SocketMessage } from './message.js';

/** What a stream needs of a {@link Socket}. */
interface StreamedSocket {
  readonly type: string;
  send(bytes: Uint8Array): Promise<void>;
  receive(): Promise<SocketMessage | null>;
  end(): Promise<void>;
  close(): void;
}

// Each notification of a stream runs in a tick of its own: a listener that throws causes an uncaught exception, as with any stream, and not
// the rejection of an internal promise.

/** @see Socket.toStream */
export function duplex(socket: StreamedSocket): Duplex {
  const messages = socket.type !== 'stream';
  const stream: Duplex = new Duplex({
    allowHalfOpen: true,
    decodeStrings: true,
    objectMode: messages,
    read() {
      socket.receive().then(
        (message) => {
          if (message === null) return process.nextTick(() => stream.push(null));
          message[Symbol.dispose]();
          const { buffer, byteOffset, length } = message.bytes;
          process.nextTick(() => stream.push(Buffer.from(buffer, byteOffset, length)));
        },
        (error) => process.nextTick(() => stream.destroy(error)),
      );
    },
    write(chunk: Uint8Array | string, encoding, done) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
      socket.send(bytes).then(
        () => process.nextTick(done),
        (error) => process.nextTick(done, error),
      );
    },
    final(done) {
      socket.end().then(
        () => process.nextTick(done),
        (error) => process.nextTick(done, error),
      );
    },
    destroy(error, done) {
      socket.close();
      done(error);
    },
  });
  return stream;
}
