// @ts-check

/** 64 B through a pipe that one process writes and reads: what a call costs, without waking anybody. */
import { pipe } from 'vecino/pipe';

/** @typedef {import('../harness/row.js').Row} Row */
const group = 'pipe, write and read in one process';
const c = { source: 'pipe-same-process.c' };
/** @satisfies {Partial<Row>} */
const common = { group, kinds: /** @type {Row['kinds']} */ (['call']), sizes: [64], largest: 65536, batch: 100 };

/** @type {Row[]} */
export default [
  {
    ...common,
    name: 'pipe-same-process',
    about: 'tryWrite and tryRead of one pipe in one process',
    against: 'c-pipe-same-process-threads',
    targets: [{ against: 'c-pipe-same-process', atMost: 1.5 }],
    calls({ size }) {
      const { reader, writer } = pipe();
      const out = new Uint8Array(size).fill(7);
      return (count) => {
        for (let i = 0; i < count; i++) {
          if (writer.tryWrite(out) !== size) throw new Error('the pipe did not take it all');
          if (reader.tryRead()?.length !== size) throw new Error('the pipe did not give it all');
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
