// @ts-check
/** What it costs to wait: a program that waits on one of everything, by the scheduler's own statistics. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @param {string} name */
const program = (name) => fileURLToPath(new URL(`../${name}.mjs`, import.meta.url));

/** @type {import('../harness/row.js').Row} */
const everything = {
  name: 'idle',
  group: 'idle',
  about: 'waits 5 s on a pipe, a FIFO, queues, sockets, an epoll and a signal: wake-ups of all threads, processor time',
  kinds: ['measure'],
  anywhere: true,
  metrics: { wakeUps: { unit: 'x', better: 'less' }, time: { unit: 'ns', better: 'less' } },
  targets: [{ metric: 'wakeUps', atMost: 0 }],
  async measure(side) {
    const folder = mkdtempSync(join(side.folder, 'idle-'));
    const window = side.smoke ? 200 : 5000;
    const { stdout } = await side.command(process.execPath, program('idle'), folder, side.prefix, String(window));
    return JSON.parse(stdout);
  },
};
/** Their ends in one of two processes. `shared` is the memory of both, once for each connection. @type {import('../harness/row.js').Row} */
const connections = {
  name: 'idle-connections',
  group: 'idle, each connection',
  about:
    '1000 connections between two processes, all waiting: wake-ups and time of one side in 5 s; what one costs a side',
  kinds: ['measure'],
  anywhere: true,
  metrics: {
    wakeUps: { unit: 'x', better: 'less' },
    time: { unit: 'ns', better: 'less' },
    descriptors: { unit: 'x', better: 'less' },
    own: { unit: 'B', better: 'less' },
    shared: { unit: 'B', better: 'less' },
  },
  targets: [
    { metric: 'wakeUps', atMost: 0 },
    { metric: 'descriptors', atMost: 3 },
  ],
  async measure(side) {
    const count = side.smoke ? 50 : 1000;
    const window = side.smoke ? 200 : 5000;
    const folder = mkdtempSync(join(side.folder, 'idle-'));
    const numbers = [String(count), String(window)];
    const { stdout } = await side.command(
      process.execPath,
      '--expose-gc',
      program('idle-connections'),
      folder,
      'idle',
      ...numbers,
    );
    return JSON.parse(stdout);
  },
};

export default [everything, connections];
