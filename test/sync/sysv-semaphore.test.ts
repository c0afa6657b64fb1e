import '../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { ClosedError, type SemaphoreOperation, SystemError, SysVSemaphore, TimeoutError } from 'vecino';
import { semaphoreLimits } from '#src/system/sysv-semaphore.js';
import { compile, runScript, start, startScript, temporaryFolder } from '../support/processes.js';

const isSystemError = (code: string) => (error: unknown) => error instanceof SystemError && error.code === code;
const bad = <T>(value: unknown) => value as T;
let keys = 0;
const uniqueKey = () => (0x77000000 | ((process.pid & 0xffff) << 8) | keys++) >>> 0;
const made = new Set<SysVSemaphore>();
after(() => {
  for (const set of made) set.remove();
});
function fresh(...values: number[]): SysVSemaphore {
  const set = SysVSemaphore.create('private', values);
  made.add(set);
  return set;
}
const take = (index = 0, delta = -1): SemaphoreOperation[] => [{ index, delta }];
const give = (index = 0, delta = 1): SemaphoreOperation[] => [{ index, delta }];
/** Resolves once `threads` wait for semaphore `index`. */
async function waiting(set: SysVSemaphore, threads: number, index = 0): Promise<void> {
  while (set.state(index).waitingForMore + set.state(index).waitingForZero < threads) await delay(1);
}
const folder = temporaryFolder();
const semop = compile(
  folder,
  'semop',
  `#include <stdio.h>
#include <stdlib.h>
#include <sys/sem.h>
int main(int argc, char **argv) { // id, then for each operation: index delta flags
  struct sembuf ops[16];
  int n = 0;
  for (int i = 2; i + 2 < argc; i += 3) ops[n++] = (struct sembuf){atoi(argv[i]), atoi(argv[i + 1]), atoi(argv[i + 2])};
  if (semop(atoi(argv[1]), ops, n) != 0) { perror("semop"); return 1; }
  puts("done"); fflush(stdout);
  getchar();
  return 0;
}`,
);

test('SysVSemaphore: processes share a set by key and by id', async () => {
  const key = uniqueKey();
  using set = SysVSemaphore.create(key, [2, 0, 7]);
  const output = await runScript(
    `import { SysVSemaphore } from 'vecino';
     const byKey = SysVSemaphore.open(Number(process.argv[1]));
     const byId = SysVSemaphore.open({ id: Number(process.argv[2]) });
     await byKey.operate([{ index: 0, delta: -2 }, { index: 1, delta: 3 }]);
     console.log(byKey.id === byId.id, byId.count, byId.values().join());`,
    [String(key), String(set.id)],
  );
  assert.equal(output, 'true 3 0,3,7\n');
  assert.deepEqual(set.values(), [0, 3, 7]);
  const status = set.status();
  assert.deepEqual([status.count, status.mode, status.uid, status.key >>> 0], [3, 0o600, process.getuid!(), key]);
  assert.ok(status.lastOperation! >= status.lastChange);
  assert.throws(() => SysVSemaphore.create(key, [1]), isSystemError('EEXIST'));
  assert.equal(set.remove(), true);
  assert.equal(set.remove(), false);
  assert.throws(() => SysVSemaphore.open(key), isSystemError('ENOENT'));
});

test('SysVSemaphore: ipcs shows the set', () => {
  const key = uniqueKey();
  using set = SysVSemaphore.create(key, [1, 2], { mode: 0o640 });
  const row = execFileSync('ipcs', ['-s'], { encoding: 'utf8' })
    .split('\n')
    .find((line) => line.includes(`0x${key.toString(16)}`));
  assert.deepEqual(row?.trim().split(/\s+/).slice(1, 2), [String(set.id)]);
  assert.match(row!, /640\s+2\s*$/);
  set.remove();
});

test('SysVSemaphore: operations are done together or not at all', () => {
  using set = fresh(1, 0);
  assert.equal(
    set.tryOperate([
      { index: 0, delta: -1 },
      { index: 1, delta: -1 },
    ]),
    false,
  );
  assert.deepEqual(set.values(), [1, 0]);
  assert.equal(
    set.tryOperate([
      { index: 1, delta: 1 },
      { index: 0, delta: -1 },
      { index: 1, delta: -1 },
    ]),
    true,
  );
  assert.deepEqual(set.values(), [0, 0]);
});

