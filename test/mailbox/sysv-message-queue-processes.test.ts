import '../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { compile, runScript, start, startScript, temporaryFolder } from '../support/processes.js';
import { asleep, switches, tasks } from '../support/tasks.js';
import { missing, sysv, text, uniqueKey } from './support.js';

const folder = temporaryFolder();
const peer = compile(
  folder,
  'peer',
  `#include <stdio.h>
   #include <stdlib.h>
   #include <string.h>
   #include <sys/msg.h>
   struct message { long type; char content[8192]; };
   int main(int count, char **words) { /* KEY send TYPE CONTENT | receive TYPE */
     struct message message;
     int id = msgget((key_t)atol(words[1]), 0);
     if (id < 0) return 1;
     message.type = atol(words[3]);
     if (strcmp(words[2], "send") == 0) {
       strcpy(message.content, words[4]);
       return msgsnd(id, &message, strlen(words[4]), 0) != 0;
     }
     ssize_t length = msgrcv(id, &message, sizeof message.content, message.type, 0);
     if (length < 0) return 1;
     printf("%ld %.*s\\n", message.type, (int)length, message.content);
     return 0;
   }`,
);

test('SysVMessageQueue: a C program receives what was sent, and is received from, both waiting first', async () => {
  const key = uniqueKey();
  const queue = sysv({}, key);
  const receiver = start(peer, [String(key), 'receive', '-5']);
  await asleep(receiver.pid);
  await queue.send('not this', { type: 6 });
  await queue.send('ñandú', { type: 4 });
  assert.equal((await receiver.ended).stdout, '4 ñandú\n');
  for (const content of ['hello', '']) {
    const waiting = queue.receive({ type: 6, except: true });
    assert.equal((await start(peer, [String(key), 'send', '7', content]).ended).code, 0);
    assert.deepEqual(await waiting, { type: 7, content: new Uint8Array(Buffer.from(content)) });
  }
});

const python = '/usr/bin/python3';
const noPython =
  missing(python, '-c', 'import sysv_ipc') && `${python} has no sysv_ipc (Debian: apt-get install python3-sysv-ipc)`;
test('SysVMessageQueue: a Python program receives what was sent, and is received from', {
  skip: noPython,
}, async () => {
  const key = uniqueKey();
  const queue = sysv({}, key);
  const program = `
import sysv_ipc, sys
queue = sysv_ipc.MessageQueue(int(sys.argv[1]))
content, kind = queue.receive(type=5)
print(content.decode(), kind, flush=True)
queue.send('von Python'.encode(), type=9)`;
  const other = start(python, ['-c', program, String(key)]);
  await queue.send('not this', { type: 4 });
  await queue.send('ñandú', { type: 5 });
  assert.equal(await other.line(), 'ñandú 5');
  assert.deepEqual(await queue.receive({ type: 9 }), { type: 9, content: new Uint8Array(Buffer.from('von Python')) });
  assert.equal((await other.ended).code, 0);
});

const script = (how: string) => `
  import { writeSync } from 'node:fs';
  import { SysVMessageQueue } from 'vecino';
  const queue = SysVMessageQueue.open({ id: Number(process.argv.at(-1)) });
  const text = ({ content }) => Buffer.from(content).toString();
  writeSync(1, 'ready\\n');
  ${how};`;

for (const how of ['await queue.receive()', 'queue.receiveSync()', 'queue.receiveSync({ timeout: 1e6 })']) {
  test(`SysVMessageQueue: a receiver killed in ${how} takes no message with it, and others go on`, async () => {
    const queue = sysv();
    const doomed = startScript(script(how), [String(queue.id)]);
    const other = startScript(script('console.log(text(await queue.receive()))'), [String(queue.id)]);
    await Promise.all([doomed.line(), other.line()]);
    await Promise.all([asleep(doomed.pid), asleep(other.pid)]);
    await doomed.kill('SIGKILL');
    queue.sendSync('kept', { type: 1 });
    assert.equal(await other.line(), 'kept');
    assert.equal((await other.ended).code, 0);
  });
}

for (const how of ["await queue.send('lost', { type: 1 })", "queue.sendSync('lost', { type: 1 })"]) {
  test(`SysVMessageQueue: a sender killed in ${how} on a full queue has not sent, and others go on`, async () => {
    const queue = sysv({ limit: 6 });
    queue.sendSync('first', { type: 1 });
    const doomed = startScript(script(how), [String(queue.id)]);
    await doomed.line();
    await asleep(doomed.pid);
    await doomed.kill('SIGKILL');
    assert.equal(text(queue.receiveSync()), 'first');
    assert.equal(queue.trySend('second', { type: 1 }), true);
    assert.equal(text(queue.receiveSync()), 'second');
    assert.equal(queue.tryReceive(), undefined);
  });
}

