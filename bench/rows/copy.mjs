// @ts-check
/** Copying a file of random bytes in memory: through each mechanism by `vecino copy`, and by the tools that everybody has. */

import { randomFillSync } from 'node:crypto';
import { closeSync, copyFileSync, existsSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {import('../harness/row.js').Row} Row
 * @typedef {import('../harness/row.js').MeasureSide} MeasureSide
 */
const MiB = 2 ** 20;
const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** @param {import('../harness/row.js').Place} place @param {number} size */
const sourceOf = ({ memory }, size) => join(memory, `source-${size}`);

/** @param {import('../harness/row.js').Place} place @param {number} size */
function makeSource(place, size) {
  const source = sourceOf(place, size);
  if (existsSync(source)) return undefined;
  const { bavail, bsize } = statfsSync(place.memory);
  const available = Number(/MemAvailable:\s*(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) * 1024;
  const needed = 2 * size + 256 * MiB;
  if (Math.min(bavail * bsize, available) < needed) {
    return `${Math.ceil(needed / MiB)} MiB of memory are needed in ${place.memory}; try a smaller --size`;
  }
  const file = openSync(source, 'wx');
  try {
    const block = Buffer.alloc(Math.min(size, 16 * MiB));
    for (let done = 0; done < size; ) {
      done += writeSync(file, randomFillSync(block), 0, Math.min(block.length, size - done));
    }
  } finally {
    closeSync(file);
  }
  // A virtual machine gets memory from its host when it first touches it: not in the first run, please.
  const touched = join(place.memory, 'touched');
  copyFileSync(source, touched);
  rmSync(touched);
  return undefined;
}
/**
 * @template T
 * @param {MeasureSide} side @param {(source: string, destination: string) => Promise<T>} copy
 */
async function copied(side, copy) {
  const source = sourceOf(side, side.size);
  const destination = join(side.memory, 'destination');
  try {
    const result = await copy(source, destination);
    await side.command('cmp', source, destination); // a copy that is not one has no speed
    return result;
  } finally {
    rmSync(destination, { force: true });
  }
}
/** @satisfies {Partial<Row>} */
const common = {
  group: 'copy of a file',
  kinds: /** @type {Row['kinds']} */ (['measure']),
  anywhere: true,
  sizes: [64 * MiB, 1024 * MiB],
  smokeSizes: [4 * MiB],
  limit: 120,
  setUp: makeSource,
};
/** @type {NonNullable<Row['metrics']>} */
const metrics = {
  time: { unit: 's', better: 'less' },
  speed: { unit: 'B/s', better: 'more' },
  maxRss: { unit: 'B', better: 'less' },
};

/**
 * @param {string} via @param {number} copies how often each byte is copied @param {Row['targets']} targets
 * @returns {Row}
 */
function vecino(via, copies, targets = []) {
  const name = `copy-${via}`;
  return {
    ...common,
    name,
    about: `vecino copy --via ${via}`,
    against: ['copy-dd', 'copy-cp'],
    metrics: { ...metrics, copies: { unit: 'x', better: 'less' } },
    targets: [
      ...targets,
      { metric: 'copies', atMost: copies },
      { metric: 'maxRss', at: 'largest', against: name, againstAt: 'smallest', atMost: 1.1 },
    ],
    measure: (side) =>
      copied(side, async (source, destination) => {
        const { stdout, maxRss } = await side.command(
          process.execPath,
          command,
          'copy',
          source,
          destination,
          '--via',
          via,
          '--json',
        );
        const { seconds, copiesPerByte } = JSON.parse(stdout);
        return { time: seconds, speed: side.size / seconds, maxRss, copies: Math.round(copiesPerByte * 100) / 100 };
      }),
  };
}
/**
 * @param {string} name @param {string} about @param {(source: string, destination: string) => string[]} words
 * @returns {Row}
 */
function tool(name, about, words) {
  return {
    ...common,
    name: `copy-${name}`,
    about,
    metrics,
    measure: (side) =>
      copied(side, async (source, destination) => {
        const [file, ...args] = words(source, destination);
        const { seconds, maxRss } = await side.command(file, ...args);
        return { time: seconds, speed: side.size / seconds, maxRss };
      }),
  };
}

export default [
  vecino('pipe', 4),
  vecino('fifo', 4),
  vecino('unix', 4),
  vecino('tcp', 4),
  vecino('posix-queue', 4),
  vecino('sysv-queue', 4),
  vecino('shared-memory', 2, [
    { against: 'copy-pipe', at: 'largest', atMost: 0.5 },
    { against: 'copy-dd', at: 'largest', atMost: 1 },
  ]),
  vecino('descriptor', 0, [{ against: 'copy-cp', at: 'largest', atMost: 1 }]),
  tool('dd', 'dd bs=1M', (from, to) => ['dd', `if=${from}`, `of=${to}`, 'bs=1M', 'status=none']),
  tool('cp', 'cp', (from, to) => ['cp', from, to]),
  tool('cat', 'cat into a new file', (from, to) => ['sh', '-c', 'exec cat -- "$1" > "$2"', 'sh', from, to]),
];
