import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Queue, SystemError } from 'vecino';
import { runOnSmallFileSystem, runScript } from '../../support/processes.js';
import { queueName } from './support.js';

const limit = { timeout: 60_000 };

test('Queue: without memory it is ENOSPC, and nothing is left', limit, async (context) => {
  const script = `
    import { Queue } from 'vecino';
    import { readdirSync } from 'node:fs';
    try { await Queue.open('large', { capacity: 1000, messageSize: 10000 }); } catch (error) { console.log(error.code, error.syscall); }
    console.log(readdirSync(process.env.VECINO_RUNTIME_DIR).length);
    const small = await Queue.open('small', { capacity: 10, messageSize: 100 });
    small.sendSync('x');
    console.log(small.receiveSync().value);
    small.close();`;
  const outcome = await runOnSmallFileSystem('1m', script);
  if (outcome === undefined) return context.skip('this machine lets no test mount a file system');
  const { code, stdout, stderr } = outcome;
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(stdout.trim().split('\n'), ['ENOSPC fallocate', '0', 'x']);
});

test('Queue: with no descriptor left it is EMFILE, and works again when there are', limit, async () => {
  const output = await runScript(
    `
    import { Queue } from 'vecino';
    import { openSync, closeSync } from 'node:fs';
    const queue = await Queue.open(process.argv[1]);
    queue.sendSync('x');
    const taken = [];
    const exhaust = () => { try { for (;;) taken.push(openSync('/dev/null')); } catch {} };
    exhaust();
    for (let free = 0; free < 12; free++) {
      try { (await Queue.open(process.argv[2])).close(); console.log('opened'); } catch (error) { if (error.code !== 'EMFILE') throw error; }
      closeSync(taken.pop());
      if (free === 0) exhaust();
    }
    exhaust();
    // What is open goes on, without a descriptor more: also the waiting.
    console.log(await queue.receive({ types: [9], timeout: 10 }).catch((error) => error.code));
    console.log((await queue.receive()).value);
    for (const fd of taken) closeSync(fd);
    console.log(await queue.receive({ timeout: 10 }).catch((error) => error.code));
    queue.close();`,
    [queueName(), queueName()],
    { env: { ...process.env } },
  );
  const lines = output.trim().split('\n');
  assert.ok(lines.includes('opened'), output);
  assert.deepEqual(lines.slice(-3), ['ERR_VECINO_TIMEOUT', 'x', 'ERR_VECINO_TIMEOUT']);
});

test('Queue: 256 have it open; one more is EADDRINUSE, until one closes', limit, async () => {
  const name = queueName();
  const queues: Queue<number>[] = [];
  try {
    for (let i = 0; i < 256; i++) queues.push(await Queue.open<number>(name, { capacity: 512 }));
    await assert.rejects(
      Queue.open(name),
      (error: unknown) => error instanceof SystemError && error.code === 'EADDRINUSE',
    );
    for (const [index, queue] of queues.entries()) queue.sendSync(index);
    const last = queues.pop()!;
    last.close();
    queues.push(await Queue.open<number>(name));
    for (const [index, queue] of queues.entries()) {
      const delivery = queue.tryReceive()!;
      assert.equal(delivery.value, index);
      delivery.acknowledge();
    }
  } finally {
    for (const queue of queues) queue.close();
  }
  assert.ok(existsSync(`${process.env['VECINO_RUNTIME_DIR']}/${name}`));
  assert.deepEqual(readdirSync(`${process.env['VECINO_RUNTIME_DIR']}/${name}`).sort(), ['control', 'slots']);
});
