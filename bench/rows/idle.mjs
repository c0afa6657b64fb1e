// @ts-check
/** What it costs to wait: a program that waits on one of everything, by the scheduler's own statistics. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../idle.mjs', import.meta.url));

/** @type {import('../harness/row.js').Row} */
export default {
  name: 'idle',
  group: 'idle',
  about: 'waits 5 s on a pipe, a FIFO, queues, sockets, an epoll and a signal: wake-ups of all threads, processor time',
  kinds: ['measure'],
  metrics: { wakeUps: { unit: 'x', better: 'less' }, time: { unit: 'ns', better: 'less' } },
  targets: [{ metric: 'wakeUps', atMost: 0 }],
  async measure(side) {
    const folder = mkdtempSync(join(side.folder, 'idle-'));
    const window = side.smoke ? 200 : 5000;
    const { stdout } = await side.command(process.execPath, program, folder, side.prefix, String(window));
    return JSON.parse(stdout);
  },
};
