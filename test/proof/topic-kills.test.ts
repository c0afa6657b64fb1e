import '../support/leaks.js';
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { SharedMemory, Topic } from 'vecino';
import { startScript, temporaryFolder, uniqueName } from '../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const KILLS = 120;
const PROCESSES = 5;
const CAPACITY = 65536;
/** Words of each process: what it has published, what it has received. */
const PUBLISHED = 0;
const RECEIVED = 1;
const BROKEN = 2 * (KILLS + PROCESSES + 2);

/** A message is: who published it, its number there, a checksum, and bytes that follow from both. */
const MESSAGES = `
  const make = (who, number, length) => {
    const bytes = new Uint8Array(12 + length);
    const words = new Int32Array(bytes.buffer, 0, 3);
    words[0] = who;
    words[1] = number;
    for (let i = 12; i < bytes.length; i++) bytes[i] = who + number + i;
    words[2] = sum(bytes);
    return bytes;
  };
  const sum = (bytes) => {
    let sum = bytes.length;
    for (let i = 0; i < bytes.length; i++) if (i < 8 || i >= 12) sum = (Math.imul(sum, 31) + bytes[i]) | 0;
    return sum;
  };
  const read = (bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return { who: view.getInt32(0, true), number: view.getInt32(4, true), whole: view.getInt32(8, true) === sum(bytes) };
  };`;
const { make, read } = new Function(`${MESSAGES} return { make, read };`)() as {
  make(who: number, number: number, length: number): Uint8Array;
  read(bytes: Uint8Array): { who: number; number: number; whole: boolean };
};

const program = `
  import { Topic } from 'vecino/channel';
  import { SharedMemory } from 'vecino/memory';
  import { native } from '#src/system/native.js';
  import { setPriority } from 'node:os';
  native.setParentDeathSignal(9);
  setPriority(5); // those that are starting go first
  ${MESSAGES}
  const [, memoryName, name, slot, role] = process.argv;
  const words = new Int32Array(SharedMemory.open(memoryName).buffer);
  const me = Number(slot);
  const topic = await Topic.open(name, { codec: 'bytes', spin: 0 });
  const publish = async () => {
    for (let number = 0; ; number++) {
      const bytes = make(me, number, (number * 37) % (number % 50 === 0 ? 20000 : 300));
      if (number % 3 === 0) {
        const loan = topic.reserve(bytes.length);
        loan.bytes.set(bytes);
        loan.commit();
      } else if (number % 3 === 1) topic.tryPublish(bytes);
      else await topic.publish(bytes);
      words[me * 2 + ${PUBLISHED}]++;
      if (number % 8 === 7) await new Promise((resolve) => setTimeout(resolve, number % 3)); // others go to sleep
    }
  };
  const subscribe = async () => {
    const subscription = topic.subscribe({ from: me % 2 === 0 ? 'oldest' : 'now' });
    const last = new Map();
    for (let i = 0; ; i++) {
      const { who, number, whole } = read(i % 7 === 0 ? subscription.receiveSync() : await subscription.receive());
      if (!whole || number <= (last.get(who) ?? -1)) Atomics.add(words, ${BROKEN}, 1);
      last.set(who, number);
      words[me * 2 + ${RECEIVED}]++;
    }
  };
  if (role !== 'subscribe') publish();
  if (role !== 'publish') subscribe();
`;

