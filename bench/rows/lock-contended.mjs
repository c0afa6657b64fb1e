// @ts-check
/** Two processes that take the same mutex again and again, for a critical section of 1 µs. */
import { fileURLToPath } from 'node:url';
import { SharedMemory } from 'vecino/memory';
import { Mutex } from 'vecino/sync';

/** @typedef {import('../harness/row.js').Row} Row */
const program = fileURLToPath(new URL('../contend.mjs', import.meta.url));
/** @satisfies {Partial<Row>} */
const common = {
  group: 'mutex, two processes, 1 µs inside',
  kinds: /** @type {Row['kinds']} */ (['measure']),
  metrics: { acquisitions: { unit: '/s', better: 'more' } },
};
/** @param {string} voice @returns {Row['measure']} */
const contended = (voice) => async (side) => {
  const memory = SharedMemory.create(`${side.prefix}contended`, 4096);
  try {
    Mutex.create(memory, 0);
    const [warmUp, duration] = side.smoke ? [10, 20] : [300, 700];
    const one = ['0', '1'].map((role) =>
      side.command(process.execPath, program, memory.name ?? '', role, voice, String(warmUp), String(duration)),
    );
    const rates = (await Promise.all(one)).map(({ stdout }) => Number(stdout));
    return { acquisitions: rates[0] + rates[1] };
  } finally {
    memory.unlink();
    memory.close();
  }
};

/** @type {Row[]} */
export default [
  {
    ...common,
    name: 'mutex-contended',
    about: 'enterSync and exit: acquisitions a second, of both',
    targets: [{ against: 'c-mutex-contended', atLeast: 0.8 }],
    measure: contended('enter'),
  },
  {
    ...common,
    name: 'mutex-contended-guard',
    about: 'lockSync and release',
    targets: [{ against: 'c-mutex-contended', atLeast: 0.8 }],
    measure: contended('sync'),
  },
  {
    ...common,
    name: 'mutex-contended-async',
    about: 'await lock and release',
    against: 'c-mutex-contended',
    measure: contended('async'),
  },
  { ...common, name: 'c-mutex-contended', about: 'the same in C', c: { source: 'lock.c', options: ['contended'] } },
];
