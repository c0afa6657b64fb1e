/** A connection as two Node streams. */
import { Readable, Writable } from 'node:stream';
import { ClosedError, invalidArgument } from '../../system/errors.js';

/** What streams need of a {@link Connection}. */
interface StreamedConnection<T> {
  send(value: T): Promise<void>;
  receive(options: { signal: AbortSignal }): Promise<unknown>;
  end(): Promise<void>;
  close(): void;
}

/**
 * In object mode, one chunk per message; `null`, which is a stream's end, is an error. The end of `writable` is the peer's end of
 * `readable`. The connection closes when both have ended, or one of them fails.
 */
export function streams<T>(connection: StreamedConnection<T>): { readable: Readable; writable: Writable } {
  const aborted = new AbortController();
  let ends = 2;
  const over = () => {
    if (--ends === 0) connection.close();
  };
  // Each notification of a stream runs in a tick of its own: a listener that throws causes an uncaught exception, as with any stream, and
  // not the rejection of an internal promise.
  const readable: Readable = new Readable({
    objectMode: true,
    read() {
      connection.receive({ signal: aborted.signal }).then(
        (value) => process.nextTick(give, value),
        (error) => process.nextTick(fail, error),
      );
    },
    destroy(error, done) {
      aborted.abort();
      if (error === null) over();
      else connection.close();
      done(error);
    },
  });
  const give = (value: unknown) => {
    if (value !== null) readable.push(value);
    else fail(invalidArgument('ERR_INVALID_ARG_VALUE', 'what was received', 'something that a stream carries', null));
  };
  const fail = (error: Error) => {
    if (error instanceof ClosedError) readable.push(null);
    else readable.destroy(error);
  };
  const writable = new Writable({
    objectMode: true,
    write(value: T, _encoding, done) {
      connection.send(value).then(
        () => process.nextTick(done),
        (error) => process.nextTick(done, error),
      );
    },
    final(done) {
      connection.end().then(
        () => process.nextTick(done),
        (error) => process.nextTick(done, error),
      );
    },
    destroy(error, done) {
      if (error === null) over();
      else connection.close();
      done(error);
    },
  });
  return { readable, writable };
}
