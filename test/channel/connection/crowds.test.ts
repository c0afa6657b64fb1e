/** Many at a time: strangers that say nothing, bursts, too few descriptors. Nobody who speaks is sent away because of others. */
import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, connect, listen, type UnixSocket, unix } from 'vecino';
import { MAX_SILENCE_MS, MAX_SILENT } from '#src/channel/connection/strangers.js';
import { root, start, startScript, temporaryFolder, uniqueName } from '../../support/processes.js';

const runtime = temporaryFolder();
process.env['VECINO_RUNTIME_DIR'] = runtime;
const limit = { timeout: 120_000 };
const silent = (name: string) => unix.connect(join(runtime, name, 'socket'), { type: 'seqpacket' });

test(
  'Listener: somebody who speaks is served at once behind hundreds of strangers that say nothing',
  limit,
  async () => {
    const name = uniqueName();
    await using listener = await listen(name, { codec: 'text' });
    const accepted = (async () => {
      const connection = await listener.accept();
      await connection.send(await connection.receive());
      return connection;
    })();
    const mute: UnixSocket[] = [];
    for (let i = 0; i < 4 * MAX_SILENT + 64; i++) mute.push(await silent(name));
    const begin = performance.now();
    const mine = await connect<string>(name, { codec: 'text' });
    await mine.send('hello');
    assert.equal(await mine.receive(), 'hello');
    // Sooner than the first of them would have been sent away for its silence alone.
    assert.ok(performance.now() - begin < MAX_SILENCE_MS, `${performance.now() - begin} ms`);
    (await accepted).close();
    mine.close();
    for (const each of mute) each.close();
  },
);

test(
  'Listener: beyond the limit the strangers that have been silent for longest are sent away, and no others',
  limit,
  async () => {
    const name = uniqueName();
    await using listener = await listen(name, { codec: 'text' });
    const accepted = listener.accept();
    const mute: UnixSocket[] = [];
    for (let i = 0; i < MAX_SILENT + 10; i++) mute.push(await silent(name));
    for (const [i, each] of mute.entries()) if (i < 10) assert.equal(await each.receive(), null, `stranger ${i}`);
    for (const each of mute.slice(10)) assert.equal(each.tryReceive(), undefined);
    const mine = await connect(name, { codec: 'text' });
    (await accepted).close();
    mine.close();
    for (const each of mute) each.close();
  },
);

test(
  'Listener: connect: one that is sent away because it was slow to speak among many that are silent connects again',
  limit,
  async () => {
    const name = uniqueName();
    await using listener = await listen(name, { codec: 'text' });
    const accepted = listener.accept();
    // It connects and is stopped before it can speak, as far as the listener can tell.
    const peer = startScript(
      `
    import { connect, unix } from 'vecino';
    import { native } from '#src/system/native.js';
    const { connect: call } = native;
    native.connect = (...args) => {
      native.connect = call;
      const result = call(...args);
      process.kill(process.pid, 'SIGSTOP');
      return result;
    };
    console.log('up');
    const connection = await connect('${name}', { codec: 'text' });
    await connection.send('served');
    connection.close();`,
      [],
      { env: { ...process.env, VECINO_RUNTIME_DIR: runtime } },
    );
    await peer.line();
    const { readFileSync } = await import('node:fs');
    while (!/^State:\tT/m.test(readFileSync(`/proc/${peer.pid}/status`, 'utf8'))) await sleep(1);
    const mute: UnixSocket[] = [];
    for (let i = 0; i < 2 * MAX_SILENT; i++) mute.push(await silent(name));
    while (mute[0]!.tryReceive() === undefined) await sleep(1); // the next of them has been sent away, so the first one has
    process.kill(peer.pid, 'SIGCONT');
    const connection = (await accepted) as Connection<string>;
    assert.equal(await connection.receive(), 'served');
    connection.close();
    assert.equal((await peer.ended).stderr, '');
    for (const each of mute) each.close();
  },
);