test('SysVMessageQueue: a queue that is removed ends the waits of other processes at once, in all voices', async () => {
  const queue = sysv({ limit: 1 });
  queue.sendSync('x', { type: 1 });
  const calls = [
    'await queue.receive({ type: 2 })',
    'queue.receiveSync({ type: 2 })',
    'queue.receiveSync({ type: 2, timeout: 1e6 })',
    "await queue.send('y', { type: 1 })",
    "queue.sendSync('y', { type: 1 })",
    "queue.sendSync('y', { type: 1, timeout: 1e6 })",
  ].map((call) => startScript(script(`try { ${call} } catch (error) { console.log(error.code) }`), [String(queue.id)]));
  await Promise.all(calls.map((call) => call.line()));
  await Promise.all(calls.map((call) => asleep(call.pid)));
  queue.remove();
  for (const call of calls) assert.equal((await call.ended).stdout, 'ready\nEIDRM\n');
});

test('SysVMessageQueue: no message is lost or doubled by receives that are aborted and time out while another process sends', async () => {
  const queue = sysv({ limit: 40 });
  const count = 3000;
  const sender = startScript(
    script(`for (let i = 0; i < ${count}; i++) queue.sendSync(String(i), { type: 1 + (i % 2) })`),
    [String(queue.id)],
  );
  const next = [0, 1];
  while (Math.min(...next) < count) {
    const controller = new AbortController();
    setImmediate(() => controller.abort('enough'));
    const results = await Promise.allSettled([
      queue.receive({ type: 1, signal: controller.signal }),
      queue.receive({ type: 2, timeout: Math.random() }),
      queue.receive({ type: -1, signal: controller.signal }),
      queue.receive({ type: 1, except: true, timeout: Math.random() * 2 }),
    ]);
    for (const result of results) {
      if (result.status === 'rejected') continue;
      const parity = result.value.type - 1;
      assert.equal(text(result.value), String(next[parity]));
      next[parity]! += 2;
    }
  }
  assert.equal((await sender.ended).code, 0);
  assert.equal(queue.tryReceive(), undefined);
});

test('SysVMessageQueue: no empty message is lost or doubled either', async () => {
  const queue = sysv({ limit: 5 });
  const count = 1000;
  const sender = startScript(script(`for (let i = 0; i < ${count}; i++) queue.sendSync('', { type: 1 + (i % 3) })`), [
    String(queue.id),
  ]);
  let received = 0;
  while (received < count) {
    const controller = new AbortController();
    setImmediate(() => controller.abort('enough'));
    const results = await Promise.allSettled([
      queue.receive({ type: 1, signal: controller.signal }),
      queue.receive({ signal: controller.signal }),
      queue.receive({ type: -2, timeout: Math.random() }),
    ]);
    received += results.filter(({ status }) => status === 'fulfilled').length;
  }
  assert.equal((await sender.ended).code, 0);
  assert.equal(received, count);
  assert.equal(queue.tryReceive(), undefined);
});

test('SysVMessageQueue: a send that was aborted or timed out was not sent, one that succeeded was, in order', async () => {
  const queue = sysv({ limit: 8 });
  const count = 1000;
  const reader = startScript(script(`for (let i = 0; i < ${count}; i++) console.log(text(queue.receiveSync()))`), [
    String(queue.id),
  ]);
  const sent: number[] = [];
  for (let i = 0; sent.length < count; i++) {
    const controller = new AbortController();
    if (i % 3 === 0) setImmediate(() => controller.abort('enough'));
    try {
      await queue.send(String(i), { type: 1, signal: controller.signal, timeout: i % 3 });
      sent.push(i);
    } catch {
      // Full for too long.
    }
  }
  const { stdout } = await reader.ended;
  assert.deepEqual(stdout.trim().split('\n').slice(1).map(Number), sent);
});

test('SysVMessageQueue: ten waits at once leave the thread pool free and do not hold up the exit', async () => {
  const queue = sysv({ limit: 1 });
  queue.sendSync('x', { type: 1 });
  const out = await runScript(
    script(`
      import { readFile } from 'node:fs/promises';
      const waits = [];
      for (let i = 2; i < 12; i++) waits.push(queue.receive({ type: i }));
      for (let i = 0; i < 3; i++) waits.push(queue.send('y', { type: 1 }));
      for (const wait of waits) wait.catch((error) => console.log(error.code));
      const files = await Promise.all(Array.from({ length: 8 }, () => readFile('/proc/self/stat', 'utf8')));
      console.log(files.every((file) => file.length > 0));
      process.on('exit', () => console.log('exit'));
      process.exit()`),
    [String(queue.id)],
  );
  assert.equal(out, 'ready\ntrue\nexit\n');
});

