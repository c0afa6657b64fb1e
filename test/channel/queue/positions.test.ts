/** Queues that have seen so many messages that positions are above 2^31 or begin again at 0, and that generations repeat. */
import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { Queue } from 'vecino';
import { GENERATION_MASK, HIGHEST_SEAT, planOf } from '#src/lock-free/slot-queue/layout.js';
import { Messages } from '#src/lock-free/slot-queue/messages.js';
import { mmap } from '#src/system/memory.js';
import { primePosition } from '../../support/queue.js';
import { another, queueName } from './support.js';

const geometry = { capacity: 8, messageSize: 16, priorities: 1 };

/** A queue whose next message is the one at `position`. */
async function makeQueue(position: number): Promise<string> {
  const name = queueName();
  (await Queue.open(name, { codec: 'json', ...geometry })).close();
  const plan = planOf(geometry);
  const fd = openSync(`${process.env['VECINO_RUNTIME_DIR']}/${name}/slots`, 'r+');
  const mapping = mmap(fd, plan.byteLength);
  closeSync(fd);
  primePosition(new Int32Array(mapping.buffer), plan, 0, position);
  mapping.unmap();
  return name;
}

for (const [name, position] of [
  ['just below 2^31', 2 ** 31 - 20],
  ['just below 2^32', 2 ** 32 - 20],
  ['far above 2^31', 3 * 2 ** 30 + 5],
] as const) {
  test(`Queue: with positions ${name}, whoever opens it takes and gives back messages in their order`, async () => {
    const queueOf = await makeQueue(position);
    using queue = await Queue.open<number>(queueOf, { codec: 'json' });
    for (let round = 0; round < 6; round++) {
      const first = round * 5;
      for (let i = 0; i < 5; i++) queue.sendSync(first + i);
      const held = queue.receiveSync();
      assert.equal(held.value, first);
      const other = another(
        queueOf,
        `const [one, two, three] = [queue.receiveSync(), queue.receiveSync(), queue.receiveSync()];
         one.reject();
         say([one, two, three].map(({ value }) => value).join());
         process.stdin.once('data', () => {}); // holds the others until it is killed`,
      );
      assert.equal(await other.line(), [first + 1, first + 2, first + 3].join());
      held.reject();
      const anew = await Queue.open<number>(queueOf, { codec: 'json' });
      for (const who of [queue, anew]) {
        const delivery = who.receiveSync();
        assert.equal(delivery.value, who === queue ? first : first + 1);
        if (who === queue) delivery.acknowledge();
        else delivery.reject();
      }
      anew.close();
      await other.kill();
      const rest = [1, 2, 3, 4].map(() => {
        const delivery = queue.receiveSync();
        delivery.acknowledge();
        return delivery.value;
      });
      // Those of the dead come when somebody has looked for them, but never behind younger ones that come later.
      assert.deepEqual(
        rest.toSorted(),
        [1, 2, 3, 4].map((i) => first + i),
      );
      assert.equal(rest[0], first + 1);
    }
  });
}

test('Queue: what lies there and what is in hand while the generations of a seat repeat is still one message each, in its place', async () => {
  using queue = await Queue.open<number>(queueName(), { codec: 'json', capacity: 8, messageSize: 16 });
  queue.sendSync(-3);
  const held = queue.receiveSync();
  for (const left of [-2, -1]) queue.sendSync(left, { type: 1 });
  // Two words each: more than once round.
  const count = (GENERATION_MASK + 1) / 2 + 1000;
  for (let i = 0; i < count; i++) {
    assert.ok(queue.trySend(i));
    const delivery = queue.tryReceive({ types: [0] })!;
    if (delivery.value !== i) assert.equal(delivery.value, i);
    delivery.acknowledge();
  }
  held.reject();
  for (const left of [-3, -2, -1]) {
    const delivery = queue.receiveSync();
    assert.equal(delivery.value, left);
    delivery.acknowledge();
  }
  assert.deepEqual([queue.stats().ready, queue.stats().inFlight], [0, 0]);
});

test('Queue: one who is about to clear an entry for another, and is stopped for a million messages, clears no other entry', () => {
  const plan = planOf({ capacity: 2, messageSize: 1, priorities: 1 });
  const buffer = new ArrayBuffer(plan.byteLength);
  new Int32Array(buffer)[HIGHEST_SEAT] = 3;
  const [stopped, others, consumer] = [0, 1, 2].map((seat) => new Messages(buffer, plan, seat)) as [
    Messages,
    Messages,
    Messages,
  ];
  const payload = new Uint8Array(1);
  const pass = () => {
    const slot = others.take(undefined);
    assert.notEqual(slot, -1);
    others.acknowledge(slot, others.word);
  };
  // The consumer is slow to clear the first entry, until the ring of 32 has come round to it.
  stopped.put(payload, 0, 0);
  const slow = consumer.indexes[0]!;
  let finish: (() => void) | undefined;
  slow.clear = (position, entry) => {
    finish = () => Object.getPrototypeOf(slow).clear.call(slow, position, entry);
  };
  const slot = consumer.take(undefined);
  const index = stopped.indexes[0]!;
  let entered = false;
  index.clear = (position, entry) => {
    entered = true;
    finish!();
    consumer.acknowledge(slot, consumer.word);
    for (let i = 0; i < 2 ** 20 + 64; i++) {
      others.put(payload, 0, 0);
      if (!index.has(position, entry)) pass();
      else break; // the same entry once more, of another message
    }
    Object.getPrototypeOf(index).clear.call(index, position, entry);
  };
  while (!entered) {
    stopped.put(payload, 0, 0);
    if (!entered) pass();
  }
  for (let left = others.count().ready; left > 0; left--) pass();
  assert.equal(others.take(undefined), -1);
});
