import '../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ClosedError, client, listChannels, PeerDiedError, Queue, SystemError, serve, Topic } from 'vecino';
import { temporaryFolder, uniqueName } from '../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const limit = { timeout: 60_000 };

/** A thread that runs `source`, has said that it did, and ends as it is told. */
async function thread(source: string): Promise<Worker> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     import('vecino').then(async ({ Queue, Topic, serve }) => {
       ${source}
       parentPort.on('message', () => process.exit(0));
       parentPort.postMessage('ready');
     });`,
    { eval: true },
  );
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return worker;
}
const ways: [string, (worker: Worker) => Promise<unknown>][] = [
  ['is terminated', (worker) => worker.terminate()],
  [
    'exits',
    (worker) =>
      new Promise((resolve) => {
        worker.once('exit', resolve);
        worker.postMessage('exit');
      }),
  ],
];

for (const [how, end] of ways) {
  test(
    `Threads: a thread that ${how} gives back its messages and its seat of a queue, as if killed`,
    limit,
    async () => {
      const name = uniqueName('queue');
      using queue = await Queue.open<string>(name, { codec: 'text' });
      queue.sendSync('held');
      const before = readdirSync('/proc/self/fd').length;
      for (let attempt = 1; attempt < 4; attempt++) {
        const worker = await thread(
          `const queue = globalThis.queue = await Queue.open('${name}');
         globalThis.kept = queue.receiveSync();
         queue.receive().catch(() => {});`,
        );
        assert.equal(queue.stats().inFlight, 1);
        const waiting = queue.receive();
        await end(worker);
        const delivery = await waiting;
        assert.deepEqual([delivery.value, delivery.attempt], ['held', 2 * attempt]);
        delivery.reject();
        assert.equal(listChannels().find((each) => each.name === name)?.participants.length, 1);
      }
      assert.ok(readdirSync('/proc/self/fd').length <= before + 2); // the inotify instance, and what it is polled with
      queue.close();
      Queue.unlink(name);
    },
  );
  test(`Threads: a thread that ${how} gives back its ring and its seats of a topic`, limit, async () => {
    const name = uniqueName('topic');
    using topic = await Topic.open(name, { codec: 'text' });
    const subscription = topic.subscribe();
    for (let i = 0; i < 3; i++) {
      const worker = await thread(
        `const topic = globalThis.topic = await Topic.open('${name}', { codec: 'text' });
         topic.subscribe().receive().catch(() => {});
         topic.subscribe();
         await topic.publish('from thread ${i}');`,
      );
      assert.equal(await subscription.receive(), `from thread ${i}`);
      await end(worker);
      assert.equal(listChannels().find((each) => each.name === name)?.participants.length, 1);
    }
    const folder = `${process.env['VECINO_RUNTIME_DIR']}/${name}`;
    assert.equal(readdirSync(folder).filter((file) => file.startsWith('ring-')).length, 1);
  });
  test(
    `Threads: a thread that ${how} serves no more: calls fail, who comes is refused, and the name is free`,
    limit,
    async () => {
      const name = uniqueName('service');
      const source = `await serve('${name}', { hang: () => new Promise(() => {}), where: () => 'in the thread' });`;
      let worker = await thread(source);
      const c = await client<{ hang(): Promise<never>; where(): string }>(name, { reconnect: true });
      const failure = how === 'exits' ? ClosedError : PeerDiedError; // as of a process
      const hung = assert.rejects(c.hang(), failure);
      await end(worker);
      await hung;
      await assert.rejects(client(name), (error) => error instanceof SystemError && error.code === 'ECONNREFUSED');
      const meanwhile = c.where();
      worker = await thread(source);
      assert.equal(await meanwhile, 'in the thread');
      const again = assert.rejects(c.hang(), failure);
      await end(worker);
      await again;
      await using _service = await serve(name, { where: () => 'here' });
      assert.equal(await c.where(), 'here');
      c.close();
    },
  );
}
