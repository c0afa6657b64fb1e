import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageTooLargeError, SysVMessageQueue } from 'vecino';
import {
  code,
  limited,
  missing,
  namespace,
  noLimits,
  noNamespace,
  noPowerless,
  powerless,
  refuses,
  sysv,
  uniqueKey,
  withLimits,
} from './support.js';

const bad = <T>(value: unknown) => value as T;
const TYPE = 'ERR_INVALID_ARG_TYPE';
const VALUE = 'ERR_INVALID_ARG_VALUE';
const RANGE = 'ERR_OUT_OF_RANGE';

test('SysVMessageQueue: keys and ids that are none are refused before any system call', () => {
  for (const key of [2 ** 32, -(2 ** 31) - 1, 2 ** 53, 1.5, Number.NaN]) {
    assert.throws(() => SysVMessageQueue.create(key), code(RANGE), String(key));
    assert.throws(() => SysVMessageQueue.open(key), code(RANGE), String(key));
  }
  for (const key of [null, undefined, 1n, [], true, '', 'Private', '7']) {
    assert.throws(() => SysVMessageQueue.create(bad(key)), code(TYPE));
    assert.throws(() => SysVMessageQueue.open(bad(key)), code(TYPE));
  }
  for (const key of [0, -0, -1, 0xffffffff]) {
    assert.throws(() => SysVMessageQueue.create(bad(key)), code(VALUE));
    assert.throws(() => SysVMessageQueue.open(bad(key)), code(VALUE));
  }
  assert.throws(() => SysVMessageQueue.open(bad('private')), code(VALUE));
  for (const id of [-1, 2 ** 31, 1.5, Number.NaN]) assert.throws(() => SysVMessageQueue.open({ id }), code(RANGE));
  for (const id of [null, '1', {}]) assert.throws(() => SysVMessageQueue.open({ id: bad(id) }), code(TYPE));
});

test('SysVMessageQueue: modes and limits that are none are refused, and no queue is made', () => {
  const key = uniqueKey();
  for (const option of ['mode', 'limit']) {
    for (const value of [-1, Number.NaN, 1.5, 2 ** 53]) {
      assert.throws(() => SysVMessageQueue.create(key, { [option]: value }), code(RANGE));
    }
    for (const value of [null, '1', {}]) {
      assert.throws(() => SysVMessageQueue.create(key, { [option]: value }), code(TYPE));
    }
  }
  assert.throws(() => SysVMessageQueue.create(key, { limit: 0 }), code(RANGE));
  assert.throws(() => SysVMessageQueue.open(key), code('ENOENT'));
});

test('SysVMessageQueue: types, selections and time-outs that are none are refused in every voice, and nothing is sent', async () => {
  const queue = sysv();
  const send = (options: unknown) => [
    () => queue.send('x', bad(options)),
    () => queue.trySend('x', bad(options)),
    () => queue.sendSync('x', bad(options)),
  ];
  const receive = (options: unknown) => [
    () => queue.receive(bad(options)),
    () => queue.tryReceive(bad(options)),
    () => queue.receiveSync(bad(options)),
  ];
  for (const type of [0, -1, 1.5, Number.NaN, 2 ** 53]) await refuses(RANGE, send({ type }));
  for (const options of [undefined, null, {}, { type: null }, { type: '1' }]) await refuses(TYPE, send(options));
  for (const type of [1.5, Number.NaN, 2 ** 53, -(2 ** 53)]) await refuses(RANGE, receive({ type }));
  for (const type of [null, '1', {}]) await refuses(TYPE, receive({ type }));
  for (const options of [null, 5, 'x', true]) await refuses(TYPE, receive(options));
  for (const type of [undefined, 0, -1]) await refuses(RANGE, receive({ type, except: true }));
  for (const except of [null, 1, 'yes']) await refuses(TYPE, receive({ type: 1, except }));
  for (const timeout of [-1, Number.NaN]) {
    await refuses(RANGE, [() => queue.receive({ timeout }), () => queue.receiveSync({ timeout })]);
    await refuses(RANGE, [
      () => queue.send('x', { type: 1, timeout }),
      () => queue.sendSync('x', { type: 1, timeout }),
    ]);
  }
  assert.equal(queue.status().messages, 0);
});

test('SysVMessageQueue: content that is no bytes, or whose memory is gone, is refused in every voice, and nothing is sent', async () => {
  const queue = sysv();
  const send = (content: unknown) => [
    () => queue.send(bad(content), { type: 1 }),
    () => queue.trySend(bad(content), { type: 1 }),
    () => queue.sendSync(bad(content), { type: 1 }),
  ];
  for (const content of [undefined, null, 7, {}, [1], new ArrayBuffer(8)]) await refuses(TYPE, send(content));
  const detached = new Uint8Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  await refuses(VALUE, send(detached));
  assert.equal(queue.status().messages, 0);
});

test('SysVMessageQueue: a message that the queue could never hold is refused in every voice, with the limit and how to raise it', async () => {
  const queue = sysv({ limit: 100 });
  const content = new Uint8Array(101);
  const names = (error: unknown) => {
    assert.ok(error instanceof MessageTooLargeError);
    assert.match(
      error.message,
      /101 bytes.*holds 100 bytes.*\/proc\/sys\/kernel\/msgmnb is \d+.*sysctl -w kernel\.msgmnb=/,
    );
    return true;
  };
  await assert.rejects(queue.send(content, { type: 1 }), names);
  assert.throws(() => queue.trySend(content, { type: 1 }), names);
  assert.throws(() => queue.sendSync(content, { type: 1 }), names);
  assert.throws(() => queue.sendSync(content, { type: 1, timeout: 5 }), names);
  await queue.send(content.subarray(1), { type: 1 });
});

