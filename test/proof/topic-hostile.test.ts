import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startScript, temporaryFolder, uniqueName } from '../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const TRIALS = 5000;

/**
 * Publishes and subscribes under a name while random bytes are written over the shared words: positions, numbers, headings, seats, what the
 * sleepers announce. Each operation must succeed or fail with an error that belongs to it, and the process must live.
 */
const program = `
  import { IpcError } from 'vecino';
  import { Topic } from 'vecino/channel';
  import { mmap } from '#src/system/memory.js';
  import { close, open } from '#src/system/file.js';
  import { constants, native } from '#src/system/native.js';
  import { readdirSync } from 'node:fs';
  native.setParentDeathSignal(9);
  const [, base, trials, seedText] = process.argv;
  const folder = process.env.VECINO_RUNTIME_DIR;
  let seed = Number(seedText);
  const random = (n) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % n;
  const values = [0, 1, -1, 255, 4096, 0x7fffffff, -0x80000000];
  const outcomes = {};
  const note = (what) => { outcomes[what] = (outcomes[what] ?? 0) + 1; };
  /** Writes to a file of the channel as another process of this user could. */
  const spoil = (name) => {
    const files = readdirSync(folder + '/' + name).filter((file) => !file.startsWith('bell'));
    if (files.length === 0) return;
    const file = files[random(files.length)];
    const fd = open(folder + '/' + name + '/' + file, constants.O_RDWR);
    const length = file === 'control' ? 4096 + 32768 : 4096 + 4096;
    const mapping = mmap(fd, length, {});
    close(fd);
    const words = new Int32Array(mapping.buffer);
    for (let times = 1 + random(4); times > 0; times--) {
      const where = file === 'control'
        ? [random(8), 1024 + random(8) * 32 + random(32), 1024 + 255 * 32 + random(32)][random(40) === 0 ? 0 : 1 + random(2)]
        : [32, 64, 1024 + random(1024), 1024 + random(256) * 4 + random(4), random(4)][random(5)];
      words[where] = random(2) ? random(2 ** 32) : values[random(values.length)];
    }
    mapping.unmap();
  };
  let topic;
  let subscriptions;
  // Who makes it anew takes another name together with the other process, some trials later.
  const name = (trial) => base + '-' + Math.floor(trial / 50);
  let current;
  for (let trial = 0; trial < Number(trials); trial++) {
    const attempt = async (operation) => {
      try { await operation(); note('fine'); }
      catch (error) {
        if (!(error instanceof IpcError)) throw error;
        note(error.code);
        if (error.code === 'ERR_VECINO_CORRUPT') { topic?.close(); topic = undefined; }
      }
    };
    if (topic === undefined || current !== name(trial)) {
      topic?.close();
      topic = undefined;
      current = name(trial);
      await attempt(async () => {
        const made = await Topic.open(current, { capacity: 4096, spin: 0 });
        try { subscriptions = [made.subscribe(), made.subscribe({ from: 'oldest' })]; topic = made; }
        finally { if (topic === undefined) made.close(); }
      });
      if (topic === undefined) { trial += random(10); continue; }
    }
    if (random(3) > 0) spoil(current);
    const subscription = subscriptions[random(2)];
    await attempt([
      () => { for (let i = random(40); i > 0; i--) topic.tryPublish('x'.repeat(random(300))); },
      () => topic.publish({ trial }),
      () => { const loan = topic.reserve(random(2000)); loan.bytes.fill(1); random(2) ? loan.commit(random(10) === 0 ? 0 : undefined) : loan.discard(); },
      () => { for (let i = 0; i < 20; i++) subscription.tryReceive(); },
      () => subscription.receive({ timeout: 2 }),
      () => subscription.receiveSync({ timeout: 1 }),
      () => void subscription.drain((memory, offset, length) => { if (!(offset + length <= memory.length)) throw new Error('out of bounds'); }, 50),
      () => { subscription.close(); subscriptions = [topic.subscribe({ from: 'oldest' }), topic.subscribe()]; },
    ][random(8)]);
  }
  topic?.close();
  console.log(JSON.stringify(outcomes));
  process.exit(0);`;

test('Topic: random bytes over the shared words of a topic while two processes use it: an error or normal work', {
  timeout: 240_000,
}, async (t) => {
  const name = uniqueName('hostile');
  const seed = Date.now() % 1e6;
  const processes = [1, 2].map((i) => startScript(program, [name, String(TRIALS), String(seed + i)]));
  for (const { code, signal, stdout, stderr } of await Promise.all(processes.map(({ ended }) => ended))) {
    assert.deepEqual([code, signal], [0, null], `seed ${seed}: ${stderr}`);
    const outcomes = JSON.parse(stdout) as Record<string, number>;
    assert.ok(outcomes['fine']! > 0 && outcomes['ERR_VECINO_CORRUPT']! > 0, stdout);
    t.diagnostic(stdout.trim());
  }
});
