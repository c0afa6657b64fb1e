import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { CorruptError, Queue, TimeoutError } from 'vecino';
import { PRODUCER_TICKETS, planOf } from '#src/lock-free/slot-queue/layout.js';
import { mmap } from '#src/system/memory.js';
import { another, queueName } from './support.js';

/** Trials; each spoils a word while the queue is in use. */
const TRIALS = 10_000;
const geometry = { capacity: 16, messageSize: 64, priorities: 3 };
const file = (name: string) => `${process.env['VECINO_RUNTIME_DIR']}/${name}/slots`;

/** A whole number below `below`, the same in each run. */
let state = 12345;
function random(below: number): number {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
  return Math.floor((state / 0x80000000) * below);
}

test(`${TRIALS} random words in random places: CorruptError or normal work`, { timeout: 300_000 }, async () => {
  const plan = planOf(geometry);
  let corrupt = 0;
  let worked = 0;
  let name = '';
  let queues: Queue<Uint8Array>[] = [];
  let words = new Int32Array(0);
  let unmap = () => {};
  const renew = async () => {
    for (const queue of queues) queue.close();
    unmap();
    if (name !== '') Queue.unlink(name);
    name = queueName();
    queues = [];
    for (let i = 0; i < 2; i++)
      queues.push(await Queue.open<Uint8Array>(name, { codec: 'bytes', spin: 0, ...geometry }));
    const fd = openSync(file(name), 'r+');
    const mapping = mmap(fd, plan.byteLength);
    closeSync(fd);
    words = new Int32Array(mapping.buffer);
    unmap = () => mapping.unmap();
  };
  const value = new Uint8Array(64);
  const use = () => {
    for (let step = 0; step < 6; step++) {
      const queue = queues[random(2)]!;
      try {
        if (random(2) === 0) queue.trySend(value.subarray(0, random(65)), { priority: random(3), type: random(3) });
        else {
          const delivery = queue.tryReceive(random(2) === 0 ? {} : { types: [random(3)] });
          if (delivery === undefined) continue;
          assert.ok(delivery.value.length <= 64 && delivery.attempt > 0);
          if (random(4) === 0) delivery.reject();
          else if (random(8) > 0) delivery.acknowledge();
        }
        worked++;
      } catch (error) {
        if (!(error instanceof CorruptError)) throw error;
        corrupt++;
      }
    }
  };
  // The states, the entries and the headers more often than the payloads.
  const places = [() => random(words.length), () => random(plan.slots), () => plan.states + random(plan.capacity)];
  const values = [() => random(2 ** 31) * 2, () => random(8), () => words[random(words.length)]!, () => -1 - random(3)];
  try {
    for (let trial = 0; trial < TRIALS; trial++) {
      if (trial % 20 === 0) await renew();
      use();
      const at = places[random(places.length)]!();
      if (random(2) === 0) words[at] = values[random(values.length)]!();
      else words[at]! ^= 1 << random(32);
      use();
      if (trial % 50 === 0) {
        // The voices that wait end as they should, whatever they see.
        for (const wait of [
          () => queues[0]!.receive({ timeout: 1 }),
          () => queues[1]!.send(value, { timeout: 1 }),
          async () => queues[0]!.receiveSync({ timeout: 1 }),
          async () => queues[1]!.sendSync(value, { timeout: 1 }),
        ]) {
          try {
            const delivery = await wait();
            delivery?.acknowledge();
          } catch (error) {
            if (!(error instanceof CorruptError || error instanceof TimeoutError)) throw error;
          }
        }
        queues[0]!.stats();
      }
    }
  } finally {
    for (const queue of queues) queue.close();
    unmap();
  }
  assert.ok(worked > TRIALS && corrupt > 0, `${worked} worked, ${corrupt} were refused`);
});

test('Queue: two processes at work while the memory is spoiled end as they should', { timeout: 120_000 }, async () => {
  const plan = planOf(geometry);
  for (let round = 0; round < 4; round++) {
    const name = queueName();
    using queue = await Queue.open<Uint8Array>(name, { codec: 'bytes', ...geometry });
    const body = (work: string) => `
      const value = new Uint8Array(64);
      say('up');
      for (const end = performance.now() + 600; performance.now() < end; ) {
        try { ${work} } catch (error) { if (!/CORRUPT|TIMEOUT/.test(error.code)) throw error; }
      }
      process.exit(0);`;
    const peers = [
      another(name, body(`queue.sendSync(value, { priority: 1, timeout: 20 });`)),
      another(name, body(`queue.receiveSync({ timeout: 20 }).acknowledge();`)),
      another(name, body(`(await queue.receive({ timeout: 20 })).reject();`)),
    ];
    for (const peer of peers) await peer.line();
    const fd = openSync(file(name), 'r+');
    const mapping = mmap(fd, plan.byteLength);
    closeSync(fd);
    const words = new Int32Array(mapping.buffer);
    for (let i = 0; i < 1500; i++) {
      const at = random(2) === 0 ? PRODUCER_TICKETS + random(300) : random(words.length);
      words[at] = random(3) === 0 ? random(2 ** 31) : words[at]! ^ (1 << random(32));
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    mapping.unmap();
    for (const peer of peers) {
      const { code, stderr } = await peer.ended;
      assert.deepEqual([code, stderr], [0, '']);
    }
    assert.equal(queue.name, name);
  }
});

test('Queue: a file that is cut under those who use it is a CorruptError', async () => {
  const name = queueName();
  const queue = await Queue.open<string>(name, { ...geometry });
  const fd = openSync(file(name), 'r+');
  ftruncateSync(fd, 4096);
  closeSync(fd);
  await assert.rejects(async () => {
    for (;;) {
      queue.trySend('x');
      (await queue.receive({ timeout: 50 })).acknowledge();
    }
  }, CorruptError);
  queue.close();
  await assert.rejects(Queue.open(name), CorruptError);
  assert.equal(Queue.unlink(name), true);
});

test('Queue: a control file with impossible sizes, or none, is refused', async () => {
  for (const [from, to] of [
    ['"capacity":16', '"capacity":99'],
    ['"capacity":16', '"capacity":00'],
    ['"messageSize":64', '"messageSize":99'],
    ['"priorities":3', '"priorities":9'],
    ['"kind":"queue"', '"kind":"quiet"'],
  ] as const) {
    const name = queueName();
    (await Queue.open(name, geometry)).close();
    const control = `${process.env['VECINO_RUNTIME_DIR']}/${name}/control`;
    const at = readFileSync(control).indexOf(from);
    assert.ok(at > 0);
    const fd = openSync(control, 'r+');
    writeSync(fd, to, at);
    closeSync(fd);
    await assert.rejects(Queue.open(name), CorruptError);
    assert.equal(Queue.unlink(name), true);
  }
});
