/** The runtime folder is removed while its channels are in use, as systemd's logind does at the end of a user's last session. */
import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { client, connect, listChannels, listen, Queue, RemovedError, serve, Topic } from 'vecino';
import { startScript, temporaryFolder, uniqueName } from '../../support/processes.js';

const folder = join(temporaryFolder(), 'runtime');
process.env['VECINO_RUNTIME_DIR'] = folder;
const removeAll = () => rmSync(folder, { recursive: true });
const returned = (name: string): Promise<void> => {
  const look = (resolve: () => void): void => {
    if (existsSync(join(folder, name, 'socket'))) resolve();
    else setImmediate(look, resolve);
  };
  return new Promise(look);
};

test('Listener: it takes its name back when that is removed, and those who are connected stay so', async () => {
  const name = uniqueName();
  using listener = await listen<string>(name);
  const [one, first] = await Promise.all([listener.accept(), connect<string>(name)]);
  const next = listener.accept();
  for (let round = 0; round < 3; round++) {
    removeAll();
    await returned(name);
  }
  using second = await connect<string>(name);
  using two = await next;
  await second.send('still there');
  assert.equal(await two.receive(), 'still there');
  await first.send('as ever');
  assert.equal(await one.receive(), 'as ever');
  const [found] = listChannels();
  assert.deepEqual([found?.name, found?.participants.length], [name, 3]);
  await assert.rejects(listen(name), { code: 'EADDRINUSE' });
  one.close();
  first.close();
  two.close();
  assert.equal(listChannels()[0]?.participants.length, 1);
  listener.close();
  assert.deepEqual(readdirSync(folder), []);
});

test('Listener: whoever waits is told if somebody else has its name by then, and so is who asks later', async () => {
  const name = uniqueName();
  using listener = await listen(name);
  const waits = assert.rejects(listener.accept(), RemovedError);
  const iterates = assert.rejects(
    (async () => {
      for await (const _ of listener);
    })(),
    { code: 'ERR_VECINO_REMOVED' },
  );
  removeAll();
  using other = await listen(name); // before the event loop has told the first
  await Promise.all([waits, iterates]);
  await assert.rejects(listener.accept(), /was removed while it was in use.*RemoveIPC=no/);
  assert.ok(listener.closed);
  using connection = await Promise.all([connect(name), other.accept()]).then(([one, two]) => {
    two.close();
    return one;
  });
  assert.equal(connection.closed, false);
});

test('Service: it goes on under its name, or warns and sends its clients to the next one', async () => {
  const name = uniqueName();
  const first = await serve(name, { who: () => 'first' });
  using caller = await client<{ who(): string }>(name, { reconnect: true });
  assert.equal(await caller.who(), 'first');
  removeAll();
  await returned(name);
  using newcomer = await client<{ who(): string }>(name);
  assert.equal(await newcomer.who(), 'first');

  const warning = once(process, 'warning');
  removeAll();
  await using second = await serve(name, { who: () => 'second' });
  assert.equal((await warning)[0].code, 'VECINO_NAME_LOST');
  assert.ok((await first.ended) instanceof RemovedError);
  newcomer.close();
  while ((await caller.who()) !== 'second') await new Promise(setImmediate);
  first.close();
  assert.equal(second.closed, false);
});

test('Topic: whoever waits, publishes or subscribes is told, and those who open it anew meet each other', async () => {
  const name = uniqueName();
  using topic = await Topic.open<string>(name);
  await topic.publish('before');
  using waiting = topic.subscribe();
  using idle = topic.subscribe();
  const told = assert.rejects(waiting.receive(), RemovedError);
  removeAll();
  using again = await Topic.open<string>(name);
  using heard = again.subscribe();
  await told;
  await assert.rejects(topic.publish('to nobody'), RemovedError);
  assert.throws(() => topic.tryPublish('to nobody'), RemovedError);
  assert.throws(() => topic.subscribe(), RemovedError);
  await assert.rejects(idle.receive(), RemovedError);
  await again.publish('after');
  assert.equal(await heard.receive(), 'after');
});

test('Queue: whoever waits, sends or receives is told, and what it has in hand it can still settle', async () => {
  const name = uniqueName();
  using queue = await Queue.open<string>(name, { capacity: 2 });
  await queue.send('in hand');
  const delivery = await queue.receive();
  const receives = assert.rejects(queue.receive(), RemovedError);
  const other = await Queue.open<string>(name);
  removeAll();
  await receives;
  await assert.rejects(queue.send('lost'), RemovedError);
  assert.throws(() => queue.tryReceive(), RemovedError);
  delivery.acknowledge();
  other.close();
  using again = await Queue.open<string>(name);
  await again.send('found');
  assert.equal(again.tryReceive()?.value, 'found');
  Queue.unlink(name);
  // An unlinked queue goes on: its owner has wanted that.
  await again.send('goes on');
  assert.equal((await again.receive()).value, 'goes on');
});

test('Topic and Queue: threads that are blocked in receiveSync are told', { timeout: 60_000 }, async () => {
  for (const what of ['(await Topic.open(name)).subscribe()', 'await Queue.open(name)']) {
    const name = uniqueName();
    const blocked = startScript(`
      import { Topic, Queue } from 'vecino';
      const name = ${JSON.stringify(name)};
      const object = ${what};
      console.log('open');
      try { object.receiveSync(); } catch (error) { console.log(error.code); }
      process.exit(0);`);
    await blocked.line();
    removeAll();
    assert.equal(await blocked.line(), 'ERR_VECINO_REMOVED');
    await blocked.ended;
  }
});
