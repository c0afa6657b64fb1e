import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Topic } from 'vecino';
import { root, start, startScript, temporaryFolder, uniqueName } from '../../support/processes.js';
import { asleep } from '../../support/tasks.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const limit = { timeout: 120_000 };
const codec = { codec: 'text', spin: 0 } as const;

const voices = {
  'receive()': 'for (;;) console.log(await subscription.receive());',
  'for await': 'for await (const text of subscription) console.log(text);',
  'receiveSync()': 'for (;;) console.log(subscription.receiveSync());',
  'receiveSync() behind receive()': `
    for (;;) {
      const first = subscription.receive();
      const second = subscription.receiveSync();
      console.log(await first);
      console.log(second);
    }`,
};
/** Waits for messages in the voice of the code. */
const subscriber = (name: string, code: string) => `
  import { Topic } from '#src/channel/topic/index.js';
  import { native } from '#src/system/native.js';
  native.setParentDeathSignal(9);
  const topic = await Topic.open('${name}', { codec: 'text', spin: 0 });
  const subscription = topic.subscribe();
  console.log('up');
  ${code}`;
/** Publishes, and is killed at the bell that comes after `rings` others. */
const publisher = (name: string, text: string, rings: number) => `
  import { Topic } from '#src/channel/topic/index.js';
  import { Doorbell } from '#src/channel/directory/doorbell.js';
  import { native } from '#src/system/native.js';
  native.setParentDeathSignal(9);
  const topic = await Topic.open('${name}', { codec: 'text' });
  const { ring } = Doorbell.prototype;
  let left = ${rings};
  Doorbell.prototype.ring = function (seat) {
    return left-- > 0 ? ring.call(this, seat) : process.kill(process.pid, 'SIGKILL');
  };
  topic.tryPublish('${text}');
  console.log('not killed');`;
async function publishAndDie(name: string, text: string, rings = 0): Promise<void> {
  const { signal, stdout, stderr } = await startScript(publisher(name, text, rings)).ended;
  assert.deepEqual([signal, stdout, stderr], ['SIGKILL', '', '']);
}
/** The inotify instances of this process. */
function instances(): number {
  let count = 0;
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:inotify') count++;
    } catch {
      // The one that listed the folder.
    }
  }
  return count;
}

for (const [voice, code] of Object.entries(voices)) {
  test(`Topic: ${voice}, asleep, gets the message of a publisher that was killed before it rang`, limit, async () => {
    using topic = await Topic.open(uniqueName('topic'), codec);
    const sleeper = startScript(subscriber(topic.name, code));
    assert.equal(await sleeper.line(), 'up');
    for (let i = 0; i < 4; i++) {
      await asleep(sleeper.pid);
      await publishAndDie(topic.name, `message ${i}`);
      if (!voice.includes('behind')) assert.equal(await sleeper.line(), `message ${i}`);
      else if (i % 2 === 1)
        assert.deepEqual([await sleeper.line(), await sleeper.line()], [`message ${i - 1}`, `message ${i}`]);
    }
    await sleeper.kill();
  });
}

test('Topic: without an inotify instance they get it too, by looking now and then', limit, async (t) => {
  const refused = ['-Ur', 'sh', '-c', 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"', 'sh'];
  const probe = await start('unshare', [...refused, 'true']).ended.catch((error: Error) => ({
    code: -1,
    stderr: error,
  }));
  if (probe.code !== 0) return t.skip(`no user namespace to be had: ${probe.stderr}`);
  using topic = await Topic.open(uniqueName('topic'), codec);
  const sleepers = Object.values(voices)
    .slice(1, 3)
    .map((code) =>
      start('unshare', [...refused, process.execPath, '--input-type=module', '--eval', subscriber(topic.name, code)], {
        cwd: root,
      }),
    );
  for (const sleeper of sleepers) assert.equal(await sleeper.line(), 'up');
  for (let i = 0; i < 2; i++) {
    for (const sleeper of sleepers) await asleep(sleeper.pid);
    await publishAndDie(topic.name, `message ${i}`, 1);
    for (const sleeper of sleepers) assert.equal(await sleeper.line(), `message ${i}`);
  }
  for (const sleeper of sleepers) await sleeper.kill();
});

test(
  'Topic: 250 that sleep in one thread get it with one inotify instance, which goes with the last',
  limit,
  async () => {
    const there = instances();
    const topic = await Topic.open(uniqueName('topic'), codec);
    const other = await Topic.open(uniqueName('topic'), codec);
    const subscriptions = Array.from({ length: 250 }, () => topic.subscribe());
    const elsewhere = other.subscribe();
    const ended = assert.rejects(elsewhere.receive(), { name: 'ClosedError' });
    const received = subscriptions.map((subscription) => subscription.receive());
    assert.equal(instances(), there + 1);
    await publishAndDie(topic.name, 'message', 3);
    assert.deepEqual(await Promise.all(received), Array(250).fill('message'));
    for (const subscription of subscriptions) subscription.close();
    assert.equal(instances(), there + 1);
    elsewhere.close();
    await ended;
    topic.close();
    assert.equal(instances(), there + 1); // it also tells if the topic is removed by somebody else
    other.close();
    assert.equal(instances(), there);
  },
);

test(
  'Topic: a sleep of the thread in one topic does not hide from those of another that somebody has died',
  limit,
  async () => {
    using topic = await Topic.open(uniqueName('topic'), codec);
    using other = await Topic.open(uniqueName('topic'), codec);
    using subscription = topic.subscribe();
    using blocking = other.subscribe();
    const received = subscription.receive();
    const end = publishAndDie(topic.name, 'message');
    assert.throws(() => blocking.receiveSync({ timeout: 1500 }), { name: 'TimeoutError' });
    assert.equal(await received, 'message');
    await end;
  },
);

test(
  'Topic: a worker that is terminated before it rings counts as killed, and one that sleeps leaves no descriptor',
  limit,
  async () => {
    const there = instances();
    using topic = await Topic.open(uniqueName('topic'), codec);
    using subscription = topic.subscribe();
    for (let i = 0; i < 3; i++) {
      const received = subscription.receive();
      const worker = new Worker(
        `const { parentPort } = require('node:worker_threads');
       (async () => {
         const { Topic } = await import('${root}/dist/channel/topic/index.js');
         const { Doorbell } = await import('${root}/dist/channel/directory/doorbell.js');
         const topic = globalThis.topic = await Topic.open('${topic.name}', { codec: 'text' });
         topic.subscribe().receive().catch(() => {});
         await new Promise(setImmediate);
         Doorbell.prototype.ring = () => {
           parentPort.postMessage('at the bell');
           for (;;);
         };
         topic.tryPublish('message ${i}');
       })();`,
        { eval: true },
      );
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      assert.equal(instances(), there + 2);
      await worker.terminate();
      assert.equal(await received, `message ${i}`);
      assert.equal(instances(), there + 1);
    }
  },
);
