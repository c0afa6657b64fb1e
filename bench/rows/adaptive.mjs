// @ts-check
/** The form that people write: `await` with the default options, beside a fixed time of looking and beside sleeping at once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect, listen } from 'vecino';
import { SharedMemory } from 'vecino/memory';

/** @typedef {import('../harness/row.js').Row} Row */
const SPINS = /** @type {const} */ ({ default: undefined, 'spin-50': 50, 'spin-0': 0 });
/** @typedef {keyof typeof SPINS} Spin */
/** @param {Spin} spin */
const options = (spin) => (SPINS[spin] === undefined ? {} : { spin: SPINS[spin] });
const NEARLY_ALWAYS = 0.95;

/** @param {any} connection @returns {import('../harness/row.js').AsyncPort} */
const port = (connection) => ({
  voice: 'async',
  send: (message) => connection.send(message),
  receive: () => connection.receive(),
});
/** @param {string} name @param {Spin} spin @param {Partial<Row>} more @returns {Row} */
const pingPong = (name, spin, more) => ({
  name: `${name}-${spin}`,
  group: 'adaptive',
  about: `await send and await receive, ${spin === 'default' ? 'default options' : spin.replace('-', ': ')}`,
  kinds: ['round-trip'],
  sizes: [64],
  bothCores: true,
  async ask(side) {
    process.env['VECINO_RUNTIME_DIR'] = side.folder;
    const listener = await listen(`adaptive-${process.pid}`, { codec: 'bytes', ...options(spin) });
    side.startPeer({ arguments: [listener.name] });
    const connection = await listener.accept();
    listener.close();
    return port(connection);
  },
  async answer(side) {
    process.env['VECINO_RUNTIME_DIR'] = side.folder;
    return port(await connect(/** @type {string} */ (side.arguments[0]), { codec: 'bytes', ...options(spin) }));
  },
  ...more,
});
/** 20 messages, then 2 ms in which nobody says anything. */
const burst = { length: 20, pause: 2 };

const PAIRS = 4;
const STRIDE = 32;
/** One side of a pair: it counts its round trips, or messages, and tells its processor time when it is asked to. */
const PROGRAM = `
  import { setTimeout as delay } from 'node:timers/promises';
  import { connect, listen } from 'vecino';
  import { SharedMemory } from 'vecino/memory';
  const [, what, role, name, memory, index, options] = process.argv;
  const counts = new Int32Array(SharedMemory.open(memory).buffer);
  const given = { codec: 'bytes', ...JSON.parse(options) };
  const message = new Uint8Array(64).fill(7);
  let connection;
  if (role === 'ask') {
    const listener = await listen(name, given);
    process.stdout.write('.');
    connection = await listener.accept();
    listener.close();
  } else {
    connection = await connect(name, given);
  }
  const mine = ${STRIDE} * (1 + Number(index));
  Atomics.add(counts, 0, 1);
  if (what === 'trickle') {
    const used = () => { const { user, system } = process.cpuUsage(); counts[mine + 1] = user + system; };
    if (role === 'ask') for (;;) { await connection.send(message); counts[mine]++; used(); await delay(10); }
    else for (;;) { await connection.receive(); used(); }
  } else if (role === 'ask') {
    for (;;) { await connection.send(message); await connection.receive(); counts[mine]++; }
  } else {
    for (;;) { await connection.receive(); await connection.send(message); }
  }`;

/**
 * Runs pairs of processes, on both cores, and compares what they have counted before and after.
 *
 * @template T
 * @param {import('../harness/row.js').MeasureSide} side @param {'pairs' | 'trickle'} what @param {number} pairs @param {Spin} spin
 * @param {(difference: (word: number) => number, seconds: number) => T} figures
 */
async function measure(side, what, pairs, spin, figures) {
  const env = { ...process.env, VECINO_RUNTIME_DIR: side.folder };
  const shared = SharedMemory.create(`${side.prefix}adaptive-${process.pid}`, 4096);
  const counts = new Int32Array(shared.buffer);
  /** @type {import('node:child_process').ChildProcess[]} */
  const children = [];
  const start = (/** @type {string} */ role, /** @type {number} */ index) => {
    const name = `${what}-${process.pid}-${index >> 1}`;
    const given = [what, role, name, String(shared.name), String(index), JSON.stringify(options(spin))];
    const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM, '--', ...given], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    return child;
  };
  const sum = (/** @type {number} */ word) => {
    let all = 0;
    for (let index = 0; index < 2 * pairs; index++) all += counts[STRIDE * (1 + index) + word];
    return all;
  };
  try {
    for (let pair = 0; pair < pairs; pair++) {
      const asking = start('ask', 2 * pair);
      await Promise.race([
        once(/** @type {import('node:stream').Readable} */ (asking.stdout), 'data'),
        once(asking, 'exit'),
      ]);
      start('answer', 2 * pair + 1);
    }
    while (Atomics.load(counts, 0) < 2 * pairs) {
      if (children.some(({ exitCode }) => exitCode !== null)) throw new Error('a process of the row ended');
      await delay(1);
    }
    await delay(side.smoke ? 50 : 500);
    const before = [sum(0), sum(1)];
    const began = performance.now();
    await delay(side.smoke ? 100 : what === 'trickle' ? 3000 : 1000);
    return figures((word) => sum(word) - before[word], (performance.now() - began) / 1e3);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
    shared.unlink();
    shared.close();
  }
}
/** @param {Spin} spin @param {Partial<Row>} more @returns {Row} */
const pairs = (spin, more) => ({
  name: `four-pairs-${spin}`,
  group: 'adaptive, four pairs on two cores',
  about: `round trips of four pairs together, ${spin}`,
  kinds: ['measure'],
  metrics: { roundTrips: { unit: '/s', better: 'more' } },
  measure: (side) =>
    measure(side, 'pairs', PAIRS, spin, (difference, seconds) => ({ roundTrips: difference(0) / seconds })),
  ...more,
});
/** @param {Spin} spin @param {Partial<Row>} more @returns {Row} */
const trickle = (spin, more) => ({
  name: `trickle-${spin}`,
  group: 'adaptive, a message each 10 ms',
  about: `processor time of both sides for a message, ${spin}`,
  kinds: ['measure'],
  metrics: { time: { unit: 'ns', better: 'less' } },
  measure: (side) =>
    measure(side, 'trickle', 1, spin, (difference) => ({ time: (difference(1) * 1e3) / difference(0) })),
  ...more,
});

/** @type {Row[]} */
export default [
  pingPong('await', 'default', {
    against: ['await-spin-50', 'await-spin-0'],
    targets: [
      { against: 'await-spin-50', atMost: 1.5, inRuns: NEARLY_ALWAYS },
      { metric: 'p99', atMost: 15e3, inRuns: NEARLY_ALWAYS },
    ],
  }),
  pingPong('await', 'spin-50', {}),
  pingPong('await', 'spin-0', {}),
  pingPong('burst', 'default', {
    burst,
    against: ['burst-spin-50', 'burst-spin-0'],
    targets: [
      { against: 'burst-spin-50', atMost: 1.2 },
      { metric: 'p99', against: 'burst-spin-50', atMost: 1 },
    ],
  }),
  pingPong('burst', 'spin-50', { burst }),
  pingPong('burst', 'spin-0', { burst }),
  pairs('default', { against: ['four-pairs-spin-0'], targets: [{ against: 'four-pairs-spin-0', atLeast: 1 }] }),
  pairs('spin-0', {}),
  trickle('default', { against: ['trickle-spin-0'], targets: [{ against: 'trickle-spin-0', atMost: 1.2 }] }),
  trickle('spin-0', {}),
];
