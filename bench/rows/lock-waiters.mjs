// @ts-check
/** 1,000 tasks of one process that wait for 1,000 mutexes which another process holds. */
import { fileURLToPath } from 'node:url';

/** @typedef {import('../harness/row.js').Row} Row */
const program = fileURLToPath(new URL('../waiters.mjs', import.meta.url));
/** @satisfies {Partial<Row>} */
const common = {
  group: '1,000 tasks wait for 1,000 mutexes',
  kinds: /** @type {Row['kinds']} */ (['measure']),
  metrics: {
    p50: { unit: 'ns', better: 'less' },
    longest: { unit: 'ns', better: 'less' },
    waiting: { unit: 'ns', better: 'less' },
    threads: { unit: 'x', better: 'less' },
  },
};

/** @type {Row[]} */
export default [
  {
    ...common,
    name: 'mutex-waiters',
    about: 'from release to the task that gets it; processor time in a second of waiting; helper threads',
    targets: [
      { metric: 'longest', atMost: 2e6 },
      { metric: 'threads', atMost: 1 },
      { metric: 'waiting', atMost: 1e6 },
    ],
    async measure(side) {
      const { stdout } = await side.command(
        process.execPath,
        program,
        `${side.prefix}waiters`,
        side.smoke ? '100' : '1000',
      );
      return JSON.parse(stdout);
    },
  },
];
