import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, listChannels, listen, Queue } from 'vecino';
import { startScript, temporaryFolder, uniqueName } from '../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();

test('listChannels: channels are listed with kind, codec, who takes part and what has passed', async () => {
  assert.deepEqual(listChannels(), []);
  const name = uniqueName();
  await using listener = await listen<number>(name, { codec: 'json' });
  const [a, b] = await Promise.all([listener.accept(), connect<number>(name, { codec: 'json' })]);
  await a.send(1);
  await b.receive();
  await b.send(23);
  await a.receive();
  const { pid } = process;
  assert.deepEqual(listChannels(), [
    {
      name,
      kind: 'connection',
      codec: 'json',
      geometry: {},
      participants: [
        { pid, role: 'listener', counters: {} },
        { pid, role: 'connection', counters: { sent: 1, sentBytes: 1, received: 1, receivedBytes: 2 } },
      ],
    },
  ]);
  a.close();
  assert.equal(listChannels()[0]?.participants.length, 1);
  b.close();
});

test('listChannels: a queue is listed without participants; what the dead left is removed by listing', {
  timeout: 60_000,
}, async () => {
  const name = uniqueName();
  const queue = await Queue.open(name);
  assert.equal(listChannels()[0]?.participants.length, 1);
  queue.close();
  assert.deepEqual(
    listChannels().map(({ kind, participants }) => [kind, participants]),
    [['queue', []]],
  );
  Queue.unlink(name);
  const dead = startScript(
    `import { listen } from 'vecino'; await listen('${uniqueName()}'); console.log('up'); setInterval(() => {}, 1e6);`,
  );
  await dead.line();
  assert.equal(listChannels().length, 1);
  await dead.kill();
  assert.deepEqual(listChannels(), []);
});