test('SysVSemaphore: a delta of 0 waits until the value is 0', async () => {
  using set = fresh(2);
  const zero = [{ index: 0, delta: 0 }];
  assert.equal(set.tryOperate(zero), false);
  assert.throws(() => set.operateSync(zero, { timeout: 5 }), TimeoutError);
  const done = set.operate(zero);
  await waiting(set, 1);
  assert.equal(set.state(0).waitingForZero, 1);
  assert.equal(set.tryOperate(take(0, -2)), true);
  await done;
  set.operateSync(zero);
});

test('SysVSemaphore: all three voices wait for permits, and give them', async () => {
  using set = fresh(0);
  assert.equal(set.tryOperate(take()), false);
  assert.throws(() => set.operateSync(take(), { timeout: 10 }), TimeoutError);
  assert.throws(() => set.operateSync(take(), { timeout: 0 }), TimeoutError);
  await assert.rejects(set.operate(take(), { timeout: 10 }), TimeoutError);
  await assert.rejects(set.operate(take(), { timeout: 0 }), TimeoutError);
  const wait = set.operate(take());
  set.operateSync(give());
  await wait;
  const c = start(semop, [String(set.id), '0', '-1', '0']);
  await waiting(set, 1);
  await set.operate(give(0, 2));
  assert.equal(await c.line(), 'done');
  set.operateSync(take());
  assert.deepEqual(set.values(), [0]);
  const blocked = startScript(
    `import { SysVSemaphore } from 'vecino';
     SysVSemaphore.open({ id: Number(process.argv[1]) }).operateSync([{ index: 0, delta: -1 }]);`,
    [String(set.id)],
  );
  await waiting(set, 1);
  assert.equal(set.state(0).lastProcess, process.pid);
  set.tryOperate(give());
  assert.equal((await blocked.ended).code, 0);
  await c.kill();
});

test('SysVSemaphore: equal operations are done in the order of the calls, by one thread; others go past them', async () => {
  using set = fresh(0, 0);
  const order: number[] = [];
  const waits = Array.from({ length: 500 }, async (_, i) => {
    await set.operate(take());
    order.push(i);
  });
  const other = set.operate(take(1));
  await waiting(set, 1);
  await waiting(set, 1, 1);
  assert.equal(set.state(0).waitingForMore, 1);
  set.operateSync(give(1));
  await other;
  set.operateSync(give(0, 500));
  await Promise.all(waits);
  assert.deepEqual(
    order,
    Array.from({ length: 500 }, (_, i) => i),
  );
});

test('SysVSemaphore: an operation of this process may be what another of it waits for', async () => {
  using set = fresh(1);
  const zero = set.operate([{ index: 0, delta: 0 }]);
  await set.operate(take());
  await zero;
});

test('SysVSemaphore: an abort or time-out ends the wait with nothing taken; the others go on waiting', async () => {
  using set = fresh(0);
  const reason = new Error('enough');
  const controller = new AbortController();
  await assert.rejects(set.operate(give(), { signal: AbortSignal.abort(reason) }), reason);
  assert.deepEqual(set.values(), [0]);
  const aborted = assert.rejects(set.operate(take(), { signal: controller.signal }), reason);
  const second = set.operate(take());
  const late = assert.rejects(set.operate(take(), { timeout: 5 }), TimeoutError);
  await waiting(set, 1);
  controller.abort(reason);
  await aborted;
  await late;
  set.operateSync(give());
  await second;
  assert.deepEqual(set.values(), [0]);
  assert.equal(set.state(0).waitingForMore, 0);
});

