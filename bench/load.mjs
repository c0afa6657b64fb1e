// @ts-check
/**
 * A server of the lab and the load on it, for rows/servers.mjs:  node load.mjs FORM PATH CONNECTIONS REQUESTS
 *
 * A process of its own, so that prlimit(1) can raise its limit of descriptors and, by inheritance, the server's.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { load } from '../dist/lab/servers/load.js';

const SIZE = 64;
const CONCURRENCY = 16;
const [form, path, ...numbers] = process.argv.slice(2);
const [connections, requests] = numbers.map(Number);
const program = fileURLToPath(new URL('../dist/lab/servers/main.js', import.meta.url));

/** Bytes of memory that a process and its children have for themselves (what is shared is divided by its users). @param {number} pid @returns {number} */
function memory(pid) {
  const own = Number(/^Pss:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) * 1024;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return children.reduce((sum, child) => sum + memory(child), own);
}

const server = spawn(process.execPath, [program, form, '--listen', `unix:${path}`, '--children', String(connections)], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const ended = once(server, 'exit');
try {
  await Promise.race([
    once(server.stdout, 'data'),
    ended.then(() => Promise.reject(new Error('the server has ended'))),
  ]);
  const pid = /** @type {number} */ (server.pid);
  const address = /** @type {const} */ ({ kind: 'unix', path });
  // It does once what it will do often, so that its code is not counted as memory of connections.
  await load({ address, connections: 1, concurrency: 1, requests: form === 'polling' ? 20 : 500, size: SIZE });
  const before = memory(pid);
  let open = before;
  const { firstError, ...result } = await load({
    address,
    connections,
    concurrency: Math.min(CONCURRENCY, connections),
    requests,
    size: SIZE,
    onOpen: () => {
      open = memory(pid);
    },
  });
  if (firstError !== undefined) throw firstError;
  console.log(JSON.stringify({ ...result, memoryPerConnection: (open - before) / connections }));
} finally {
  server.kill();
  await ended;
}
