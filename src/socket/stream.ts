/** A socket as a Node stream. */
import { Duplex } from 'node:stream';
import type { SocketMessage } from './message.js';

/** A {@link Socket}, as far as a stream needs it. */
interface StreamedSocket {
  readonly type: string;
  send(bytes: Uint8Array): Promise<void>;
  receive(): Promise<SocketMessage | null>;
  end(): Promise<void>;
  close(): void;
}

// What a stream is told, it is told in a tick of its own: a listener that throws is an uncaught exception, as with any stream, and not
// the rejection of a promise of ours.

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
