// @ts-check

/** 64 B through a pipe that one process writes and reads: what a call costs, without waking anybody. */
import { pipe2 } from 'vecino/system';
import { native } from '../../dist/system/native.js';
import { readFresh } from '../../dist/system/slab.js';

/** @typedef {import('../harness/row.js').Row} Row */
const { writeWhole } = native;
const group = 'pipe, write and read in one process';
const c = { source: 'pipe-same-process.c' };
/** @satisfies {Partial<Row>} */
const common = { group, kinds: /** @type {Row['kinds']} */ (['call']), sizes: [64], largest: 65536, batch: 100 };

/** @type {Row[]} */
export default [
  {
    ...common,
    name: 'pipe-same-process',
    about: 'write and read of one pipe in one process',
    against: 'c-pipe-same-process-threads',
    targets: [{ against: 'c-pipe-same-process', atMost: 1.5 }],
    calls({ size }) {
      const [reader, writer] = pipe2();
      const out = new Uint8Array(size).fill(7);
      return (count) => {
        for (let i = 0; i < count; i++) {
          if (writeWhole(writer, out) !== size) throw new Error('the pipe did not take it all');
          const read = readFresh(reader, 65536);
          if (typeof read === 'number' || read.length !== size) throw new Error('the pipe did not give it all');
        }
      };
    },
  },
  { ...common, name: 'c-pipe-same-process', about: 'the same in C, in a process of one thread', c },
  {
    ...common,
    name: 'c-pipe-same-process-threads',
    about: 'the same in C with a second, idle thread, as every Node process has some',
    c: { ...c, options: ['idle-thread'] },
  },
];
