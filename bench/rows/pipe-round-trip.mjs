// @ts-check
/** Two pipes between two processes, in two of vecino's voices, beside the same in C. */
import { PipeReader, PipeWriter, pipe } from 'vecino/pipe';
import { Slicer } from '../harness/slicer.mjs';

/**
 * @typedef {import('../harness/row.js').Row} Row
 * @typedef {{ reader: PipeReader, writer: PipeWriter }} Ends
 */

/** @param {Ends} ends @param {number} size @returns {import('../harness/row.js').SyncPort} */
function blocking({ reader, writer }, size) {
  const slicer = new Slicer(size);
  return {
    voice: 'sync',
    send(/** @type {Uint8Array} */ message) {
      writer.writeSync(message);
    },
    receive() {
      for (;;) {
        const message = slicer.next();
        if (message !== undefined) return message;
        slicer.add(present(reader.readSync()));
      }
    },
  };
}
/** @param {Ends} ends @param {number} size @returns {import('../harness/row.js').AsyncPort} */
function asynchronous({ reader, writer }, size) {
  const slicer = new Slicer(size);
  async function read() {
    for (;;) {
      slicer.add(present(await reader.read()));
      const message = slicer.next();
      if (message !== undefined) return message;
    }
  }
  return {
    voice: 'async',
    send: (/** @type {Uint8Array} */ message) => writer.write(message),
    receive: () => slicer.next() ?? read(),
  };
}
/** @param {Uint8Array | null} bytes */
function present(bytes) {
  if (bytes === null) throw new Error('the peer has closed the pipe');
  return bytes;
}

/** @satisfies {Partial<Row>} */
const common = {
  group: 'pipe',
  kinds: /** @type {Row['kinds']} */ (['round-trip', 'one-way']),
  sizes: [64, 1024, 2 ** 20],
};
/**
 * @param {string} name @param {string} about @param {(ends: Ends, size: number) => import('../harness/row.js').Port} port
 * @returns {Row}
 */
function row(name, about, port) {
  return {
    ...common,
    name,
    about,
    against: ['c-pipe', 'node-net-unix'],
    ask(side) {
      const there = pipe();
      const back = pipe();
      side.startPeer({ stdio: [there.reader.fd, back.writer.fd] });
      there.reader.close();
      back.writer.close();
      return port({ reader: back.reader, writer: there.writer }, side.size);
    },
    answer({ descriptors: [reader, writer], size }) {
      return port({ reader: PipeReader.fromFd(reader), writer: PipeWriter.fromFd(writer) }, size);
    },
  };
}

/** @type {Row[]} */
export default [
  row('pipe-sync', 'two pipes, readSync and writeSync', blocking),
  row('pipe-async', 'two pipes, read and write in the event loop', asynchronous),
  { ...common, name: 'c-pipe', about: 'two pipes in C, blocking', c: { source: 'pipe.c' } },
];
