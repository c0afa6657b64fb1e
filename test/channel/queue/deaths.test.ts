import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Queue, SharedMemory } from 'vecino';
import { type Running, startScript, uniqueName } from '../../support/processes.js';
import { asleep } from '../../support/tasks.js';
import { another, queueName } from './support.js';

const limit = { timeout: 120_000 };

for (const voice of ['queue.receiveSync()', 'await queue.receive()']) {
  test(`Queue: ${voice}, asleep, gets the message of a consumer that is killed`, limit, async () => {
    const name = queueName();
    using queue = await Queue.open<number>(name);
    const sleeper = another(
      name,
      `say('up'); for (;;) { const delivery = ${voice}; say(delivery.value + ' ' + delivery.attempt); delivery.acknowledge(); }`,
    );
    await sleeper.line();
    for (let i = 0; i < 3; i++) {
      const holder = another(
        name,
        `say('up'); globalThis.kept = await queue.receive({ types: [7] }); say('has it'); setInterval(() => {}, 1e6);`,
      );
      await holder.line();
      queue.sendSync(-1); // wakes the sleeper, who goes to sleep again
      assert.equal(await sleeper.line(), '-1 1');
      await asleep(sleeper.pid);
      sleeper.child.kill('SIGSTOP');
      queue.sendSync(i, { type: 7 });
      assert.equal(await holder.line(), 'has it');
      sleeper.child.kill('SIGCONT');
      await asleep(sleeper.pid);
      assert.equal(queue.stats().inFlight, 1);
      await holder.kill();
      assert.equal(await sleeper.line(), `${i} 2`);
    }
    await sleeper.kill();
  });
}

test('Queue: a message in the hands of one who died stands in its old place', limit, async () => {
  const name = queueName();
  using queue = await Queue.open<string>(name);
  for (const text of ['a', 'b', 'c']) queue.sendSync(text);
  queue.sendSync('urgent', { priority: 2 });
  const holder = another(
    name,
    `globalThis.kept = [1, 2, 3].map(() => queue.tryReceive()); kept[1].acknowledge(); say('has them'); setInterval(() => {}, 1e6);`,
  );
  await holder.line();
  queue.sendSync('d');
  await holder.kill();
  const seen: [string, number][] = [];
  for (let i = 0; i < 4; i++) {
    const delivery = queue.receiveSync();
    seen.push([delivery.value, delivery.attempt]);
    delivery.acknowledge();
  }
  assert.deepEqual(seen, [
    ['urgent', 2],
    ['b', 2],
    ['c', 1],
    ['d', 1],
  ]);
  assert.deepEqual([queue.stats().ready, queue.stats().inFlight, queue.stats().recovered], [0, 0, 2]);
});

test('Queue: one who never waits finds what the dead had too, and so does who comes later', limit, async () => {
  const name = queueName();
  const queue = await Queue.open<string>(name);
  queue.sendSync('a');
  const hold = `globalThis.kept = queue.tryReceive(); say('has it'); setInterval(() => {}, 1e6);`;
  const first = another(name, hold);
  await first.line();
  await first.kill();
  let delivery = queue.tryReceive();
  while (delivery === undefined) {
    await delay(1);
    delivery = queue.tryReceive();
  }
  assert.equal(delivery.attempt, 2);
  delivery.reject();
  const second = another(name, hold);
  await second.line();
  queue.close();
  await second.kill();
  using later = await Queue.open<string>(name);
  assert.equal(later.tryReceive()?.attempt, 4);
});

