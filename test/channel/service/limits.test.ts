import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { client, serve, TimeoutError } from 'vecino';
import {
  root,
  runOnSmallFileSystem,
  start,
  startScript,
  temporaryFolder,
  uniqueName,
} from '../../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const limit = { timeout: 60_000 };

test('Service: a full file system is ENOSPC for who would serve, and nothing to those who do', limit, async (t) => {
  const script = `
    import { client, serve } from '#src/channel/service/index.js';
    import { readdirSync, rmSync, writeFileSync } from 'node:fs';
    const folder = process.env.VECINO_RUNTIME_DIR;
    const there = await serve('there', { f: (value) => value });
    writeFileSync(folder + '/ballast', '');
    try { for (;;) writeFileSync(folder + '/ballast', Buffer.alloc(4096), { flag: 'a' }); } catch {}
    await serve('new', { f() {} }).catch((error) => console.log(error.code));
    const c = await client('there');
    console.log((await c.f('x'.repeat(1e6))).length);
    c.close();
    rmSync(folder + '/ballast');
    const service = await serve('new', { f() {} });
    service.close();
    there.close();
    console.log(readdirSync(folder).length);`;
  const outcome = await runOnSmallFileSystem('1m', script);
  if (outcome === undefined) return t.skip('this machine lets no test mount a file system');
  const { code, stdout, stderr } = outcome;
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(stdout.trim().split('\n'), ['ENOSPC', '1000000', '0']);
});

test(
  'Service: with few descriptors or none each step fails clearly, nothing leaks, and it works once there are some',
  limit,
  async () => {
    const script = `
    import { client, serve } from '#src/channel/service/index.js';
    import { closeSync, openSync, readdirSync } from 'node:fs';
    import { setTimeout as sleep } from 'node:timers/promises';
    const count = () => readdirSync('/proc/self/fd').length;
    const handlers = { f: () => 1, async *g() { yield 1; } };
    { // what is opened lazily is open after this
      const service = await serve('warm', handlers);
      const c = await client('warm', { reconnect: true });
      await c.f();
      c.close();
      await client('none', { reconnect: true, timeout: 10 }).catch(() => {});
      service.close();
    }
    const before = count();
    const errors = new Set();
    let worked = 0;
    for (let free = 0; free < 20; free++) {
      const taken = [];
      try { for (;;) taken.push(openSync('/dev/null')); } catch {}
      for (let i = 0; i < free; i++) closeSync(taken.pop());
      let service, c;
      try {
        service = await serve('limit', handlers);
        c = await client('limit', { timeout: 500, reconnect: free % 2 === 1 });
        if (await c.f() !== 1) throw new Error('wrong');
        for await (const value of c.g()) if (value !== 1) throw new Error('wrong');
        worked++;
      } catch (error) { errors.add(error.code ?? error.stack); }
      finally {
        c?.close();
        service?.close();
        for (const fd of taken) closeSync(fd);
      }
      for (let i = 0; i < 1000 && count() !== before; i++) await sleep(1);
      if (count() !== before) console.log('leaked', free, count() - before);
    }
    console.log(worked > 0 && errors.has('EMFILE'), [...errors].filter((each) => !/^(EMFILE|ERR_VECINO_(TIMEOUT|PEER_DIED|CLOSED))$/.test(each)).join());
    process.exit();`;
    const { code, stdout, stderr } = await start(
      'sh',
      ['-c', 'ulimit -n 64; exec "$0" --no-warnings --input-type=module --eval "$1"', process.execPath, script],
      { cwd: root },
    ).ended;
    assert.deepEqual([code, stdout.trim(), stderr], [0, 'true', '']);
  },
);

test('Service: what is answered immediately before the end of the process arrives', limit, async () => {
  for (const end of ['process.exit(0)', 'process.exit(1)', "process.kill(process.pid, 'SIGKILL')"]) {
    const name = uniqueName();
    const server = startScript(`
      import { serve } from '#src/channel/service/index.js';
      const end = () => { ${end}; };
      await serve('${name}', {
        last(length) { queueMicrotask(end); return 'x'.repeat(length); },
        async *values() { yield 1; yield 2; queueMicrotask(end); yield 3; await new Promise(() => {}); },
      });
      console.log('up');`);
    await server.line();
    const c = await client<{ last(length: number): string }>(name);
    await sleep(20); // asleep
    assert.equal((await c.last(5000)).length, 5000, end);
    c.close();
    await server.ended;
  }
});

test(
  'Service: connecting ends in time: with its time-out, with its signal, and with the client that waits',
  limit,
  async () => {
    for (const options of [{}, { reconnect: true }]) {
      const name = uniqueName();
      // Somebody is there who does not answer.
      const server = startScript(`
      import { serve } from '#src/channel/service/index.js';
      await serve('${name}', { f: () => 1 });
      console.log('up');`);
      await server.line();
      process.kill(server.pid, 'SIGSTOP');
      await assert.rejects(client(name, { ...options, timeout: 20 }), TimeoutError);
      const reason = new Error('enough');
      await assert.rejects(client(name, { ...options, signal: AbortSignal.abort(reason) }), reason);
      const controller = new AbortController();
      const waiting = client(name, { ...options, signal: controller.signal });
      setTimeout(() => controller.abort(reason), 20);
      await assert.rejects(waiting, reason);
      process.kill(server.pid, 'SIGCONT');
      const c = await client<{ f(): number }>(name, options);
      assert.equal(await c.f(), 1);
      await server.kill();
      c.close();
    }
    const nobody = uniqueName();
    await assert.rejects(client(nobody, { reconnect: true, timeout: 20 }), TimeoutError);
    const controller = new AbortController();
    const reason = new Error('enough');
    const waiting = client(nobody, { reconnect: true, signal: controller.signal });
    setTimeout(() => controller.abort(reason), 20);
    await assert.rejects(waiting, reason);
  },
);

test(
  'Service: a client that is stopped for a second is sent no more than it has asked for, and then gets all of it',
  limit,
  async () => {
    const name = uniqueName();
    let yielded = 0;
    const service = await serve(name, {
      long: () => 'x'.repeat(300_000),
      async *values() {
        for (;;) {
          yielded++;
          yield 'x'.repeat(1000);
        }
      },
    });
    const program = startScript(`
    import { client } from '#src/channel/service/index.js';
    const c = await client('${name}');
    const values = c.values();
    await values.next();
    console.log('up');
    process.stdin.once('data', async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => c.long()));
      console.log(answers.every((each) => each.length === 300000));
      let count = 0;
      for await (const value of values) if (++count === 500) break;
      console.log(count);
      c.close();
      process.exit();
    });`);
    await program.line();
    process.kill(program.pid, 'SIGSTOP');
    await sleep(1000);
    const before = yielded;
    assert.ok(before < 100, `${before} values for one who does not ask`);
    process.kill(program.pid, 'SIGCONT');
    program.write('go\n');
    assert.deepEqual([await program.line(), await program.line()], ['true', '500']);
    await program.ended;
    await service.shutdown();
  },
);
