// @ts-check
/** Two pipes between two processes, waited for by blocking and in the event loop, beside the same in C. */
import { close, constants, Deadline, errno, fcntl, pipe2, Readiness, read, write } from 'vecino/system';
import { native } from '../../dist/system/native.js';
import { readFresh } from '../../dist/system/slab.js';
import { Slicer } from '../harness/slicer.mjs';

/**
 * @typedef {import('../harness/row.js').Row} Row
 * @typedef {{ reader: number, writer: number }} Ends
 */
const CHUNK = 65536;
const EAGAIN = -errno.EAGAIN;
const forever = new Deadline('wait for the pipe');

/** @param {Ends} ends @param {number} size @returns {import('../harness/row.js').SyncPort} */
function blocking({ reader, writer }, size) {
  const slicer = new Slicer(size);
  const chunk = new Uint8Array(CHUNK);
  return {
    voice: 'sync',
    send(/** @type {Uint8Array} */ message) {
      for (let done = 0; done < size; ) done += write(writer, message, done);
    },
    receive() {
      for (;;) {
        const message = slicer.next();
        if (message !== undefined) return message;
        const count = read(reader, chunk);
        if (count === 0) throw new Error('the peer has closed the pipe');
        slicer.add(chunk.subarray(0, count));
      }
    },
  };
}
/** @param {Ends} ends @param {number} size @returns {import('../harness/row.js').AsyncPort} */
function asynchronous({ reader, writer }, size) {
  for (const fd of [reader, writer]) fcntl(fd, constants.F_SETFL, constants.O_NONBLOCK);
  const slicer = new Slicer(size);
  const input = new Readiness(reader, 'reader');
  const output = new Readiness(writer, 'writer');
  async function more() {
    for (;;) {
      const chunk = readFresh(reader, CHUNK);
      if (chunk === EAGAIN) await input.readable(forever);
      else if (typeof chunk === 'number') throw new Error('the peer has closed the pipe');
      else {
        slicer.add(chunk);
        const message = slicer.next();
        if (message !== undefined) return message;
      }
    }
  }
  return {
    voice: 'async',
    async send(/** @type {Uint8Array} */ message) {
      for (let done = 0; done < size; ) {
        const count = native.write(writer, message, done, size - done);
        if (count === EAGAIN) await output.writable(forever);
        else if (count < 0) throw new Error('the peer has closed the pipe');
        else done += count;
      }
    },
    receive: () => slicer.next() ?? more(),
  };
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
      const [theirReader, writer] = pipe2();
      const [reader, theirWriter] = pipe2();
      side.startPeer({ stdio: [theirReader, theirWriter] });
      close(theirReader);
      close(theirWriter);
      return port({ reader, writer }, side.size);
    },
    answer: ({ descriptors: [reader, writer], size }) => port({ reader, writer }, size),
  };
}

/** @type {Row[]} */
export default [
  row('pipe-sync', 'two pipes, blocking', blocking),
  row('pipe-async', 'two pipes, waited for in the event loop', asynchronous),
  { ...common, name: 'c-pipe', about: 'two pipes in C, blocking', c: { source: 'pipe.c' } },
];