test(
  'Listener: connect: thousands at once from one process are all served, with two descriptors each at most on their way',
  limit,
  async () => {
    const name = uniqueName();
    const many = 1500;
    const server = startScript(
      `
    import { listen } from 'vecino';
    const listener = await listen('${name}', { codec: 'text', capacity: 4096 });
    console.log('up');
    const echo = async (connection) => {
      for await (const text of connection) await connection.send(text);
      connection.close();
    };
    for await (const connection of listener) void echo(connection).catch(() => connection.close());`,
      [],
      { env: { ...process.env, VECINO_RUNTIME_DIR: runtime } },
    );
    await server.line();
    const served = await Promise.all(
      Array.from({ length: many }, async (_, i) => {
        const connection = await connect<string>(name, { codec: 'text', capacity: 4096, timeout: 100_000 });
        try {
          await connection.send(`${i}`);
          return await connection.receive();
        } finally {
          connection.close();
        }
      }),
    );
    assert.deepEqual(
      served,
      Array.from({ length: many }, (_, i) => `${i}`),
    );
    await server.kill();
  },
);

test(
  'Listener: connect: those that wait for their turn have their own time-outs and aborts, and come in order',
  limit,
  async () => {
    const name = uniqueName();
    await using listener = await listen(name, { codec: 'text' });
    const first = Array.from({ length: 64 }, () => connect(name, { codec: 'text' })); // nobody accepts them yet
    const begin = performance.now();
    await assert.rejects(connect(name, { codec: 'text', timeout: 20 }), { code: 'ERR_VECINO_TIMEOUT' });
    assert.ok(performance.now() - begin >= 19);
    const reason = new Error('enough');
    const controller = new AbortController();
    const aborted = assert.rejects(connect(name, { codec: 'text', signal: controller.signal }), reason);
    const last = connect(name, { codec: 'text' });
    setImmediate(() => controller.abort(reason));
    await aborted;
    for (let i = 0; i < 65; i++) (await listener.accept()).close();
    for (const each of await Promise.all([...first, last])) each.close();
  },
);

test(
  'Listener: with no descriptor left it neither fails nor spins, says so once, and serves who has waited when there are some',
  limit,
  async () => {
    const name = uniqueName();
    const script = `
    import { listen } from 'vecino';
    import { closeSync, openSync } from 'node:fs';
    import { createInterface } from 'node:readline';
    const listener = await listen('${name}', { codec: 'text' });
    process.on('warning', (warning) => console.log(warning.code));
    const taken = [];
    const lines = createInterface(process.stdin);
    lines.on('line', (line) => {
      if (line === 'use') console.log(JSON.stringify(process.cpuUsage(before)));
      else for (let i = 0; i < Number(line); i++) closeSync(taken.pop());
    });
    try { for (;;) taken.push(openSync('/dev/null')); } catch {}
    const before = process.cpuUsage();
    console.log('full');
    const keep = [];
    for await (const connection of listener) {
      keep.push(connection);
      await connection.send('served');
    }`;
    const server = start(
      'sh',
      ['-c', 'ulimit -n 200; exec "$0" --no-warnings --input-type=module --eval "$1"', process.execPath, script],
      { cwd: root, env: { ...process.env, VECINO_RUNTIME_DIR: runtime } },
    );
    assert.equal(await server.line(), 'full');
    const waiting = Array.from({ length: 3 }, () => connect<string>(name, { codec: 'text' }));
    assert.equal(await server.line(), 'VECINO_NO_DESCRIPTORS');
    await sleep(300); // what it does meanwhile is what is asked for
    server.write('use\n');
    const { user, system } = JSON.parse(await server.line());
    assert.ok(user + system < 250_000, `${user + system} microseconds of processor time for waiting`);
    // The last one that there is serves one of them: its memory needs a second one only for a moment.
    server.write('1\n');
    const first = await Promise.race(waiting);
    assert.equal(await first.receive(), 'served');
    server.write('2\n');
    for (const each of await Promise.all(waiting)) {
      if (each !== first) assert.equal(await each.receive(), 'served');
      each.close();
    }
    await server.kill();
  },
);
