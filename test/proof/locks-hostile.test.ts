import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { segment } from '../support/locks.js';
import { runScript, startScript } from '../support/processes.js';

const limit = { timeout: 240_000 };

/**
 * Uses one lock while its memory is overwritten with random bytes. Each operation has a time-out; what comes of it must be an error
 * that belongs to it or its success, and the process must live.
 */
const program = `
  import { Barrier, Condition, IpcError, Mutex, RwLock, SharedMemory } from 'vecino';
  const [name, kind, rounds, seedText] = process.argv.slice(1);
  const memory = SharedMemory.open(name);
  const bytes = new Uint8Array(memory.buffer);
  let seed = Number(seedText);
  const random = (n) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % n;
  const size = { mutex: 40, rwlock: RwLock.byteLength, condition: 16, barrier: Barrier.byteLength }[kind];
  const scribble = () => {
    // Now and then a few bytes, often a word, sometimes all of it: what it was is restored before the next round in half of the cases.
    const how = random(8);
    if (how === 0) for (let i = 0; i < size; i++) bytes[i] = random(256);
    else if (how < 4) bytes[random(size)] = random(256);
    else if (how < 7) for (let i = 0, at = random(size / 4) * 4; i < 4; i++) bytes[at + i] = random(256);
    else bytes.fill(random(2) * 255, 0, size);
  };
  const own = () => { const words = new Int32Array(memory.buffer); words[0] = random(2) ? process.pid : process.ppid; };
  const options = { timeout: 2 };
  const make = {
    mutex: () => { const lock = Mutex.create(memory); return [async () => lock.lock(options), async () => lock.lockSync(options), async () => lock.tryLock()]; },
    rwlock: () => { const lock = RwLock.create(memory); return [
      async () => lock.read(options), async () => lock.readSync(options), async () => lock.tryRead(),
      async () => lock.write(options), async () => lock.writeSync(options), async () => lock.tryWrite()]; },
    condition: () => {
      const mutex = Mutex.create(memory, 8192); const condition = Condition.create(memory);
      const within = (wait) => async () => { const guard = mutex.lockSync(options); try { setImmediate(() => { try { condition.notifyAll(); } catch {} }); await wait(guard); } catch (error) { if (guard.held) guard.release(); throw error; } return guard; };
      return [within((guard) => condition.wait(guard, options)), within(async (guard) => condition.waitSync(guard, options)), async () => { condition.notifyOne(); return null; }];
    },
    barrier: () => { const barrier = Barrier.create(memory, 0, 2); return [
      async () => { await Promise.all([barrier.wait(options).finally(scribble), barrier.wait(options)]); return null; },
      async () => { barrier.waitSync(options); return null; },
      async () => { barrier.reset(); return null; }]; },
  }[kind];
  let voices = make();
  const outcomes = {};
  for (let i = 0; i < Number(rounds); i++) {
    if (random(2) === 0) voices = make();
    if (random(3) > 0) scribble();
    if (random(16) === 0) own();
    let outcome = 'ok';
    try {
      const guard = await voices[random(voices.length)]();
      if (guard !== null) {
        if (random(2)) scribble();
        if (guard.ownerDied && random(2)) guard.markConsistent();
        guard.release();
      }
    } catch (error) {
      if (!(error instanceof IpcError)) throw error;
      outcome = error.code;
    }
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  // After all that a new lock works.
  for (const voice of make()) if (kind === 'mutex' || kind === 'rwlock') (await voice()).release();
  console.log(JSON.stringify(outcomes));
  process.exit(0);`;

for (const kind of ['mutex', 'rwlock', 'condition', 'barrier']) {
  test(
    `Locks: random bytes over a ${kind}: an error or a wrong exclusion, never a crash or a hang`,
    limit,
    async (t) => {
      using memory = segment();
      const outcomes = await runScript(program, [memory.name!, kind, '600', String(Date.now() % 1e6)]);
      t.diagnostic(outcomes.trim());
    },
  );

  test(`Locks: random bytes over a ${kind} while three processes use it`, limit, async () => {
    using memory = segment();
    const processes = [1, 2, 3].map((seed) => startScript(program, [memory.name!, kind, '200', String(seed)]));
    for (const { ended } of processes) {
      const { code, signal, stderr } = await ended;
      // The last check of a process may meet the others' bytes: only its errors are of no interest then.
      assert.ok(
        code === 0 || (signal === null && /IpcError|SystemError|CorruptError|TimeoutError|PeerDied/.test(stderr)),
        stderr,
      );
    }
  });
}
