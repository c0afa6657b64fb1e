import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as window } from 'node:timers/promises';
import { startScript, temporaryFolder, uniqueName } from '../../support/processes.js';
import { asleep, switches } from '../../support/tasks.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const COUNT = 1000;
const CAPACITY = 4096;
/** Both rings, and the page before them. */
const SIZE = 4096 + 2 * CAPACITY;

/** Opens the connections, waits on each for a message, and says how many descriptors each costs; then how all of those waits ended. */
const side = (role: 'accept' | 'connect', name: string) => `
  import { readdirSync } from 'node:fs';
  import { connect, listen } from 'vecino';
  const options = { codec: 'bytes', capacity: ${CAPACITY} };
  const count = () => readdirSync('/proc/self/fd').length;
  const listener = ${role === 'accept'} && await listen('${name}', options);
  if (listener) {
    console.log('up');
    listener.accept({ timeout: 1 }).catch(() => {}); // what waiting for one needs is there, and counted apart
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const before = count();
  const connections = [];
  while (connections.length < ${COUNT}) connections.push(await (listener ? listener.accept() : connect('${name}', options)));
  const open = count() - before;
  const waits = connections.map((connection) => connection.receive());
  await new Promise(setImmediate);
  console.log(open, count() - before);
  const ends = await Promise.allSettled(waits);
  console.log(ends.filter(({ reason }) => reason?.code === 'ERR_VECINO_PEER_DIED').length);
  for (const connection of connections) connection.close();
  console.log(count() - before);
  process.exit(0);`;
function mappings(pid: number): number[] {
  return [...readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(/^(\w+)-(\w+) .*memfd:vecino/gm)].map(
    ([, from, to]) => Number.parseInt(to!, 16) - Number.parseInt(from!, 16),
  );
}

test(`${COUNT} idle connections: a descriptor and their rings for each, and no wake-up at all; one death ends them all`, {
  timeout: 120_000,
}, async () => {
  const name = uniqueName();
  const server = startScript(side('accept', name));
  assert.equal(await server.line(), 'up');
  const client = startScript(side('connect', name));
  for (const each of [server, client]) {
    assert.equal(await each.line(), `${COUNT} ${COUNT}`);
    const sizes = mappings(each.pid);
    assert.equal(sizes.length, COUNT);
    assert.ok(sizes.every((size) => size === SIZE));
    await asleep(each.pid);
  }
  const now = () => [server, client].flatMap(({ pid }) => [...switches(pid)]);
  // The runtime tidies up after its start, and does that now and then for some time: wait for two seconds without any wake-up at all.
  // Whoever looked once a second, or for each connection, would never have them.
  for (let before = now(); ; ) {
    await window(2000);
    const after = now();
    if (JSON.stringify(before) === JSON.stringify(after)) break;
    before = after;
  }
  await client.kill();
  assert.equal(await server.line(), String(COUNT));
  assert.equal(await server.line(), '0');
  await server.ended;
});
