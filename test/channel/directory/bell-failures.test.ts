/** Bells that the kernel does not ring, for want of memory or because of a signal: nobody sleeps on, and nothing that has happened fails. */
import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { listen, Queue, Topic } from 'vecino';
import { Participant } from '#src/channel/directory/participant.js';
import { errno } from '#src/system/errors.js';
import { native } from '#src/system/native.js';
import { type Running, startScript, temporaryFolder, uniqueName } from '../../support/processes.js';
import { asleep } from '../../support/tasks.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const { sendto, send } = native;
const { knock } = Participant.prototype;

/** In what follows, system calls that ring fail with these errors, one after the other, the last one for ever if it is so said. */
function fail(codes: readonly string[], more: { always?: boolean; knocks?: number } = {}): { count: number } {
  const failed = { count: 0 };
  const next = () => {
    const code = codes[failed.count] ?? (more.always === true ? codes.at(-1) : undefined);
    if (code === undefined) return undefined;
    failed.count++;
    return -errno[code]!;
  };
  native.sendto = (...args) => next() ?? sendto(...args);
  native.send = (...args) => next() ?? send(...args);
  let knocks = more.knocks ?? 0;
  Participant.prototype.knock = function (this: Participant) {
    return knocks-- > 0 ? false : knock.call(this);
  };
  return failed;
}
function failNoMore(): void {
  native.sendto = sendto;
  native.send = send;
  Participant.prototype.knock = knock;
}
/** A process that runs `source` with the `name` of a channel, and has said that it is about to sleep. */
async function sleeper(name: string, source: string): Promise<Running> {
  const peer = startScript(
    `
    import { connect, Queue, Topic } from 'vecino/channel';
    import { native } from '#src/system/native.js';
    native.setParentDeathSignal(9);
    const [, name] = process.argv;
    ${source}`,
    [name],
  );
  assert.equal(await peer.line(), 'ready');
  await asleep(peer.pid);
  return peer;
}
/** They print the one message that `receive` gives them. */
const subscriber = (name: string, receive: string): Promise<Running> =>
  sleeper(
    name,
    `const topic = await Topic.open(name, { codec: 'text', spin: 0 });
     const subscription = topic.subscribe();
     console.log('ready');
     console.log(${receive});
     topic.close();`,
  );
const consumer = (name: string, receive: string): Promise<Running> =>
  sleeper(
    name,
    `const queue = await Queue.open(name, { spin: 0 });
     console.log('ready');
     const delivery = ${receive};
     delivery.acknowledge();
     console.log(delivery.value);
     queue.close();`,
  );
const failures: readonly [string, Parameters<typeof fail>][] = [
  ['is interrupted twice', [['EINTR', 'EINTR']]],
  ['finds no memory, for ever', [['ENOBUFS'], { always: true }]],
  [
    'finds no memory, nor a descriptor to do it otherwise, three times',
    [['ENOMEM', 'ENOMEM', 'ENOMEM'], { knocks: 3 }],
  ],
];
const subscriptionReceives = ['await subscription.receive()', 'subscription.receiveSync()'];
const queueReceives = ['await queue.receive()', 'queue.receiveSync()'];

for (const [how, failure] of failures) {
  for (const receive of subscriptionReceives) {
    test(`Topic: publish() whose bell ${how} resolves, and ${receive} gets the message`, async () => {
      using topic = await Topic.open(uniqueName(), { codec: 'text' });
      const peer = await subscriber(topic.name, receive);
      const failed = fail(...failure);
      try {
        await topic.publish('it');
        assert.ok(failed.count > 0);
        assert.equal(await peer.line(), 'it');
      } finally {
        failNoMore();
      }
      await peer.ended;
    });
  }
  for (const receive of queueReceives) {
    test(`Queue: send() whose bell ${how} resolves, and ${receive} gets the message`, async () => {
      using queue = await Queue.open<string>(uniqueName(), { codec: 'text', spin: 0 });
      const peer = await consumer(queue.name, receive);
      const failed = fail(...failure);
      try {
        await queue.send('it');
        assert.ok(failed.count > 0);
        assert.equal(await peer.line(), 'it');
      } finally {
        failNoMore();
      }
      await peer.ended;
    });
  }
}
for (const [how, failure] of failures.filter(([, [, more]]) => more?.always !== true)) {
  for (const receive of ['await connection.receive()', 'connection.receiveSync()']) {
    test(`Connection: send() whose bell ${how} resolves, and ${receive} gets the message`, async () => {
      const name = uniqueName();
      await using listener = await listen<string>(name, { codec: 'text' });
      const starting = sleeper(
        name,
        `const connection = await connect(name, { codec: 'text', spin: 0 });
         console.log('ready');
         console.log(${receive});
         connection.sendSync('back');
         connection.close();`,
      );
      const connection = await listener.accept();
      const peer = await starting;
      const failed = fail(...failure);
      try {
        await connection.send('it');
        assert.ok(failed.count > 0);
        assert.equal(connection.receiveSync(), 'back'); // blocked, it still owes the wake-up
        assert.equal(await peer.line(), 'it');
      } finally {
        failNoMore();
      }
      await peer.ended;
      connection.close();
    });
  }
}

/** What a program does that tidies up in temporary folders. */
function removeBells(name: string): number {
  const folder = join(process.env['VECINO_RUNTIME_DIR']!, name);
  const bells = readdirSync(folder).filter((file) => file.startsWith('bell-'));
  for (const bell of bells) unlinkSync(join(folder, bell));
  return bells.length;
}
for (const receive of subscriptionReceives) {
  test(`Topic: ${receive} whose bell was removed by another program gets the message`, async () => {
    using topic = await Topic.open(uniqueName(), { codec: 'text' });
    const peer = await subscriber(topic.name, receive);
    assert.ok(removeBells(topic.name) > 0);
    await topic.publish('it');
    assert.equal(await peer.line(), 'it');
    await peer.ended;
  });
}
for (const receive of queueReceives) {
  test(`Queue: ${receive} whose bell was removed by another program gets the message`, async () => {
    using queue = await Queue.open<string>(uniqueName(), { codec: 'text', spin: 0 });
    const peer = await consumer(queue.name, receive);
    assert.ok(removeBells(queue.name) > 0);
    await queue.send('it');
    assert.equal(await peer.line(), 'it');
    await peer.ended;
  });
}
