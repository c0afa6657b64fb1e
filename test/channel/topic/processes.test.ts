import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Topic } from 'vecino';
import { runOnSmallFileSystem, runScript, startScript, temporaryFolder, uniqueName } from '../../support/processes.js';
import { asleep } from '../../support/tasks.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const limit = { timeout: 120_000 };

/** Subscribes, says so, and answers each line by what it has received and lost so far, once `end` has come. */
const SUBSCRIBER = `
  import { Topic } from 'vecino/channel';
  import { native } from '#src/system/native.js';
  native.setParentDeathSignal(9);
  const [, name, voice, count = '1'] = process.argv;
  const topic = await Topic.open(name, { codec: 'text', spin: 0 });
  const subscriptions = Array.from({ length: Number(count) }, () => topic.subscribe());
  console.log('ready');
  const one = async (subscription) => {
    let last = -1, wrong = 0;
    for (;;) {
      const text = voice === 'sync' ? subscription.receiveSync() : await subscription.receive();
      if (text.startsWith('ping')) console.log(text);
      else if (text === 'end') break;
      else if (Number(text) <= last) wrong++;
      else last = Number(text);
    }
    return [subscription.received, subscription.lost, wrong, last];
  };
  console.log(JSON.stringify(await Promise.all(subscriptions.map(one))));
  topic.close();
`;

test('Topic: sixteen subscribers in four processes get everything', limit, async () => {
  using topic = await Topic.open(uniqueName(), { codec: 'text', capacity: 2 ** 22 });
  const processes = [4, 4, 4, 4].map((count) => startScript(SUBSCRIBER, [topic.name, 'async', String(count)]));
  for (const process of processes) assert.equal(await process.line(), 'ready');
  for (let i = 0; i < 20_000; i++) await topic.publish(String(i));
  await topic.publish('end');
  for (const process of processes) {
    assert.deepEqual(JSON.parse(await process.line()), Array(4).fill([20_001, 0, 0, 19_999]));
    assert.equal((await process.ended).code, 0);
  }
});

for (const voice of ['sync', 'async']) {
  test(`Topic: a message to a subscriber that sleeps wakes it, every time (${voice})`, limit, async () => {
    using topic = await Topic.open(uniqueName(), { codec: 'text' });
    const subscriber = startScript(SUBSCRIBER, [topic.name, voice]);
    assert.equal(await subscriber.line(), 'ready');
    for (let i = 0; i < 300; i++) {
      topic.tryPublish(`ping ${i}`);
      assert.equal(await subscriber.line(), `ping ${i}`);
      if (i % 10 === 0) await asleep(subscriber.pid);
    }
    topic.tryPublish('end');
    assert.deepEqual(JSON.parse(await subscriber.line()), [[301, 0, 0, -1]]);
    await subscriber.ended;
  });

  test(
    `Topic: a subscriber that is stopped holds up nobody, and knows afterwards what it lost (${voice})`,
    limit,
    async () => {
      using topic = await Topic.open(uniqueName(), { codec: 'text', capacity: 65536 });
      const stopped = startScript(SUBSCRIBER, [topic.name, voice]);
      const other = startScript(SUBSCRIBER, [topic.name, voice]);
      assert.deepEqual([await stopped.line(), await other.line()], ['ready', 'ready']);
      await asleep(stopped.pid);
      stopped.child.kill('SIGSTOP');
      const count = 50_000;
      for (let i = 0; i < count; i++) await topic.publish(String(i));
      topic.tryPublish('ping');
      assert.equal(await other.line(), 'ping');
      stopped.child.kill('SIGCONT');
      assert.equal(await stopped.line(), 'ping');
      topic.tryPublish('end');
      for (const process of [stopped, other]) {
        const [[received, lost, wrong]] = JSON.parse(await process.line());
        assert.deepEqual([received + lost, wrong], [count + 2, 0]);
        if (process === stopped) assert.ok(lost > count / 2);
        await process.ended;
      }
    },
  );
}

test(
  'Topic: a publisher that is stopped holds up nobody; one that is killed in the middle leaves its ring to the next',
  limit,
  async () => {
    using topic = await Topic.open(uniqueName(), { codec: 'text', capacity: 65536 });
    using subscription = topic.subscribe();
    const publisher = startScript(
      `import { Topic } from 'vecino/channel';
     const topic = await Topic.open(process.argv[1], { codec: 'text' });
     const loan = topic.reserve(5);
     loan.bytes.fill(65);
     console.log('begun');
     process.stdin.once('data', () => {
       loan.commit();
       topic.reserve(20000).bytes.fill(66);
       console.log('half');
     });`,
      [topic.name],
    );
    assert.equal(await publisher.line(), 'begun');
    publisher.child.kill('SIGSTOP');
    for (let i = 0; i < 1000; i++) {
      topic.tryPublish(String(i));
      assert.equal(await subscription.receive({ timeout: 60_000 }), String(i));
    }
    publisher.child.kill('SIGCONT');
    publisher.write('go\n');
    assert.equal(await publisher.line(), 'half');
    assert.equal(await subscription.receive({ timeout: 60_000 }), 'AAAAA');
    await publisher.kill('SIGKILL');
    using next = await Topic.open(topic.name, { codec: 'text' });
    next.tryPublish('next');
    assert.equal(await subscription.receive({ timeout: 60_000 }), 'next');
    using late = topic.subscribe({ from: 'oldest' });
    const kept: string[] = [];
    for (let text = late.tryReceive(); text !== undefined; text = late.tryReceive()) kept.push(text);
    const theirs = kept.filter((text) => !/^\d+$/.test(text));
    assert.deepEqual(theirs, ['AAAAA', 'next']);
    assert.deepEqual([subscription.lost, late.lost], [0, 0]);
  },
);