test('SysVSemaphore: permits given at the very moment of an abort are taken by the call or still there, never lost', async () => {
  using set = fresh(0);
  for (let i = 0; i < 300; i++) {
    const controller = new AbortController();
    const wait = set.operate(take(), { signal: controller.signal }).then(
      () => 1,
      () => 0,
    );
    if (i % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
    set.operateSync(give());
    if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    const taken = await wait;
    assert.deepEqual(set.values(), [1 - taken]);
    if (taken === 0) set.operateSync(take());
  }
});

test('SysVSemaphore: the kernel gives back what a killed process took with undo, and nothing else', {
  timeout: 60_000,
}, async () => {
  using set = fresh(5, 5, 0);
  const c = start(semop, [String(set.id), '0', '-2', String(0x1000), '1', '-1', '0', '2', '1', String(0x1000)]);
  await c.line();
  assert.deepEqual(set.values(), [3, 4, 1]);
  await c.kill();
  assert.deepEqual(set.values(), [5, 4, 0]);
  const node = startScript(
    `import { SysVSemaphore } from 'vecino';
     const set = SysVSemaphore.open({ id: Number(process.argv[1]) });
     await set.operate([{ index: 0, delta: -3, undo: true }, { index: 1, delta: -1 }]);
     console.log('taken');
     process.stdin.resume();`,
    [String(set.id)],
  );
  await node.line();
  assert.deepEqual(set.values(), [2, 3, 0]);
  const wait = set.operate(take(0, -5));
  await waiting(set, 1);
  await node.kill();
  await wait;
  assert.deepEqual(set.values(), [0, 3, 0]);
});

test('SysVSemaphore: what undo is to give back is the process’s: it outlives the thread that waited, and comes with the death', async () => {
  using set = fresh(0);
  const node = startScript(
    `import { SysVSemaphore } from 'vecino';
     import { existsSync, readdirSync } from 'node:fs';
     const set = SysVSemaphore.open({ id: Number(process.argv[1]) });
     // More waits at once than threads are kept: some threads end.
     await Promise.all(Array.from({ length: 8 }, (_, i) => set.operate([{ index: 0, delta: -1 - i, undo: true }])));
     const before = readdirSync('/proc/self/task').length;
     console.log('taken', before);
     process.stdin.resume();`,
    [String(set.id)],
  );
  await waiting(set, 8);
  const threads = readdirSync(`/proc/${node.pid}/task`).length;
  set.operateSync(give(0, 36 + 1));
  const [, after] = (await node.line()).split(' ');
  assert.ok(Number(after) < threads, 'some of the threads that waited have ended');
  assert.deepEqual(set.values(), [1]);
  await node.kill();
  assert.deepEqual(set.values(), [37]);
});

test('SysVSemaphore: setValue() forgets what was to be undone, and wakes who waits', async () => {
  using set = fresh(3);
  const c = start(semop, [String(set.id), '0', '-1', String(0x1000)]);
  await c.line();
  const wait = set.operate(take(0, -9));
  await waiting(set, 1);
  set.setValue(0, 10);
  await wait;
  await c.kill();
  assert.deepEqual(set.values(), [1]);
});

test('SysVSemaphore: removing the set ends every wait with EIDRM, and every use after it', async () => {
  using set = fresh(0);
  using other = SysVSemaphore.open({ id: set.id });
  const waits = [set.operate(take()), other.operate([{ index: 0, delta: -2 }])].map((wait) =>
    assert.rejects(wait, isSystemError('EIDRM')),
  );
  const node = startScript(
    `import { SysVSemaphore } from 'vecino';
     try { SysVSemaphore.open({ id: Number(process.argv[1]) }).operateSync([{ index: 0, delta: -3 }]); }
     catch (error) { console.log(error.code); }`,
    [String(set.id)],
  );
  const c = start(semop, [String(set.id), '0', '-1', '0']);
  await waiting(set, 4);
  set.remove();
  await Promise.all(waits);
  assert.equal((await node.ended).stdout, 'EIDRM\n');
  assert.match((await c.ended).stderr, /Identifier removed/);
  for (const use of [
    () => set.values(),
    () => set.status(),
    () => set.state(0),
    () => set.setValue(0, 1),
    () => set.tryOperate(give()),
    () => set.operateSync(give()),
  ]) {
    assert.throws(use, isSystemError('EIDRM'));
  }
  await assert.rejects(set.operate(give()), isSystemError('EIDRM'));
  assert.throws(() => SysVSemaphore.open({ id: set.id }), isSystemError('EINVAL'));
});

test('SysVSemaphore: close() ends what waits; the set stays; everything after it is refused', async () => {
  const set = fresh(0);
  using other = SysVSemaphore.open({ id: set.id });
  const waits = [set.operate(take()), set.operate(take()), set.operate(take(0, -2))].map((wait) =>
    assert.rejects(wait, ClosedError),
  );
  set.close();
  set.close();
  await Promise.all(waits);
  assert.equal(other.state(0).waitingForMore, 0);
  assert.throws(() => set.tryOperate(give()), ClosedError);
  assert.throws(() => set.operateSync(give()), ClosedError);
  assert.throws(() => set.values(), ClosedError);
  await assert.rejects(set.operate(give()), ClosedError);
  assert.deepEqual(other.values(), [0]);
});

test('SysVSemaphore: ten waits keep neither file system calls nor the end of the program back', async () => {
  using set = fresh(0);
  const waits = Array.from({ length: 10 }, (_, i) => set.operate(take(0, -1 - i)));
  assert.match(await readFile('/proc/self/comm', 'utf8'), /\S/);
  set.operateSync(give(0, 55));
  await Promise.all(waits);
  const outcome = await startScript(
    `import { SysVSemaphore } from 'vecino';
     const set = SysVSemaphore.open({ id: Number(process.argv[1]) });
     for (let i = 1; i <= 10; i++) set.operate([{ index: 0, delta: -i }]);
     setTimeout(() => process.exit(), 20);`,
    [String(set.id)],
  ).ended;
  assert.deepEqual([outcome.code, outcome.stderr], [0, '']);
});

test('SysVSemaphore: a worker that is terminated while it waits takes nothing', async () => {
  using set = fresh(0);
  for (const call of ['set.operate([{ index: 0, delta: -1 }])', 'set.operateSync([{ index: 0, delta: -1 }])']) {
    const source = `
      import { parentPort } from 'node:worker_threads';
      import { SysVSemaphore } from ${JSON.stringify(import.meta.resolve('vecino'))};
      const set = SysVSemaphore.open({ id: ${set.id} });
      parentPort.postMessage('ready');
      ${call};`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
    await once(worker, 'message');
    await waiting(set, 1);
    await worker.terminate();
    assert.equal(set.state(0).waitingForMore, 0);
  }
  set.operateSync(give());
  assert.deepEqual(set.values(), [1]);
});

test('SysVSemaphore: whoever opens a set while it is being made sees it with its values', {
  timeout: 60_000,
}, async () => {
  const opener = startScript(
    `import { SysVSemaphore } from 'vecino';
     import { once } from 'node:events';
     console.log('ready');
     for await (const line of (await import('node:readline')).createInterface({ input: process.stdin })) {
       for (;;) {
         try {
           console.log(SysVSemaphore.open(Number(line)).values().join());
           break;
         } catch (error) { if (error.code !== 'ENOENT') throw error; }
       }
     }`,
  );
  await opener.line();
  for (let i = 0; i < 50; i++) {
    const key = uniqueKey();
    opener.write(`${key}\n`);
    await delay(Math.random() * 3);
    const set = SysVSemaphore.create(key, [0, 1, 2]);
    assert.equal(await opener.line(), '0,1,2');
    set.remove();
  }
  await opener.kill();
});

test('SysVSemaphore: a set that a C program made without any operation is opened all the same', async () => {
  const program = compile(
    folder,
    'make',
    `#include <stdio.h>
#include <sys/sem.h>
int main(void) {
  int id = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600);
  unsigned short values[] = {4, 5};
  semctl(id, 0, SETALL, values);
  printf("%d\\n", id);
}`,
  );
  const id = Number((await start(program).ended).stdout);
  using set = SysVSemaphore.open({ id });
  assert.deepEqual(set.values(), [4, 5]);
  assert.equal(set.status().lastOperation, null);
  set.remove();
});

test('SysVSemaphore: a Python program with sysv_ipc takes and gives permits', async (context) => {
  const key = uniqueKey();
  using set = SysVSemaphore.create(key, [0]);
  made.add(set);
  // Debian's module is for Debian's Python.
  const python = start(existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3', [
    '-c',
    `import sys
try:
  import sysv_ipc
except ImportError:
  print("missing"); sys.exit()
s = sysv_ipc.Semaphore(int(sys.argv[1]))
print("open", flush=True)
s.acquire()
s.release(3)
print("done", flush=True)`,
    String(key),
  ]);
  const line = await python.line();
  if (line === 'missing') {
    await python.ended;
    return context.skip('python3-sysv-ipc is not installed');
  }
  await waiting(set, 1);
  await set.operate(give());
  assert.equal(await python.line(), 'done');
  await set.operate(take(0, -3));
  await python.ended;
});

