/** Locks and semaphores that the kernel or the C library keeps, under load: four processes count to a million together. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Semaphore, SharedMemory, SysVSemaphore } from 'vecino';
import { runScript, temporaryFolder, uniqueName } from '../support/processes.js';

const PROCESSES = 4;
const EACH = 250_000;
const limit = { timeout: 280_000 };
const folder = temporaryFolder();

/** Each process runs `open`, and then `around` a step that two at once would get wrong. */
async function count(open: string, around: (step: string) => string, args: string[]): Promise<number> {
  const memory = SharedMemory.create(uniqueName('count'), 4096);
  const source = `
    import { FileLock, Semaphore, SharedMemory, SysVSemaphore } from 'vecino';
    const [, memoryName, ...args] = process.argv;
    const words = new Int32Array(SharedMemory.open(memoryName).buffer);
    ${open}
    for (let i = 0; i < ${EACH}; i++) { ${around('words[0] = words[0] + 1;')} }`;
  await Promise.all(Array.from({ length: PROCESSES }, () => runScript(source, [memory.name!, ...args])));
  const counted = new Int32Array(memory.buffer)[0]!;
  memory.unlink();
  memory.close();
  return counted;
}

test('Permits: a file lock lets them count exactly', limit, async () => {
  const path = join(folder, 'count');
  writeFileSync(path, '');
  const counted = await count(
    'const lock = FileLock.open(args[0]);',
    (step) => `const guard = lock.exclusiveSync(); ${step} guard.release();`,
    [path],
  );
  assert.equal(counted, PROCESSES * EACH);
});

test('Permits: a System V semaphore lets them count exactly', limit, async () => {
  using set = SysVSemaphore.create('private', [1]);
  try {
    const counted = await count(
      `const set = SysVSemaphore.open({ id: Number(args[0]) });
       const take = [{ index: 0, delta: -1, undo: true }], give = [{ index: 0, delta: 1, undo: true }];`,
      (step) => `set.operateSync(take); ${step} set.operateSync(give);`,
      [String(set.id)],
    );
    assert.equal(counted, PROCESSES * EACH);
    assert.deepEqual(set.values(), [1]);
  } finally {
    set.remove();
  }
});

test('Permits: a POSIX semaphore lets them count exactly', limit, async () => {
  using semaphore = Semaphore.create(uniqueName('count'), 1);
  try {
    const counted = await count(
      'const semaphore = Semaphore.open(args[0]);',
      (step) => `semaphore.acquireSync(); ${step} semaphore.release();`,
      [semaphore.name!],
    );
    assert.equal(counted, PROCESSES * EACH);
    assert.equal(semaphore.value, 1);
  } finally {
    semaphore.unlink();
  }
});