test('Topic: publishers and subscribers killed at random: all that was published is received or counted as lost, and nobody hangs', {
  timeout: 240_000,
}, async (t) => {
  const name = uniqueName('topic');
  const folder = join(process.env['VECINO_RUNTIME_DIR']!, name);
  const shared = SharedMemory.create(uniqueName('kills'), 4 * (BROKEN + 1));
  const words = new Int32Array(shared.buffer);
  const topic = await Topic.open(name, { codec: 'bytes', capacity: CAPACITY, spin: 0 });
  // One that keeps up if it can, and one that looks now and then only.
  const keen = topic.subscribe();
  const slow = topic.subscribe();
  const seen = [keen, slow].map(() => new Map<number, number>());
  const account = (which: number, bytes: Uint8Array) => {
    const { who, number, whole } = read(bytes);
    assert.ok(whole, `message ${number} of ${who} is torn`);
    assert.ok(
      number > (seen[which]!.get(who) ?? -1),
      `message ${number} of ${who} came after ${seen[which]!.get(who)}`,
    );
    seen[which]!.set(who, number);
  };
  const loop = (async () => {
    for await (const bytes of keen) account(0, bytes);
  })();

  let started = 0;
  const roles = ['both', 'publish', 'subscribe', 'publish', 'both'];
  const start = () => {
    const role = roles[started % roles.length]!;
    const running = startScript(program, [shared.name!, name, String(started), role]);
    return { slot: started++, role, running };
  };
  type Victim = ReturnType<typeof start>;
  const done = ({ slot, role }: Victim) =>
    [
      role === 'subscribe' ? [] : [words[slot * 2 + PUBLISHED]!],
      role === 'publish' ? [] : [words[slot * 2 + RECEIVED]!],
    ].flat();
  /** It has done more of each. */
  const works = async (victim: Victim, since = done(victim)) => {
    while (!done(victim).every((count, i) => count > since[i]!)) {
      const { child } = victim.running;
      if (child.exitCode !== null) assert.fail(`a process ended by itself: ${(await victim.running.ended).stderr}`);
      await delay(1);
    }
  };
  const alive: Victim[] = Array.from({ length: PROCESSES }, start);
  const kept = startScript(program, [shared.name!, name, String(KILLS + PROCESSES), 'both']);
  const survivor: Victim = { slot: KILLS + PROCESSES, role: 'both', running: kept };
  await works(survivor);
  for (let killed = 0; killed < KILLS; ) {
    const index = killed % PROCESSES;
    await works(alive[index]!);
    if (killed % 7 === 0)
      for (let bytes = slow.tryReceive(); bytes !== undefined; bytes = slow.tryReceive()) account(1, bytes);
    const indexes = killed % 4 === 3 && killed + 2 <= KILLS ? [index, (index + 1) % PROCESSES] : [index];
    await delay(Math.random() * 6);
    for (const each of indexes) alive[each]!.running.child.kill('SIGKILL');
    killed += indexes.length;
    for (const each of indexes) {
      const { code, signal, stderr } = await alive[each]!.running.ended;
      assert.deepEqual([code, signal, stderr], [null, 'SIGKILL', '']);
      alive[each] = start();
    }
    await works(survivor);
  }
  await Promise.all(alive.map((victim) => works(victim)));
  await Promise.all([...alive, survivor].map(({ running }) => running.kill()));
  assert.equal(words[BROKEN], 0);

  // Now nobody publishes any more: a last message of ours shows that everything before has arrived.
  const rings = readdirSync(folder).filter((file) => file.startsWith('ring-')).length;
  assert.ok(rings <= PROCESSES + 2, `${rings} rings`);
  const me = KILLS + PROCESSES + 1;
  topic.tryPublish(make(me, 0, 10));
  while (!seen[0]!.has(me)) await new Promise(setImmediate);
  for (let bytes = slow.tryReceive(); bytes !== undefined; bytes = slow.tryReceive()) account(1, bytes);
  const counted = Array.from({ length: me }, (_, slot) => words[slot * 2 + PUBLISHED]!).reduce((a, b) => a + b, 1);
  const publishers = Array.from({ length: me }, (_, slot) => slot).filter((slot) => words[slot * 2 + PUBLISHED]! > 0);
  for (const subscription of [keen, slow]) {
    const total = subscription.received + subscription.lost;
    // Whoever was killed between publishing and counting has published one more.
    assert.ok(total >= counted && total <= counted + publishers.length, `${total} received or lost of ${counted}`);
  }
  assert.equal(keen.received + keen.lost, slow.received + slow.lost);
  assert.ok(slow.lost > 0);
  if (keen.lost === 0) {
    for (const slot of publishers) {
      const more = seen[0]!.get(slot)! + 1 - words[slot * 2 + PUBLISHED]!;
      assert.ok(more === 0 || more === 1, `of publisher ${slot}, ${more} more than it says arrived`);
    }
  }
  t.diagnostic(`${keen.received} received and ${keen.lost} lost, ${slow.received} and ${slow.lost}; ${rings} rings`);
  topic.close();
  await loop;
  shared.unlink();
  shared.close();
  assert.ok(!existsSync(folder));
});
