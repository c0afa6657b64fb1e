// @ts-check
/**
 * Topics: what a subscriber gets, and what publishing costs however many subscribe. The publisher never waits, so one that is faster than its
 * subscriber overwrites what that one has not read: the rate is of what was received, and `lost` is the share of what was not.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Topic } from 'vecino/channel';
import { heapOf, heapRow, ROUND } from '../harness/heap.mjs';
import { pinned } from '../harness/pinned.mjs';

/** @typedef {import('../harness/row.js').Row} Row */
const bench = fileURLToPath(new URL('..', import.meta.url));
/** Room for the messages of some milliseconds, so that a subscriber that is interrupted for a moment loses nothing. */
const CAPACITY = 2 ** 22;

/** The two processors that this run has. */
function processors() {
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const all = list.split(',').flatMap((range) => {
    const [from, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
  return [all[0], all[all.length - 1]];
}
/** Starts a script on one processor; its lines of output. @param {number} cpu @param {string} source @param {string[]} args */
function run(cpu, source, ...args) {
  const [file, ...rest] = pinned([cpu], process.execPath, '--input-type=module', '--eval', source, '--', ...args);
  const child = spawn(file, rest, { cwd: bench, stdio: ['pipe', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8');
  const line = async () => {
    while (!text.includes('\n')) {
      const [more] = await Promise.race([once(child.stdout, 'data'), once(child.stdout, 'end')]);
      if (more === undefined) throw new Error('a process of the run has ended');
      text += more;
    }
    const end = text.indexOf('\n');
    const first = text.slice(0, end);
    text = text.slice(end + 1);
    return first;
  };
  const ended = once(child, 'exit');
  return { child, line, ended };
}

const DRAIN = `
  import { Topic } from 'vecino/channel';
  const [, name, size, warmUp, duration] = process.argv;
  const topic = await Topic.open(name, { codec: 'bytes' });
  const subscription = topic.subscribe();
  // As connection-spin's reader does: by four, and what is longer by set.
  const copy = new Uint8Array(Number(size));
  const words = new Int32Array(copy.buffer);
  let last, shared, sum = 0;
  const visit = (memory, offset, length) => {
    if (length > 256) return void copy.set(memory.subarray(offset, offset + length));
    if (memory !== last) {
      last = memory;
      shared = new Int32Array(memory.buffer);
    }
    for (let i = 0, from = offset >> 2, count = length >> 2; i < count; i += 4, from += 4) {
      words[i] = shared[from];
      words[i + 1] = shared[from + 1];
      words[i + 2] = shared[from + 2];
      words[i + 3] = shared[from + 3];
    }
  };
  console.log('ready');
  const drain = (milliseconds) => {
    for (const end = performance.now() + milliseconds; performance.now() < end; ) for (let i = 0; i < 50; i++) {
      // A look takes the publisher's cache line away, so one that found nothing is not repeated at once.
      if (subscription.drain(visit, 1000) === 0) for (let j = 0; j < 400; j++) sum = (sum * 31 + j) | 0;
    }
  };
  while (subscription.received === 0) drain(1);
  drain(Number(warmUp));
  const { received, lost } = subscription;
  const began = performance.now();
  drain(Number(duration));
  const seconds = (performance.now() - began) / 1e3;
  const [got, missed] = [subscription.received - received, subscription.lost - lost];
  console.log(JSON.stringify({ rate: got / seconds, lost: missed / (got + missed), sum }));
  topic.close();
  process.exit(0);`;
const SLEEP = `
  import { Topic } from 'vecino/channel';
  const topic = await Topic.open(process.argv[1], { codec: 'bytes', spin: 0 });
  const subscription = topic.subscribe();
  console.log('ready');
  if (process.argv[2] === 'idle') await new Promise((resolve) => process.stdin.once('data', resolve));
  else for await (const bytes of subscription) if (bytes.length === 1) break;
  process.exit(0);`;
const PUBLISH = `
  import { Topic } from 'vecino/channel';
  const [, name, size, warmUp, duration] = process.argv;
  const topic = await Topic.open(name, { codec: 'bytes' });
  const bytes = new Uint8Array(Number(size));
  const words = new Int32Array(bytes.buffer);
  const batch = (count) => {
    for (let i = 0; i < count; i++) {
      words[0] = i; // and no more: to fill it takes as long as to publish it
      topic.tryPublish(bytes);
    }
  };
  const costs = [];
  const began = performance.now();
  let processor = 0, count = 0;
  for (let now = began; now < began + Number(warmUp) + Number(duration); ) {
    const before = process.cpuUsage();
    batch(1000);
    const used = process.cpuUsage(before);
    const after = performance.now();
    if (now > began + Number(warmUp)) {
      costs.push((after - now) / 1000 * 1e6);
      processor += used.user + used.system;
      count += 1000;
    }
    now = after;
  }
  topic.tryPublish(new Uint8Array(1));
  costs.sort((a, b) => a - b);
  const mean = costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
  console.log(JSON.stringify({ p50: costs[costs.length >> 1], mean, processor: (processor / count) * 1e3 }));
  process.stdin.once('data', () => process.exit(0));`;

/** @param {import('../harness/row.js').MeasureSide} side */
const extent = ({ smoke }) => (smoke ? ['20', '50'] : ['300', '700']);
/** @param {import('../harness/row.js').MeasureSide} side @param {(name: string) => Promise<Record<string, number>>} measure */
async function within(side, measure) {
  process.env.VECINO_RUNTIME_DIR = `${side.memory}/channels`;
  const name = `${side.prefix}topic`;
  const topic = await Topic.open(name, { codec: 'bytes', capacity: CAPACITY });
  try {
    return await measure(name);
  } finally {
    topic.close();
  }
}

/** @param {string} name @param {string} about @param {number} count @param {'sleeping' | 'idle'} how @returns {Row} */
function cost(name, about, count, how) {
  return {
    name,
    group: 'topic, cost of a publication',
    about,
    kinds: ['measure'],
    sizes: [64],
    metrics: {
      p50: { unit: 'ns', better: 'less' },
      mean: { unit: 'ns', better: 'less' },
      processor: { unit: 'ns', better: 'less' },
    },
    ...(count === 1 ? {} : { against: `topic-1-${how}`, targets: [{ against: `topic-1-${how}`, atMost: 1.25 }] }),
    measure: (side) =>
      within(side, async (topic) => {
        const [mine, theirs] = processors();
        const subscribers = Array.from({ length: count }, () => run(theirs, SLEEP, topic, how));
        for (const { line } of subscribers) await line();
        await delay(50);
        const publisher = run(mine, PUBLISH, topic, String(side.size), ...extent(side));
        const figures = JSON.parse(await publisher.line());
        for (const { child } of subscribers) if (how === 'idle') child.stdin.write('.');
        for (const { child, ended } of subscribers) {
          if (how === 'sleeping') child.kill(); // one that has lost the last message waits for ever
          await ended;
        }
        publisher.child.stdin.write('.');
        await publisher.ended;
        return figures;
      }),
  };
}

/** @type {Row[]} */
export default [
  {
    name: 'topic-spinning',
    group: 'topic',
    about: 'one publisher, tryPublish; one subscriber that spins on drain and copies every byte',
    kinds: ['measure'],
    sizes: [64, 1024],
    metrics: {
      rate: { unit: '/s', better: 'more' },
      lost: { unit: 'x', better: 'less' },
      publication: { unit: 'ns', better: 'less' },
    },
    targets: [
      { at: 64, atLeast: 8e6 },
      { at: 64, against: 'connection-spin', againstKind: 'one-way', atLeast: 0.8 },
      { at: 1024, against: 'connection-spin', againstKind: 'one-way', atLeast: 0.8 },
    ],
    measure: (side) =>
      within(side, async (topic) => {
        const [mine, theirs] = processors();
        const [warmUp, duration] = extent(side);
        const subscriber = run(theirs, DRAIN, topic, String(side.size), warmUp, duration);
        await subscriber.line();
        const publisher = run(mine, PUBLISH, topic, String(side.size), warmUp, String(Number(duration) * 2));
        const { rate, lost } = JSON.parse(await subscriber.line());
        const { p50 } = JSON.parse(await publisher.line());
        publisher.child.stdin.write('.');
        await Promise.all([subscriber.ended, publisher.ended]);
        return { rate, lost, publication: p50 };
      }),
  },
  cost('topic-1-sleeping', 'one subscriber in a loop that sleeps when there is nothing', 1, 'sleeping'),
  cost('topic-16-sleeping', 'sixteen of them, each a process', 16, 'sleeping'),
  cost('topic-1-idle', 'one subscriber that fetches nothing', 1, 'idle'),
  cost('topic-16-idle', 'sixteen of them', 16, 'idle'),
  {
    ...heapRow,
    name: 'topic-heap',
    group: 'topic, heap',
    about: 'heap that a message by tryPublish and drain allocates, over 10 million',
    measure: (side) =>
      within(side, async (name) => {
        const topic = await Topic.open(name, { codec: 'bytes' });
        const subscription = topic.subscribe();
        const bytes = new Uint8Array(side.size);
        let sum = 0;
        /** @type {import('vecino/channel').Visit} */
        const visit = (memory, offset) => {
          sum = (sum + memory[offset]) | 0;
        };
        const heap = await heapOf(() => {
          for (let i = 0; i < ROUND; i++) topic.tryPublish(bytes);
          subscription.drain(visit);
        }, side.smoke);
        topic.close();
        return heap;
      }),
  },
];
