// @ts-check
/** The servers of the lab under load: many open connections, a few of which ask at the same time. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @typedef {import('../harness/row.js').Row} Row */
const program = fileURLToPath(new URL('../load.mjs', import.meta.url));
/** Descriptors beyond the connections' that a process needs. */
const SPARE = 200;

/**
 * @param {string} form @param {number} connections @param {number} requests @param {string} [against] @returns {Row}
 */
function row(form, connections, requests, against) {
  const descriptors = connections + SPARE;
  return {
    name: `servers-${form}-${connections}`,
    group: 'servers',
    about: `${form}: ${connections} open connections, 16 at a time echo 64 bytes`,
    kinds: ['measure'],
    anywhere: true,
    limit: 120,
    ...(against === undefined ? {} : { against }),
    metrics: {
      p99: { unit: 'ns', better: 'less' },
      p50: { unit: 'ns', better: 'less' },
      perSecond: { unit: 'x', better: 'more' },
      memory: { unit: 'B', better: 'less' },
      connections: { unit: 'x', better: 'more' },
      errors: { unit: 'x', better: 'less' },
    },
    targets: [
      { metric: 'errors', atMost: 0 },
      { metric: 'connections', atLeast: connections },
    ],
    setUp() {
      const hard = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
      if (hard === 'unlimited' || Number(hard) >= descriptors || process.getuid?.() === 0) return undefined;
      return `${descriptors} descriptors are needed, and the hard limit of this process is ${hard} (ulimit -Hn)`;
    },
    async measure(side) {
      const count = side.smoke ? Math.max(4, connections / 20) : connections;
      const { stdout } = await side.command(
        'prlimit',
        `--nofile=${descriptors}`,
        process.execPath,
        program,
        form,
        join(side.folder, `${process.pid}-server.sock`),
        String(count),
        String(side.smoke ? Math.ceil(requests / 20) : requests),
      );
      const result = JSON.parse(stdout);
      return {
        p99: result.latency.p99,
        p50: result.latency.p50,
        perSecond: result.requestsPerSecond,
        memory: result.memoryPerConnection,
        connections: result.connections,
        errors: result.errors,
      };
    },
  };
}

export default [
  row('epoll', 5000, 50_000),
  row('select', 800, 10_000, 'servers-epoll-5000'),
  row('polling', 800, 2_000, 'servers-epoll-5000'),
  row('epoll', 20, 20_000),
  row('process-per-connection', 20, 20_000, 'servers-epoll-20'),
];
