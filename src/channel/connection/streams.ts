/** A connection as two Node streams. */
import { Readable, Writable } from 'node:stream';
import { ClosedError, invalidArgument } from '../../system/errors.js';
import type { Connection } from './connection.js';

/**
 * In object mode, one chunk a message; `null`, which is a stream's end, is an error. The end of `writable` is the peer's end of
 * `readable`; the connection closes when both are over, or one of them fails.
 */
export function streams<T>(connection: Connection<T>): { readable: Readable; writable: Writable } {
  const aborted = new AbortController();
  let ends = 2;
  const over = () => {
    if (--ends === 0) connection.close();
  };
  const readable = new Readable({
    objectMode: true,
    read() {
      connection.receive({ signal: aborted.signal }).then(
        (value) => {
          if (value !== null) this.push(value);
          else
            this.destroy(
              invalidArgument('ERR_INVALID_ARG_VALUE', 'what was received', 'something that a stream carries', null),
            );
        },
        (error) => {
          if (error instanceof ClosedError) this.push(null);
          else this.destroy(error);
        },
      );
    },
    destroy(error, done) {
      aborted.abort();
      if (error === null) over();
      else connection.close();
      done(error);
    },
  });
  const writable = new Writable({
    objectMode: true,
    write(value: T, _encoding, done) {
      connection.send(value).then(() => done(), done);
    },
    final(done) {
      connection.end().then(() => done(), done);
    },
    destroy(error, done) {
      if (error === null) over();
      else connection.close();
      done(error);
    },
  });
  return { readable, writable };
}