test(
  'Queue: a consumer that is stopped with a message in hand, and a producer at full speed, hold up nobody',
  limit,
  async () => {
    const name = queueName();
    using queue = await Queue.open<string>(name, { capacity: 64 });
    queue.sendSync('held');
    const holder = another(
      name,
      `globalThis.kept = queue.tryReceive(); say('has it'); process.stdin.once('data', () => { kept.acknowledge(); say('done'); process.exit(); });`,
    );
    await holder.line();
    holder.child.kill('SIGSTOP');
    const producer = another(name, `say('up'); for (let i = 0; ; i++) { queue.sendSync('p' + i); }`);
    await producer.line();
    let next = 0;
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 100 * Math.random(); i++) {
        const delivery = queue.receiveSync();
        assert.equal(delivery.value, `p${next++}`);
        delivery.acknowledge();
      }
      producer.child.kill('SIGSTOP');
      // What it has committed is there, what it was writing is not; others send and receive beside it.
      for (;;) {
        const delivery = queue.tryReceive();
        if (delivery === undefined) break;
        assert.equal(delivery.value, `p${next++}`);
        delivery.acknowledge();
      }
      for (let i = 0; i < 200; i++) {
        queue.sendSync(`mine ${i}`);
        const delivery = queue.receiveSync();
        if (delivery.value !== `mine ${i}`)
          assert.equal(delivery.value, `p${next++}`); // sent while the signal was under way
        else {
          delivery.acknowledge();
          continue;
        }
        delivery.acknowledge();
        const second = queue.receiveSync();
        assert.equal(second.value, `mine ${i}`);
        second.acknowledge();
      }
      producer.child.kill('SIGCONT');
    }
    await producer.kill();
    holder.child.kill('SIGCONT');
    holder.write('go\n');
    assert.equal(await holder.line(), 'done');
    await holder.ended;
  },
);

test(
  'Queue: a message for which two stopped consumers were woken is taken by a third, who sleeps; so it is with room',
  limit,
  async () => {
    const name = queueName();
    using queue = await Queue.open<number>(name, { capacity: 2 });
    const consumers = [0, 1, 2].map(() =>
      another(
        name,
        `say('up'); for (;;) { const { value } = globalThis.kept = queue.receiveSync(); kept.acknowledge(); say(value); }`,
      ),
    );
    for (const each of consumers) assert.equal(await each.line(), 'up');
    const stop = async (stopped: Running[]) => {
      await Promise.all(stopped.map(({ pid }) => asleep(pid)));
      for (const { child } of stopped) child.kill('SIGSTOP');
    };
    for (let i = 0; i < 3; i++) {
      const able = consumers[i]!;
      const stopped = consumers.filter((each) => each !== able);
      await asleep(able.pid);
      await stop(stopped);
      queue.sendSync(i);
      assert.equal(await able.line(), String(i));
      for (const { child } of stopped) child.kill('SIGCONT');
    }
    for (const each of consumers) await each.kill();
    for (let i = 0; i < 2; i++) queue.sendSync(i);
    const producers = [0, 1, 2, 3].map((each) => another(name, `say('up'); queue.sendSync(${each}); say('sent');`));
    for (const each of producers) assert.equal(await each.line(), 'up');
    for (const { pid } of producers) await asleep(pid);
    await delay(10); // no longer patient
    await stop(producers.slice(0, 3));
    queue.receiveSync().acknowledge();
    assert.equal(await producers[3]!.line(), 'sent');
    for (const each of producers) await each.kill();
  },
);

test('Queue: an unlinked queue whose last user is killed goes when the next queue is made', limit, async () => {
  const name = queueName();
  const user = another(name, `say('up'); setInterval(() => {}, 1e6);`);
  await user.line();
  assert.equal(Queue.unlink(name), true);
  const unlinked = () => readdirSync(process.env['VECINO_RUNTIME_DIR']!).filter((each) => each.startsWith('~')).length;
  {
    using _other = await Queue.open(queueName());
    assert.equal(unlinked(), 1, 'somebody uses it');
  }
  await user.kill();
  assert.equal(unlinked(), 1);
  using _another = await Queue.open(queueName());
  assert.equal(unlinked(), 0);
});

test('Queue: a sleeping producer goes on when the consumer dies that had its room', limit, async () => {
  const name = queueName();
  using queue = await Queue.open<number>(name, { capacity: 2 });
  const producer = another(name, `for (let i = 0; i < 4; i++) { queue.sendSync(i); say('sent ' + i); }`);
  assert.equal(await producer.line(), 'sent 0');
  assert.equal(await producer.line(), 'sent 1');
  const dying = another(
    name,
    `queue.receiveSync().acknowledge(); queue.receiveSync(); say('has it'); setInterval(() => {}, 1e6);`,
  );
  await dying.line();
  assert.equal(await producer.line(), 'sent 2');
  await asleep(producer.pid);
  await dying.kill();
  for (const [value, attempt] of [
    [1, 2],
    [2, 1],
    [3, 1],
  ]) {
    const delivery = await queue.receive();
    assert.deepEqual([delivery.value, delivery.attempt], [value, attempt]);
    delivery.acknowledge();
  }
  await producer.ended;
});

/** Kills of two producers and two consumers at work, while one of each survives. */
const KILLS = 140;
const MOST = 32768;