test('Topic: what was published before its process ended arrives', limit, async () => {
  using topic = await Topic.open<number>(uniqueName());
  using subscription = topic.subscribe();
  for (let round = 0; round < 5; round++) {
    const waiting = Array.from({ length: 3 }, () => subscription.receive({ timeout: 60_000 }));
    await runScript(
      `import { Topic } from 'vecino/channel';
       const topic = await Topic.open(process.argv[1]);
       for (let i = 0; i < 3; i++) topic.tryPublish(i);
       process.${round % 2 === 0 ? 'exit(0)' : "kill(process.pid, 'SIGKILL')"};`,
      [topic.name],
    ).catch((error) => assert.match(String(error), /SIGKILL/));
    assert.deepEqual(await Promise.all(waiting), [0, 1, 2]);
  }
  assert.equal(subscription.lost, 0);
});

test(
  'Topic: processes that open and close one name all the time meet, or make it anew, and never fail',
  limit,
  async () => {
    const source = `
    import { Topic } from 'vecino/channel';
    for (let i = 0; i < 1500; i++) {
      const topic = await Topic.open(process.argv[1], { codec: 'text', capacity: 4096 });
      const subscription = topic.subscribe();
      if (i % 3 === 0) {
        topic.tryPublish('mine');
        if (subscription.tryReceive() === undefined) throw new Error('lost');
      }
      topic.close();
    }`;
    const name = uniqueName();
    await Promise.all([1, 2, 3].map(() => runScript(source, [name])));
  },
);

test('Topic: a full /dev/shm is ENOSPC for who would need a ring, and leaves the others at work', limit, async (t) => {
  const source = `
    import { Topic } from 'vecino/channel';
    import { readdirSync } from 'node:fs';
    const first = await Topic.open('full', { codec: 'text', capacity: 2 ** 19 });
    const subscription = first.subscribe();
    first.tryPublish('before');
    const second = await Topic.open('full', { codec: 'text' });
    for (const again of [1, 2]) {
      try { second.tryPublish('no'); } catch (error) { console.log(error.code, /smaller capacity/.test(error.message)); }
      await second.publish('no').catch((error) => console.log(error.code));
    }
    const large = await Topic.open('large', { capacity: 2 ** 21 });
    try { large.reserve(1); } catch (error) { console.log(error.code); }
    large.close();
    first.tryPublish('after');
    console.log(subscription.tryReceive(), subscription.tryReceive(), subscription.tryReceive());
    first.close();
    const freed = second.tryPublish('now'); // takes over the ring that is there
    console.log(freed);
    second.close();
    console.log(readdirSync(process.env.VECINO_RUNTIME_DIR).length);`;
  const outcome = await runOnSmallFileSystem('800k', source);
  if (outcome === undefined) return t.skip('this machine lets no test mount a file system');
  const { stdout, stderr } = outcome;
  assert.equal(stderr, '');
  assert.deepEqual(stdout.trim().split('\n'), [
    ...['ENOSPC true', 'ENOSPC', 'ENOSPC true', 'ENOSPC', 'ENOSPC'],
    ...['before after undefined', 'true', '0'],
  ]);
});

test(
  'Topic: without descriptors each step is EMFILE, nothing leaks, and it works once there are some',
  limit,
  async () => {
    const out = await runScript(
      `import { Topic } from 'vecino/channel';
     import { closeSync, openSync, readdirSync } from 'node:fs';
     const count = () => readdirSync('/proc/self/fd').length;
     { // what is opened lazily is open after this
       const topic = await Topic.open('warm'); const s = topic.subscribe(); topic.tryPublish(1); await s.receive(); await s.receive({ timeout: 1 }).catch(() => {}); topic.close();
     }
     const before = count();
     const errors = new Set();
     let worked = 0;
     for (let free = 0; free < 14; free++) {
       const taken = [];
       try { for (;;) taken.push(openSync('/dev/null')); } catch {}
       for (let i = 0; i < free; i++) closeSync(taken.pop());
       let topic;
       try {
         topic = await Topic.open('limit', { codec: 'text' });
         const a = topic.subscribe(), b = topic.subscribe();
         topic.tryPublish('x');
         if (a.tryReceive() !== 'x' || b.tryReceive() !== 'x') throw new Error('lost');
         worked++;
       } catch (error) { errors.add(error.code ?? error.stack); }
       finally {
         topic?.close();
         for (const fd of taken) closeSync(fd);
       }
       if (count() !== before) console.log('leaked', free, count() - before);
     }
     console.log([...errors].join(), worked > 0);`,
      [],
      {},
    ).catch((error) => error as Error);
    assert.ok(typeof out === 'string', String(out));
    assert.equal(out.trim(), 'EMFILE true');
  },
);

test(
  'Topic: a ring that a subscription could not open, without descriptors, is read once there are some',
  limit,
  async () => {
    const name = uniqueName('topic');
    const out = await runScript(
      `import { Topic } from 'vecino/channel';
     import { closeSync, openSync } from 'node:fs';
     const publisher = await Topic.open('${name}', { codec: 'text' });
     const topic = await Topic.open('${name}', { codec: 'text' });
     const subscription = topic.subscribe();
     publisher.tryPublish('first');
     const taken = [];
     try { for (;;) taken.push(openSync('/dev/null')); } catch {}
     for (let i = 0; i < 3; i++) try { subscription.tryReceive(); } catch (error) { console.log(error.code); }
     for (const fd of taken) closeSync(fd);
     console.log(subscription.tryReceive(), subscription.lost);
     topic.close();
     publisher.close();`,
    );
    assert.deepEqual(out.trim().split('\n'), ['EMFILE', 'EMFILE', 'EMFILE', 'first 0']);
  },
);
