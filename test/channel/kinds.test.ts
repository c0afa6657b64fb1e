import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { client, connect, listen, Queue, serve, Topic } from 'vecino/channel';
import { MismatchError } from 'vecino/system';
import { temporaryFolder, uniqueName } from '../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const bytes = { codec: 'bytes' } as const;

test('Channels: a name in use by one kind of channel is refused by every other, with both kinds in the error', async () => {
  const names = { connection: uniqueName(), topic: uniqueName(), queue: uniqueName(), service: uniqueName() };
  await using _listener = await listen(names.connection, bytes);
  await using _topic = await Topic.open(names.topic, bytes);
  await using _queue = await Queue.open(names.queue, bytes);
  await using _service = await serve(names.service, { answer: () => 42 });
  const openers: [keyof typeof names, (name: string) => Promise<unknown>][] = [
    ['connection', (name) => listen(name, bytes)],
    ['connection', (name) => connect(name, bytes)],
    ['topic', (name) => Topic.open(name, bytes)],
    ['queue', (name) => Queue.open(name, bytes)],
    ['service', (name) => serve(name, { answer: () => 42 })],
    ['service', (name) => client(name)],
  ];
  for (const [there, name] of Object.entries(names)) {
    for (const [wanted, open] of openers) {
      if (wanted === there) continue;
      await assert.rejects(open(name), (error: unknown) => {
        assert.ok(error instanceof MismatchError, `${wanted} over ${there}: ${error}`);
        assert.match(error.message, new RegExp(there));
        assert.match(error.message, new RegExp(wanted));
        return true;
      });
    }
  }
  await Queue.unlink(names.queue);
});