test('SysVSemaphore: a value that would go beyond 32767 is refused, with nothing done', async () => {
  using set = fresh(32767, 32766);
  for (const operations of [give(), [...give(1), ...give(0)], give(1, 2)]) {
    assert.throws(() => set.tryOperate(operations), { code: 'ERANGE', message: /32767 \(SEMVMX\)/ });
    assert.throws(() => set.operateSync(operations), isSystemError('ERANGE'));
    await assert.rejects(set.operate(operations), isSystemError('ERANGE'));
  }
  assert.deepEqual(set.values(), [32767, 32766]);
});

test('SysVSemaphore: errors beyond the kernel’s limits name the limit, its value and how to raise it', async () => {
  const limits = semaphoreLimits();
  using set = fresh(1);
  if (limits.operations < 65535) {
    const many = Array.from({ length: limits.operations + 1 }, () => ({ index: 0, delta: 1 }));
    const message = new RegExp(
      `SEMOPM is ${limits.operations} .*sysctl -w kernel.sem="${limits.set} ${limits.total} NUMBER`,
    );
    assert.throws(() => set.tryOperate(many), { code: 'E2BIG', message });
    assert.throws(() => set.operateSync(many), { code: 'E2BIG', message });
    await assert.rejects(set.operate(many), { code: 'E2BIG', message });
    many.pop();
    assert.equal(set.tryOperate(many), true);
  }
  if (limits.set < 65535) {
    const values = new Array<number>(limits.set + 1).fill(0);
    assert.throws(() => SysVSemaphore.create('private', values), {
      code: 'EINVAL',
      message: new RegExp(`SEMMSL is ${limits.set} .*sysctl -w kernel.sem="NUMBER`),
    });
  }
});

