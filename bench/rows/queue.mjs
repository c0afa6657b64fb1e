// @ts-check
/** Two producers and two consumers on one queue, every message acknowledged, beside a POSIX queue in C. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Queue } from 'vecino/channel';
import { SharedMemory } from 'vecino/memory';

/** @typedef {import('../harness/row.js').Row} Row */
const CAPACITY = 1024;
const PRODUCERS = 2;
const CONSUMERS = 2;
/** Words of the shared counts: how many are ready, then what each consumer has received, each on lines of its own. */
const READY = 0;
const STRIDE = 32;

/** What each of the four processes runs. @param {string} role @param {string} loop */
const program = (role, loop) => `
  import { Queue } from 'vecino/channel';
  import { SharedMemory } from 'vecino/memory';
  const [, name, memoryName, index, size] = process.argv;
  const queue = await Queue.open(name);
  const counts = new Int32Array(SharedMemory.open(memoryName).buffer);
  const mine = ${STRIDE} * (1 + Number(index));
  const out = new Uint8Array(Number(size)).fill(7);
  let sum = 0;
  Atomics.add(counts, ${READY}, 1);
  /* ${role} */
  ${loop}`;
const consumed = `sum += delivery.value[0] + delivery.value[delivery.value.length - 1]; delivery.acknowledge(); counts[mine]++;`;
const programs = {
  sync: [
    program('producer', 'for (;;) queue.sendSync(out);'),
    program('consumer', `for (;;) { const delivery = queue.receiveSync(); ${consumed} }`),
  ],
  async: [
    program('producer', 'for (;;) await queue.send(out);'),
    program('consumer', `for await (const delivery of queue) { ${consumed} }`),
  ],
};

/** @param {import('../harness/row.js').MeasureSide} side @param {'sync' | 'async'} voice */
async function measure({ prefix, memory, size, smoke }, voice) {
  process.env.VECINO_RUNTIME_DIR = `${memory}/channels`;
  const name = `queue-${process.pid}`;
  const queue = await Queue.open(name, { codec: 'bytes', capacity: CAPACITY, messageSize: size });
  const shared = SharedMemory.create(`${prefix}counts-${process.pid}`, 4096);
  const counts = new Int32Array(shared.buffer);
  const children = Array.from({ length: PRODUCERS + CONSUMERS }, (_, index) =>
    spawn(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        programs[voice][index < PRODUCERS ? 0 : 1],
        '--',
        name,
        String(shared.name),
        String(index),
        String(size),
      ],
      { cwd: fileURLToPath(new URL('..', import.meta.url)), stdio: ['ignore', 'inherit', 'inherit'] },
    ),
  );
  const received = () => {
    let sum = 0;
    for (let index = PRODUCERS; index < PRODUCERS + CONSUMERS; index++) sum += counts[STRIDE * (1 + index)];
    return sum;
  };
  try {
    while (Atomics.load(counts, READY) < PRODUCERS + CONSUMERS) {
      if (children.some(({ exitCode }) => exitCode !== null)) throw new Error('a process of the row ended');
      await setTimeout(1);
    }
    await setTimeout(smoke ? 50 : 500);
    const began = performance.now();
    const before = received();
    await setTimeout(smoke ? 50 : 1000);
    return { rate: (received() - before) / ((performance.now() - began) / 1e3) };
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
    queue.close();
    Queue.unlink(name);
    shared.unlink();
    shared.close();
  }
}

/** @satisfies {Partial<Row>} */
const common = {
  group: 'queue, 2 producers and 2 consumers',
  kinds: /** @type {Row['kinds']} */ (['measure']),
  sizes: [64, 1024],
  largest: 8192,
  metrics: /** @type {NonNullable<Row['metrics']>} */ ({ rate: { unit: '/s', better: 'more' } }),
};
/** @type {Row[]} */
export default [
  {
    ...common,
    name: 'queue-sync',
    about: `a Queue of ${CAPACITY} messages, sendSync and receiveSync, each acknowledged`,
    against: 'c-posix-queue-shared',
    targets: [
      { at: 64, atLeast: 1.5e6 },
      { at: 64, against: 'c-posix-queue-shared', atLeast: 1 },
      { at: 1024, against: 'c-posix-queue-shared', atLeast: 1.5 },
    ],
    measure: (side) => measure(side, 'sync'),
  },
  {
    ...common,
    name: 'queue-async',
    about: `a Queue of ${CAPACITY} messages, send and for await`,
    against: 'c-posix-queue-shared',
    measure: (side) => measure(side, 'async'),
  },
  {
    ...common,
    name: 'c-posix-queue-shared',
    about: 'a POSIX queue of 10 messages, the usual limit, in C, blocking; nothing to acknowledge',
    c: { source: 'posix-queue-shared.c' },
  },
];