test('SysVMessageQueue: a pending call keeps the program running until the queue is closed', async () => {
  const queue = sysv({ limit: 1 });
  queue.sendSync('x', { type: 1 });
  for (const call of ['queue.receive({ type: 2 })', "queue.send('y', { type: 1 })"]) {
    const source = script(`
      const waiting = ${call}.catch((error) => console.log(error.code));
      setTimeout(() => queue.close(), 20);
      await waiting`);
    assert.equal(await runScript(source, [String(queue.id)]), 'ready\nERR_VECINO_CLOSED\n');
  }
});

test('SysVMessageQueue: threads that wait are not woken for nothing', async () => {
  const queue = sysv({ limit: 1 });
  queue.sendSync('x', { type: 1 });
  const waiting = startScript(
    script(`
      import { readdirSync } from 'node:fs';
      const before = new Set(readdirSync('/proc/self/task'));
      queue.receive({ type: 2 });
      queue.receive({ type: 3, except: false });
      queue.send('y', { type: 1 });
      console.log(readdirSync('/proc/self/task').filter((task) => !before.has(task)).join(' '))`),
    [String(queue.id)],
  );
  await waiting.line();
  const threads = (await waiting.line()).split(' ');
  assert.equal(threads.length, 3);
  await asleep(waiting.pid);
  const before = switches(waiting.pid);
  await delay(500);
  const after = switches(waiting.pid);
  for (const thread of threads) assert.equal(after.get(thread), before.get(thread));
  await waiting.kill();
});

test('SysVMessageQueue: a thread is there only for who waits; a few are kept for the next', async () => {
  const queue = sysv();
  await readFile('/proc/self/stat'); // now libuv has its threads
  const before = tasks().length;
  for (let round = 0; round < 3; round++) {
    const waits = Array.from({ length: 20 }, (_, i) => queue.receive({ type: 1 + (i % 10) }).catch(() => undefined));
    assert.ok(tasks().length <= before + 10 + 4);
    for (let i = 0; i < 20; i++) queue.sendSync('x', { type: 1 + (i % 10) });
    await Promise.all(waits);
    assert.ok(tasks().length <= before + 4, `${tasks().length - before} threads more`);
  }
});

test('SysVMessageQueue: a worker that is terminated while it waits, in any voice, ends, and takes no message', {
  timeout: 60_000,
}, async () => {
  const queue = sysv({ limit: 1 });
  const threads = tasks().length;
  const calls = [
    'queue.receive()',
    'queue.receiveSync()',
    'queue.receiveSync({ timeout: 1e6 })',
    "queue.send('y', { type: 1 })",
    "queue.sendSync('y', { type: 1 })",
  ];
  for (const content of ['x', '']) {
    for (const call of calls) {
      const full = call.includes('send');
      if (full) queue.sendSync('x', { type: 1 });
      const descriptors = readdirSync('/proc/self/fd').length;
      const source = `
        import { parentPort } from 'node:worker_threads';
        import { SysVMessageQueue } from ${JSON.stringify(import.meta.resolve('vecino'))};
        const queue = SysVMessageQueue.open({ id: ${queue.id} });
        parentPort.postMessage('ready');
        ${call};`;
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
      await new Promise((resolve) => worker.once('message', resolve));
      await new Promise((resolve) => setImmediate(resolve));
      await worker.terminate();
      assert.equal(readdirSync('/proc/self/fd').length, descriptors, call);
      // A thread that was joined is listed for a moment yet.
      while (tasks().length > threads) await new Promise((resolve) => setTimeout(resolve, 1));
      if (!full) queue.sendSync(content, { type: 1 });
      assert.equal(text(queue.receiveSync()), full ? 'x' : content, call);
      assert.equal(queue.tryReceive(), undefined, call);
    }
  }
});

test('SysVMessageQueue: a message without content that was on its way to a terminated worker is back in the queue', async () => {
  const queue = sysv();
  const source = `
    import { parentPort } from 'node:worker_threads';
    import { SysVMessageQueue } from ${JSON.stringify(import.meta.resolve('vecino'))};
    SysVMessageQueue.open({ id: ${queue.id} }).receive({ type: 5 });
    parentPort.postMessage('ready');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  await new Promise((resolve) => worker.once('message', resolve));
  queue.sendSync('', { type: 5 });
  await worker.terminate();
  assert.deepEqual(queue.tryReceive(), { type: 5, content: new Uint8Array(0) });
});
