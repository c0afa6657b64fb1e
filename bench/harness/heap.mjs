// @ts-check
/** What the heap grows by for each of millions of messages, and how often the collector ran, which would hide it. */
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Messages of a round. */
export const ROUND = 1000;
/** The rest of a row that measures it. */
export const heapRow = {
  kinds: /** @type {['measure']} */ (['measure']),
  sizes: [64],
  metrics: {
    bytes: { unit: /** @type {const} */ ('B'), better: /** @type {const} */ ('less') },
    collections: { unit: /** @type {const} */ ('x'), better: /** @type {const} */ ('less') },
  },
  anywhere: true,
  targets: [{ atMost: 0.01 }, { metric: 'collections', atMost: 0 }],
};

/** @param {() => void} round sends and receives {@link ROUND} messages @param {boolean} smoke */
export async function heapOf(round, smoke) {
  let collections = 0;
  let began = Number.POSITIVE_INFINITY;
  const observer = new PerformanceObserver((list) => {
    for (const { startTime } of list.getEntries()) if (startTime >= began) collections++;
  });
  /** @param {number} rounds */
  const work = (rounds) => {
    for (let i = 0; i < rounds; i++) round();
  };
  const rounds = smoke ? 500 : 10_000;
  work(rounds); // as long as what is measured: the compiler looks at what runs long, and its code is heap
  await delay(100); // what it does beside us ends
  work(100);
  observer.observe({ entryTypes: ['gc'] });
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')(); // so that what is there already causes none meanwhile
  await delay(10);
  began = performance.now();
  const before = process.memoryUsage().heapUsed;
  work(rounds);
  const after = process.memoryUsage().heapUsed;
  await delay(10); // a collection is told of late
  observer.disconnect();
  return { bytes: Math.max(0, after - before) / (rounds * ROUND), collections };
}
