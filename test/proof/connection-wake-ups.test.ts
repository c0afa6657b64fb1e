/** No wake-up is lost: a million times one side sends just before it sleeps, and the other just before it is woken. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { listen } from 'vecino';
import { RingConsumer } from '#src/lock-free/ring/consumer.js';
import { MESSAGE } from '#src/lock-free/ring/layout.js';
import { root, start, temporaryFolder, uniqueName } from '../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();

/** Two processes on one processor: there nobody can look while the other writes, so each message is a sleep and a wake-up. */
async function rounds(count: number, loop: (role: 'ask' | 'answer') => string): Promise<void> {
  const name = uniqueName();
  await using listener = await listen(name, { codec: 'bytes' });
  listener.close();
  const run = (role: 'ask' | 'answer') =>
    start(
      'taskset',
      [
        '-c',
        '0',
        process.execPath,
        '--input-type=module',
        '--eval',
        `import { connect, listen } from 'vecino';
         const options = { codec: 'bytes', spin: 0 };
         const connection = await (${role === 'answer'}
           ? listen('${name}', options).then((listener) => (console.log('up'), listener.accept()))
           : connect('${name}', options));
         const message = new Uint8Array(8);
         const count = ${count};
         let done = 0;
         ${loop(role)}
         console.log('done ' + done);`,
      ],
      { cwd: root },
    );
  const answer = run('answer');
  assert.equal(await answer.line(), 'up');
  const ask = run('ask');
  assert.equal(await ask.line(), `done ${count}`);
  assert.equal(await answer.line(), `done ${count}`);
  await Promise.all([ask.ended, answer.ended]);
}

test('Connection: 900,000 sleeps and wake-ups by the blocking voice', { timeout: 600_000 }, () =>
  rounds(450_000, (role) =>
    role === 'ask'
      ? 'for (; done < count; done++) { connection.sendSync(message); connection.receiveSync(); }'
      : 'for (; done < count; done++) { connection.receiveSync(); connection.sendSync(message); }',
  ),
);
test('Connection: 100,000 sleeps and wake-ups in the event loop', { timeout: 600_000 }, () =>
  rounds(50_000, (role) =>
    role === 'ask'
      ? 'for (; done < count; done++) { await connection.send(message); await connection.receive(); }'
      : 'for (; done < count; done++) { await connection.receive(); await connection.send(message); }',
  ),
);

/**
 * Who has read 256 records without sleep tells the producer to look no more whether it sleeps, and makes up for that by a barrier before
 * it does: each round is longer than that, and its last record races with the announcement. Without the barrier some are lost.
 */
test('Connection: 60,000 sleeps of a consumer that was busy before', { timeout: 600_000 }, async (t) => {
  if (availableParallelism() < 2) return t.skip('on one processor nothing happens at the same time');
  const rounds = 60_000;
  const capacity = 8192;
  const memory = new SharedArrayBuffer(4096 + capacity);
  const [RUNG, ROUND] = [0, 16];
  const shared = new Int32Array(new SharedArrayBuffer(128));
  const producer = new Worker(
    `import('#src/lock-free/ring/producer.js').then(({ RingProducer }) => {
       const { memory, shared } = require('node:worker_threads').workerData;
       const ring = new RingProducer(memory, 0, 4096, ${capacity});
       const bytes = new Uint8Array(8);
       const send = () => {
         while (!ring.write(bytes, ${MESSAGE}));
         if (ring.quiet || ring.alarm() !== 'wake') return;
         Atomics.store(shared, ${RUNG}, 1);
         Atomics.notify(shared, ${RUNG});
       };
       for (let round = 0; round < ${rounds}; round++) {
         while (Atomics.load(shared, ${ROUND}) !== round);
         for (let i = 0; i < 256; i++) send();
         for (let moment = (round * 7) % 211; moment > 0; moment--) Atomics.load(shared, 24);
         send();
       }
     });`,
    { eval: true, workerData: { memory, shared } },
  );
  t.after(() => producer.terminate());
  const ring = new RingConsumer(memory as unknown as ArrayBuffer, 0, 4096, capacity);
  ring.mayBeBusy = true;
  const take = () => {
    const found = ring.next() >= 0;
    if (!found || ring.release()) ring.publish();
    return found;
  };
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < 256; i++) while (!take());
    for (let moment = round % 61; moment > 0; moment--) Atomics.load(shared, 24);
    ring.announceSleep();
    while (!take()) {
      assert.notEqual(Atomics.wait(shared, RUNG, 0, 30_000), 'timed-out', `round ${round}: ready is ${ring.ready}`);
      Atomics.store(shared, RUNG, 0);
      // It may have been for the record before, whose producer looked at us only now: the announcement is spent, so make it anew.
      ring.announceSleep();
    }
    Atomics.store(shared, RUNG, 0);
    ring.awake();
    Atomics.store(shared, ROUND, round + 1);
  }
});