test(`Queue: after ${KILLS} kills the account balances: nothing lost, nothing twice without a death, nobody hangs`, {
  timeout: 300_000,
}, async () => {
  const name = queueName();
  const rows = KILLS + 8;
  // A row for each producer: how often each of its messages was seen, and its highest attempt. Then what was sent, and progress.
  const SENT = rows * MOST * 2;
  const PROGRESS = SENT + rows * 4;
  const memory = SharedMemory.create(uniqueName('account'), PROGRESS + 4096);
  const seen = new Uint8Array(memory.buffer, 0, rows * MOST);
  const attempts = new Uint8Array(memory.buffer, rows * MOST, rows * MOST);
  const sent = new Int32Array(memory.buffer, SENT, rows);
  const progress = new Int32Array(memory.buffer, PROGRESS, 1024);
  const STOP = 1023;
  using queue = await Queue.open<Uint8Array>(name, { codec: 'bytes', capacity: 48, messageSize: 64 });
  const prelude = `
    const { SharedMemory } = await import('vecino/memory');
    (await import('node:os')).setPriority(10); // those that are starting go first
    const memory = SharedMemory.open(args[0]);
    const row = Number(args[1]);
    const voice = row % 3;
    const seen = new Uint8Array(memory.buffer, 0, ${rows * MOST});
    const attempts = new Uint8Array(memory.buffer, ${rows * MOST}, ${rows * MOST});
    const sent = new Int32Array(memory.buffer, ${SENT}, ${rows});
    const progress = new Int32Array(memory.buffer, ${PROGRESS}, 1024);
    const stopped = () => Atomics.load(progress, ${STOP}) !== 0;
    const turn = () => new Promise(setImmediate);`;
  const producer = `${prelude}
    const bytes = new Uint8Array(64);
    const words = new Int32Array(bytes.buffer);
    for (let i = 0; i < ${MOST} && !stopped(); i++) {
      words[0] = row; words[1] = i;
      let sum = row * 31 + i;
      for (let k = 2; k < 15; k++) { words[k] = Math.imul(i + k, 2654435761); sum = (sum + words[k]) | 0; }
      words[15] = sum;
      const options = { priority: i & 3, type: i % 5 };
      if (voice === 0) queue.sendSync(bytes, options);
      else if (voice === 1) await queue.send(bytes, options);
      else while (!queue.trySend(bytes, options)) { await turn(); }
      Atomics.store(sent, row, i + 1);
      Atomics.add(progress, row, 1);
      if (i % 64 === 63) await new Promise((resolve) => setTimeout(resolve, 1)); // leaves time to those that are starting
    }
    setInterval(() => stopped() && process.exit(0), 20);`;
  const consumer = `${prelude}
    const take = (delivery) => {
      const { value } = delivery;
      const words = new Int32Array(value.buffer, value.byteOffset, 16);
      let sum = words[0] * 31 + words[1];
      for (let k = 2; k < 15; k++) sum = (sum + words[k]) | 0;
      if (value.length !== 64 || sum !== words[15]) throw new Error('torn: ' + words);
      if (delivery.priority !== (words[1] & 3) || delivery.type !== words[1] % 5) throw new Error('mixed up');
      const at = words[0] * ${MOST} + words[1];
      attempts[at] = Math.max(attempts[at], delivery.attempt);
      Atomics.add(seen, at, 1);
      if ((words[1] & 1023) === 5 && delivery.attempt === 1) delivery.reject();
      else delivery.acknowledge();
      Atomics.add(progress, row, 1);
    };
    if (voice === 0) while (!stopped()) { try { take(queue.receiveSync({ timeout: 100 })); } catch (error) { if (error.code !== 'ERR_VECINO_TIMEOUT') throw error; } }
    else if (voice === 1) { setInterval(() => stopped() && process.exit(0), 20); for await (const delivery of queue) take(delivery); }
    else while (!stopped()) { try { take(await queue.receive({ types: [0, 1, 2, 3, 4], timeout: 100 })); } catch (error) { if (error.code !== 'ERR_VECINO_TIMEOUT') throw error; } }
    process.exit(0);`;
  let row = 0;
  interface Worker {
    row: number;
    kind: string;
    running: Running;
  }
  const begin = (kind: string): Worker => {
    const mine = row++;
    return {
      row: mine,
      kind,
      running: another(name, kind === 'producer' ? producer : consumer, [memory.name!, String(mine)]),
    };
  };
  const ended = async (worker: Worker) => assert.fail(`a ${worker.kind} ended: ${(await worker.running.ended).stderr}`);
  const works = async (worker: Worker) => {
    const before = Atomics.load(progress, worker.row);
    for (const end = Date.now() + 60_000; Atomics.load(progress, worker.row) === before; await delay(1)) {
      if (worker.running.child.exitCode !== null) await ended(worker);
      if (worker.kind === 'producer' && Atomics.load(sent, worker.row) === MOST) return;
      if (Date.now() > end) assert.fail(`a ${worker.kind} hangs: ${JSON.stringify(queue.stats())}`);
    }
  };
  try {
    const survivors = [begin('consumer'), begin('consumer')];
    const victims = ['producer', 'consumer', 'producer', 'consumer'].map(begin);
    for (let killed = 0; killed < KILLS; killed++) {
      const index = killed % victims.length;
      const victim = victims[index]!;
      await works(victim);
      await delay(Math.random() * 4);
      victim.running.child.kill('SIGKILL');
      victims[index] = begin(victim.kind);
      const { signal, stderr } = await victim.running.ended;
      assert.deepEqual([signal, stderr], ['SIGKILL', '']);
      if (killed % 20 === 0) await works(survivors[killed % 40 === 0 ? 0 : 1]!);
    }
    Atomics.store(progress, STOP, 1);
    for (const worker of [...survivors, ...victims]) {
      const { code, stderr } = await worker.running.ended;
      assert.deepEqual([code, stderr], [0, '']);
    }
    // What is left, by one who was there all the time.
    for (;;) {
      const delivery = queue.tryReceive();
      if (delivery === undefined) {
        const { ready, inFlight } = queue.stats();
        if (ready + inFlight === 0) break;
        await delay(5);
        continue;
      }
      const words = new Int32Array(delivery.value.buffer, delivery.value.byteOffset, 16);
      const at = words[0]! * MOST + words[1]!;
      seen[at]!++;
      attempts[at] = Math.max(attempts[at]!, delivery.attempt);
      delivery.acknowledge();
    }
    let again = 0;
    let total = 0;
    for (let producer = 0; producer < row; producer++) {
      const count = sent[producer]!;
      total += count;
      for (let i = 0; i < MOST; i++) {
        const times = seen[producer * MOST + i]!;
        const attempt = attempts[producer * MOST + i]!;
        if (i < count) assert.ok(times > 0, `message ${i} of producer ${producer} is lost`);
        if (i > count) assert.equal(times, 0, `message ${i} of producer ${producer} was never sent`);
        assert.ok(times <= attempt, `message ${i} of producer ${producer}: seen ${times} times in ${attempt} attempts`);
        const rejected = (i & 1023) === 5 && times > 0 ? 1 : 0;
        if (attempt > 1) again += attempt - 1 - rejected;
      }
    }
    assert.ok(total > 10_000, `${total} messages were sent`);
    assert.ok(again <= KILLS, `${again} deliveries more than deaths explain`);
    assert.deepEqual(
      readdirSync(`${process.env['VECINO_RUNTIME_DIR']}/${name}`).filter(
        (file) => !/^(bell-\d+|control|slots)$/.test(file),
      ),
      [],
    );
  } finally {
    memory.unlink();
    memory.close();
  }
});

test(
  'Queue: killed in the middle of opening, closing and unlinking: the next one finds a queue that works',
  limit,
  async () => {
    const name = queueName();
    for (let i = 0; i < 12; i++) {
      const peer = startScript(
        `import { Queue } from 'vecino';
       console.log('up');
       for (;;) { const queue = await Queue.open(process.argv[1], { capacity: 16 }); queue.trySend(1); queue.close(); if (Math.random() < 0.5) Queue.unlink(process.argv[1]); }`,
        [name],
      );
      await peer.line();
      await delay(Math.random() * 10);
      await peer.kill();
      using queue = await Queue.open<number>(name, { capacity: 16 });
      for (let next = queue.tryReceive(); next !== undefined; next = queue.tryReceive()) next.acknowledge();
      const all = Array.from({ length: 16 }, (_, index) => queue.trySend(index));
      assert.deepEqual(new Set(all), new Set([true]));
      for (let k = 0; k < 16; k++) queue.tryReceive()!.acknowledge();
      assert.equal(queue.stats().ready, 0);
    }
  },
);
