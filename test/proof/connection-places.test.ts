/**
 * Processes that listen, connect and list under one name, as fast as they can, and are killed at random: there is never more than one
 * listener, whoever comes next gets the name, and the last leave nothing that the next look does not remove.
 */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { listChannels } from 'vecino';
import { mayhem } from '../support/mayhem.js';
import { temporaryFolder, uniqueName } from '../support/processes.js';

const KILLS = 25;
const runtime = temporaryFolder();
process.env['VECINO_RUNTIME_DIR'] = runtime;

const source = `
  import { setTimeout as delay } from 'node:timers/promises';
  import { connect, listChannels, listen } from 'vecino/channel';
  const [name] = rest;
  const options = { codec: 'json', capacity: 4096 };
  const gone = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ERR_VECINO_TIMEOUT', 'ERR_VECINO_PEER_DIED', 'ERR_VECINO_CLOSED'];
  const unless = (codes) => (error) => {
    if (!codes.includes(error.code)) throw error;
  };
  async function answer(connection) {
    for await (const value of connection) await connection.send(value);
    connection.close();
  }
  async function serve() {
    const listener = await listen(name, options);
    enter(0);
    const over = performance.now() + 20 * Math.random();
    while (performance.now() < over) {
      await listener.accept({ timeout: 5 }).then((connection) => void answer(connection).catch(unless(gone)), unless(gone));
    }
    leave(0);
    listener.close();
    progress(0);
  }
  async function ask() {
    const connection = await connect(name, { ...options, timeout: 1000 });
    try {
      await connection.send([process.pid]);
      const [pid] = await connection.receive({ timeout: 1000 });
      if (pid !== process.pid) throw new Error('an answer to ' + pid);
    } finally {
      connection.close();
    }
    progress(1);
  }
  for (;;) {
    await serve().catch(unless(['EADDRINUSE']));
    for (let i = 0; i < 3; i++) await ask().catch(unless(gone));
    for (const channel of listChannels()) {
      if (channel.name !== name || channel.participants.length > 255) throw new Error(JSON.stringify(channel));
    }
    progress(2);
    await delay(2 * Math.random());
  }`;

test(`Connection: ${KILLS} kills of processes that listen, connect and list`, { timeout: 600_000 }, async () => {
  const name = uniqueName();
  const clashes = await mayhem({ source, args: () => [name], kinds: 3, kills: KILLS });
  assert.deepEqual(clashes, [0, 0, 0]);
  // Those that were killed while they made a folder leave it to whoever lists when nobody can be making it any more.
  for (const each of readdirSync(runtime)) utimesSync(join(runtime, each), 1, 1);
  assert.deepEqual(listChannels(), []);
  assert.deepEqual(readdirSync(runtime), []);
});
