/** The ends of a pipe as Node streams. */
import { Readable, Writable } from 'node:stream';

/** The default capacity of a pipe, and the most that one read returns. */
const highWaterMark = 65536;

/** What a stream needs of an end. */
interface End {
  readonly fd: number;
  close(): void;
}
/** {@link PipeReader} */
interface ReadingEnd extends End {
  read(): Promise<Uint8Array | null>;
}
/** {@link PipeWriter} */
interface WritingEnd extends End {
  write(bytes: Uint8Array): Promise<void>;
}

// Each notification of a stream runs in a tick of its own: a listener that throws causes an uncaught exception, as with any stream, and not
// the rejection of an internal promise.

/** Reads only when the stream asks for more, one chunk at a time. */
export function readableOf(reader: ReadingEnd): Readable {
  void reader.fd; // ClosedError now, not later
  const stream: Readable = new Readable({
    highWaterMark,
    read() {
      reader.read().then(
        (bytes) => process.nextTick(() => stream.push(bytes)),
        (error) => process.nextTick(() => stream.destroy(error)),
      );
    },
    destroy(error, done) {
      reader.close();
      done(error);
    },
  });
  return stream;
}
/** Writes one chunk at a time, and asks for the next when it is in the pipe. */
export function writableOf(writer: WritingEnd): Writable {
  void writer.fd;
  return new Writable({
    highWaterMark,
    write(chunk: Uint8Array, _encoding, done) {
      writer.write(chunk).then(
        () => process.nextTick(done),
        (error) => process.nextTick(done, error),
      );
    },
    final(done) {
      writer.close();
      done();
    },
    destroy(error, done) {
      writer.close();
      done(error);
    },
  });
}