test('SysVSemaphore: bad keys, values and modes are refused, and no set is made', () => {
  const key = uniqueKey();
  for (const wrong of [0, -1]) {
    assert.throws(() => SysVSemaphore.create(wrong, [1]), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => SysVSemaphore.open(wrong), { code: 'ERR_INVALID_ARG_VALUE' });
  }
  for (const wrong of [2 ** 32, 1.5, Number.NaN]) {
    assert.throws(() => SysVSemaphore.create(wrong, [1]), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => SysVSemaphore.open(wrong), { code: 'ERR_OUT_OF_RANGE' });
  }
  for (const wrong of [null, undefined, true]) {
    assert.throws(() => SysVSemaphore.create(bad(wrong), [1]), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => SysVSemaphore.open(bad(wrong)), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  assert.throws(() => SysVSemaphore.open(bad('private')), { code: 'ERR_INVALID_ARG_VALUE' });
  for (const id of [-1, 2 ** 31, Number.NaN])
    assert.throws(() => SysVSemaphore.open({ id }), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => SysVSemaphore.open({ id: 0x7ffffff0 }), isSystemError('EINVAL'));
  for (const values of [[], [-1], [32768], [Number.NaN], [1.5], [1, 2 ** 53]])
    assert.throws(() => SysVSemaphore.create(key, values), { code: 'ERR_OUT_OF_RANGE' });
  for (const values of [null, 5, undefined, ['1'], [null], new Array(1)])
    assert.throws(() => SysVSemaphore.create(key, bad(values)), { code: 'ERR_INVALID_ARG_TYPE' });
  for (const mode of [-1, Number.NaN, 0o10000])
    assert.throws(() => SysVSemaphore.create(key, [1], { mode }), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => SysVSemaphore.open(key), isSystemError('ENOENT'));
});

test('SysVSemaphore: bad operations are refused in every voice, and nothing is done', async () => {
  using set = fresh(1, 1);
  const throwing = {
    index: 0,
    get delta(): number {
      throw new Error('a getter');
    },
  };
  const cases: [unknown, string | RegExp][] = [
    [[], 'ERR_OUT_OF_RANGE'],
    [new Array(65536).fill({ index: 0, delta: 1 }), 'ERR_OUT_OF_RANGE'],
    [null, 'ERR_INVALID_ARG_TYPE'],
    [undefined, 'ERR_INVALID_ARG_TYPE'],
    [{ index: 0, delta: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [[null], 'ERR_INVALID_ARG_TYPE'],
    [[5], 'ERR_INVALID_ARG_TYPE'],
    [new Array(1), 'ERR_INVALID_ARG_TYPE'],
    [[...give(), {}], 'ERR_INVALID_ARG_TYPE'],
    [[...give(), { index: 2, delta: 1 }], 'ERR_OUT_OF_RANGE'],
    [[{ index: -1, delta: 1 }], 'ERR_OUT_OF_RANGE'],
    [[{ index: Number.NaN, delta: 1 }], 'ERR_OUT_OF_RANGE'],
    [[{ index: 65536, delta: 1 }], 'ERR_OUT_OF_RANGE'],
    [[{ index: 0, delta: 32768 }], 'ERR_OUT_OF_RANGE'],
    [[{ index: 0, delta: -32768 }], 'ERR_OUT_OF_RANGE'],
    [[{ index: 0, delta: Number.NaN }], 'ERR_OUT_OF_RANGE'],
    [[{ index: 0, delta: 0.5 }], 'ERR_OUT_OF_RANGE'],
    [[{ index: 0, delta: '1' }], 'ERR_INVALID_ARG_TYPE'],
    [[{ index: 0, delta: 1n }], 'ERR_INVALID_ARG_TYPE'],
    [[{ index: 0, delta: 1, undo: 1 }], 'ERR_INVALID_ARG_TYPE'],
    [[{ index: 0, delta: 1, undo: null }], 'ERR_INVALID_ARG_TYPE'],
    [[throwing], /a getter/],
  ];
  for (const [operations, expected] of cases) {
    const matches = typeof expected === 'string' ? { code: expected } : expected;
    assert.throws(() => set.tryOperate(bad(operations)), matches);
    assert.throws(() => set.operateSync(bad(operations)), matches);
    await assert.rejects(set.operate(bad(operations)), matches);
  }
  for (const timeout of [-1, Number.NaN]) {
    assert.throws(() => set.operateSync(give(), { timeout }), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(set.operate(give(), { timeout }), { code: 'ERR_OUT_OF_RANGE' });
  }
  for (const [index, value] of [
    [2, 0],
    [-1, 0],
    [0, -1],
    [0, 32768],
    [Number.NaN, 0],
  ] as const) {
    assert.throws(() => set.setValue(index, value), { code: 'ERR_OUT_OF_RANGE' });
  }
  for (const index of [2, -1, Number.NaN]) assert.throws(() => set.state(index), { code: 'ERR_OUT_OF_RANGE' });
  assert.deepEqual(set.values(), [1, 1]);
});

test('SysVSemaphore: a program that only operates still lets its timers run', async () => {
  using set = fresh(1);
  let fired = false;
  setTimeout(() => {
    fired = true;
  }, 1);
  while (!fired) await set.operate([...take(), ...give()]);
});

test('SysVSemaphore: what was granted to a worker that is terminated before it hears of it is given back, also if it had waited for zero', {
  timeout: 60_000,
}, async () => {
  using set = fresh(0, 0);
  const source = `
    import { parentPort } from 'node:worker_threads';
    import { SysVSemaphore } from ${JSON.stringify(import.meta.resolve('vecino'))};
    void SysVSemaphore.open({ id: ${set.id} }).operate([{ index: 0, delta: -1 }, { index: 1, delta: 0 }]);
    parentPort.postMessage('ready');
    for (;;);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  await once(worker, 'message');
  await waiting(set, 1);
  set.operateSync(give());
  while (set.values()[0] !== 0) await delay(1);
  set.setValue(1, 1);
  await worker.terminate();
  assert.deepEqual(set.values(), [1, 1]);
});

test('SysVSemaphore: options that are none are refused in every voice', async () => {
  using set = fresh(1);
  for (const options of [null, 5, 'soon', () => {}].map((value) => bad<object>(value))) {
    assert.throws(() => set.operateSync(take(), options), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(set.operate(take(), options), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => SysVSemaphore.create('private', [1], options), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  assert.deepEqual(set.values(), [1]);
});