test('SysVMessageQueue: msgmax is named with its value', { skip: noLimits }, async () => {
  const out = await limited(
    withLimits({ 'kernel/msgmax': 1000 }),
    `const queue = SysVMessageQueue.create('private');
     const content = new Uint8Array(1001);
     attempt(() => queue.trySend(content, { type: 1 }));
     attempt(() => queue.sendSync(content, { type: 1 }));
     await queue.send(content, { type: 1 }).catch((error) => attempt(() => { throw error; }));`,
  );
  const line =
    'ERR_VECINO_MESSAGE_TOO_LARGE .*1001 bytes.*/proc/sys/kernel/msgmax is 1000; raise it with `sysctl -w kernel.msgmax=.*\\n';
  assert.match(out, new RegExp(`^(${line}){3}$`));
});

test('SysVMessageQueue: msgmnb is named with its value when a queue is to hold more', {
  skip: noNamespace,
}, async () => {
  const out = await limited(
    namespace,
    `attempt(() => SysVMessageQueue.create(7, { limit: 1e9 }));
     attempt(() => SysVMessageQueue.open(7));`,
  );
  assert.match(out, /^EPERM .*\/proc\/sys\/kernel\/msgmnb is \d+; raise it with `sysctl -w kernel\.msgmnb=.*\nENOENT /);
});

test('SysVMessageQueue: msgmni is named with its value', { skip: noLimits }, async () => {
  const out = await limited(
    withLimits({ 'kernel/msgmni': 3 }),
    `while (attempt(() => SysVMessageQueue.create('private')) !== undefined);`,
  );
  assert.match(out, /^ENOSPC .*\/proc\/sys\/kernel\/msgmni is 3; raise it with `sysctl -w kernel\.msgmni=/);
});

test('SysVMessageQueue: where the limit was raised, messages larger than usual arrive whole', {
  skip: noLimits,
}, async () => {
  const out = await limited(
    withLimits({ 'kernel/msgmax': 300_000, 'kernel/msgmnb': 600_000 }),
    `const queue = SysVMessageQueue.create('private');
     for (const size of [8193, 65536, 65537, 300000, 8193]) {
       const content = new Uint8Array(size).map((_, i) => i * 7);
       queue.sendSync(content, { type: 4 });
       queue.sendSync('behind', { type: 4 });
       const message = await queue.receive();
       console.log(message.type, Buffer.compare(message.content, content), Buffer.from(queue.receiveSync().content).toString());
     }`,
  );
  assert.equal(out, '4 0 behind\n'.repeat(5));
});

test('SysVMessageQueue: what the mode forbids is refused in every voice, also to who waits', {
  skip: noPowerless,
}, async () => {
  const writable = sysv({ mode: 0o200 });
  const readable = sysv({ mode: 0o400 });
  const out = await limited(
    powerless,
    `const writable = SysVMessageQueue.open({ id: ${writable.id} });
     writable.sendSync('x', { type: 1 });
     const readable = SysVMessageQueue.open({ id: ${readable.id} });
     const later = (call) => call().catch((error) => attempt(() => { throw error; }));
     attempt(() => writable.tryReceive());
     attempt(() => writable.receiveSync());
     await later(() => writable.receive());
     attempt(() => writable.status());
     attempt(() => readable.trySend('x', { type: 1 }));
     attempt(() => readable.sendSync('x', { type: 1 }));
     await later(() => readable.send('x', { type: 1 }));`,
  );
  assert.match(out, /^(EACCES .*mode does not allow.*\n){7}$/);
});

test('SysVMessageQueue: a wait for which there is no descriptor fails with the reason in every voice, does nothing, and is possible later', {
  skip: missing('prlimit', '--nofile=64', 'true'),
}, async () => {
  const out = await limited(
    ['prlimit', '--nofile=64'],
    `import { closeSync, openSync } from 'node:fs';
     const queue = SysVMessageQueue.create('private', { limit: 4 });
     const eaten = [];
     const later = async (call) => { try { await call(); } catch (error) { attempt(() => { throw error; }); } };
     try {
       try { for (;;) eaten.push(openSync('/dev/null')); } catch {}
       await later(() => queue.receive());
       await later(() => queue.receiveSync({ timeout: 9000 }));
       queue.trySend('full', { type: 1 });
       await later(() => queue.send('more', { type: 1 }));
       await later(() => queue.sendSync('more', { type: 1, timeout: 9000 }));
       eaten.forEach(closeSync);
       const sent = queue.send('more', { type: 2 });
       console.log(String((await queue.receive()).content));
       await sent;
       console.log(String((await queue.receive()).content), queue.status().messages);
     } finally {
       queue.remove();
     }`,
  );
  const lines = out.trim().split('\n');
  assert.equal(lines.length, 6, out);
  for (const line of lines.slice(0, 4))
    assert.match(line, /^EMFILE .*eventfd.* needs a file descriptor.*ulimit -n.*64/);
  assert.deepEqual(lines.slice(4), ['102,117,108,108', '109,111,114,101 0']);
});
