import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runScript } from '../../support/processes.js';
import { queueName } from './support.js';

const PRELUDE = `
  import { execFileSync } from 'node:child_process';
  import { closeSync, openSync, readFileSync } from 'node:fs';
  import { listChannels, Queue } from 'vecino';
  import { native } from '#src/system/native.js';
  const [, name] = process.argv;
  const large = { capacity: 20000, messageSize: 8000 };
  const limit = (bytes) => execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + bytes + ':']);
  const size = () => Number(/VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
  const names = () => listChannels().map((channel) => channel.name).join();`;

test('Queue: without addresses for its memory it is ENOMEM, and nothing is left under its name', async () => {
  const output = await runScript(
    `${PRELUDE}
    limit(size() + 60_000_000);
    console.log(await Queue.open(name, large).catch((error) => error.name + ' ' + error.code), native.mappingCount());
    limit('unlimited');
    console.log('left:', names());
    (await Queue.open(name, large)).close();
    // One that is there already stays, whoever fails to open it.
    limit(size() + 60_000_000);
    console.log(await Queue.open(name).catch((error) => error.code));
    limit('unlimited');
    console.log('left:', names() === name);
    Queue.unlink(name);`,
    [queueName()],
  );
  assert.equal(output, 'SystemError ENOMEM 0\nleft: \nENOMEM\nleft: true\n');
});

test('Queue: with whatever number of descriptors left, opening a new one that fails leaves nothing', async () => {
  const output = await runScript(
    `${PRELUDE}
    (await Queue.open(name + '-warm')).close();
    Queue.unlink(name + '-warm');
    for (let free = 0, opened = false; !opened; free++) {
      const taken = [];
      try { for (;;) taken.push(openSync('/dev/null')); } catch {}
      for (let i = 0; i < free; i++) closeSync(taken.pop());
      try {
        const queue = await Queue.open(name);
        opened = true;
        queue.close();
      } catch (error) {
        if (error.code !== 'EMFILE') throw error;
      }
      for (const fd of taken) closeSync(fd);
      if (!opened && names() !== '') throw new Error(free + ' descriptors: ' + names());
    }
    Queue.unlink(name);
    console.log('nothing', native.mappingCount());`,
    [queueName()],
  );
  assert.equal(output, 'nothing 0\n');
});
