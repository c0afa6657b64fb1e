import '../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { ClosedError, SysVMessageQueue, TimeoutError } from 'vecino';
import { systemCallCounters } from 'vecino/system';
import { closed, code, missing, sysv, text, uniqueKey } from './support.js';

test('SysVMessageQueue: a message arrives whole, with its type, as bytes or as text', async () => {
  const queue = sysv();
  await queue.send('ñandú', { type: 3 });
  await queue.send(new Uint8Array([0, 255, 7]), { type: 2 ** 31 - 1 });
  await queue.send('', { type: Number.MAX_SAFE_INTEGER });
  const { content, type } = await queue.receive();
  assert.deepEqual([Buffer.from(content).toString(), type], ['ñandú', 3]);
  assert.deepEqual(await queue.receive(), { type: 2 ** 31 - 1, content: new Uint8Array([0, 255, 7]) });
  assert.deepEqual(await queue.receive(), { type: Number.MAX_SAFE_INTEGER, content: new Uint8Array(0) });
});

test('SysVMessageQueue: a receiver chooses: any, one type, the lowest up to one, all but one; the oldest first', () => {
  const queue = sysv();
  for (const [content, type] of [
    ['a', 5],
    ['b', 3],
    ['c', 5],
    ['d', 2],
    ['e', 2],
    ['f', 9],
  ] as const)
    queue.sendSync(content, { type });
  assert.equal(queue.tryReceive({ type: 7 }), undefined);
  assert.equal(queue.tryReceive({ type: -1 }), undefined);
  assert.deepEqual(queue.tryReceive({ type: -4 }), { type: 2, content: new Uint8Array(Buffer.from('d')) });
  assert.equal(text(queue.tryReceive({ type: 5, except: true })), 'b');
  assert.equal(text(queue.tryReceive({ type: 9 })), 'f');
  assert.equal(text(queue.tryReceive()), 'a');
  assert.equal(text(queue.tryReceive({ type: 5, except: true })), 'e');
  assert.equal(queue.tryReceive({ type: 5, except: true }), undefined);
  assert.equal(text(queue.tryReceive({ type: -Number.MAX_SAFE_INTEGER })), 'c');
});

test('SysVMessageQueue: each kind of selection is waited for, in the event loop and in the thread', async () => {
  const queue = sysv();
  const selections = [
    [{ type: 4 }, 4, 5],
    [{ type: -4 }, 3, 5],
    [{ type: 4, except: true }, 5, 4],
    [{}, 9, undefined],
  ] as const;
  for (const [selection, wanted, unwanted] of selections) {
    for (const content of ['x', '']) {
      if (unwanted !== undefined) queue.sendSync('not this', { type: unwanted });
      const waiting = queue.receive(selection);
      await assert.rejects(queue.receive({ ...selection, timeout: 5 }), TimeoutError);
      assert.throws(() => queue.receiveSync({ ...selection, timeout: 5 }), TimeoutError);
      queue.sendSync(content, { type: wanted });
      const message = await waiting;
      assert.deepEqual([text(message), message.type], [content, wanted]);
      if (unwanted !== undefined) assert.equal(text(queue.tryReceive()), 'not this');
      assert.equal(queue.status().messages, 0);
    }
  }
});

test('SysVMessageQueue: empty: tryReceive gives undefined, receive and receiveSync wait until their time-out', async () => {
  const queue = sysv();
  assert.equal(queue.tryReceive(), undefined);
  await assert.rejects(queue.receive({ timeout: 5 }), TimeoutError);
  await assert.rejects(queue.receive({ timeout: 0 }), TimeoutError);
  assert.throws(() => queue.receiveSync({ timeout: 5 }), TimeoutError);
  assert.throws(() => queue.receiveSync({ timeout: 0 }), TimeoutError);
  await queue.send('x', { type: 1 });
  assert.equal(text(queue.receiveSync({ timeout: 0 })), 'x');
});

test('SysVMessageQueue: full: trySend gives false, send and sendSync wait until their time-out, and nothing was sent', async () => {
  const queue = sysv({ limit: 10 });
  assert.ok(queue.trySend('12345', { type: 1 }));
  assert.ok(queue.trySend('12345', { type: 1 }));
  assert.equal(queue.trySend('x', { type: 1 }), false);
  await assert.rejects(queue.send('x', { type: 1, timeout: 5 }), TimeoutError);
  assert.throws(() => queue.sendSync('x', { type: 1, timeout: 5 }), TimeoutError);
  assert.throws(() => queue.sendSync('x', { type: 1, timeout: 0 }), TimeoutError);
  assert.deepEqual(queue.status().messages, 2);
});

test('SysVMessageQueue: a send that waits is done when there is room, and others behind it in their order', async () => {
  const queue = sysv({ limit: 10 });
  queue.sendSync('1234567890', { type: 1 });
  const content = new Uint8Array(6).fill(65);
  const sends = [queue.send(content, { type: 7 }), queue.send('123', { type: 8 }), queue.send('1', { type: 9 })];
  content.fill(66);
  assert.equal(queue.trySend('', { type: 1 }), false);
  queue.receiveSync();
  await Promise.all(sends);
  assert.deepEqual(
    [queue.tryReceive(), queue.tryReceive(), queue.tryReceive()].map((message) => [message!.type, text(message)]),
    [
      [7, 'AAAAAA'],
      [8, '123'],
      [9, '1'],
    ],
  );
});

test('SysVMessageQueue: receives that would take the same message are served in the order in which they were made', async () => {
  const queue = sysv();
  const receives = [{ type: 2 }, {}, { type: -3 }, { type: 2 }, {}].map((selection) => queue.receive(selection));
  for (let i = 0; i < 5; i++) await queue.send(`${i}`, { type: 2 });
  assert.deepEqual((await Promise.all(receives)).map(text), ['0', '1', '2', '3', '4']);
});

test('SysVMessageQueue: a receive of one type does not wait behind one of another; tryReceive overtakes nobody', async () => {
  const queue = sysv();
  const three = queue.receive({ type: 3 });
  const five = queue.receive({ type: 5 });
  queue.sendSync('five', { type: 5 });
  assert.equal(text(await five), 'five');
  queue.sendSync('three', { type: 3 });
  queue.sendSync('four', { type: 4 });
  assert.equal(text(queue.tryReceive()), 'four');
  assert.equal(text(await three), 'three');
});

test('SysVMessageQueue: an empty message keeps its place before one that is sent after it', async () => {
  const queue = sysv();
  for (let i = 0; i < 50; i++) {
    const first = queue.receive();
    queue.sendSync('', { type: 1 });
    queue.sendSync('full', { type: 1 });
    const second = queue.receive();
    assert.deepEqual([text(await first), text(await second)], ['', 'full']);
    const third = queue.receive({ type: 1 });
    queue.sendSync('', { type: 1 });
    queue.sendSync('full', { type: 1 });
    assert.equal(text(queue.tryReceive()), 'full');
    assert.equal(text(await third), '');
  }
});

test('SysVMessageQueue: an abort rejects with the reason and takes no message; aborted before, nothing is tried', async () => {
  const queue = sysv({ limit: 1 });
  const reason = new Error('enough');
  for (const content of ['x', '']) {
    const controller = new AbortController();
    const received = queue.receive({ signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(received, reason);
    await queue.send(content, { type: 1 });
    await assert.rejects(queue.receive({ signal: controller.signal }), reason);
    assert.equal(text(await queue.receive()), content);
  }
  queue.sendSync('x', { type: 1 });
  const controller = new AbortController();
  const sent = queue.send('y', { type: 1, signal: controller.signal });
  const behind = queue.send('z', { type: 1, signal: controller.signal });
  controller.abort(reason);
  await Promise.all([assert.rejects(sent, reason), assert.rejects(behind, reason)]);
  assert.equal(text(queue.receiveSync()), 'x');
  assert.equal(queue.tryReceive(), undefined);
});

test('SysVMessageQueue: status tells how full the queue is and who used it last', async () => {
  const queue = sysv({ limit: 100 });
  assert.deepEqual(queue.status(), { messages: 0, bytes: 0, limit: 100, lastSender: 0, lastReceiver: 0 });
  await queue.send('abc', { type: 1 });
  await queue.send('de', { type: 1 });
  await queue.receive();
  assert.deepEqual(queue.status(), {
    messages: 1,
    bytes: 2,
    limit: 100,
    lastSender: process.pid,
    lastReceiver: process.pid,
  });
});

test('SysVMessageQueue: ipcs(1) sees the queue, its key and its mode', { skip: missing('ipcs', '-q') }, () => {
  const key = uniqueKey();
  const queue = sysv({ mode: 0o640 }, key);
  const row = execFileSync('ipcs', ['-q'], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(([shown]) => Number(shown) === key);
  assert.deepEqual(row!.slice(1, 2).concat(row!.slice(3, 4)), [String(queue.id), '640']);
});

test('SysVMessageQueue: create is exclusive; open needs a queue, by key or by id, and a negative key is the same as ipcs shows', () => {
  const key = uniqueKey() - 0x80000000;
  const queue = sysv({}, key);
  assert.throws(() => SysVMessageQueue.create(key), code('EEXIST'));
  assert.equal(SysVMessageQueue.open(key).id, queue.id);
  assert.equal(SysVMessageQueue.open(key >>> 0).id, queue.id);
  assert.equal(SysVMessageQueue.open({ id: queue.id }).id, queue.id);
  assert.equal(queue.remove(), true);
  assert.throws(() => SysVMessageQueue.open(key), code('ENOENT'));
  assert.throws(() => SysVMessageQueue.open({ id: queue.id }), code('EINVAL'));
});

test('SysVMessageQueue: when a queue is removed, all who wait fail with EIDRM, and so does every later use', async () => {
  const queue = sysv({ limit: 1 });
  const waits = [queue.receive(), queue.receive({ type: 3 }), queue.receive({ type: -3 })];
  const other = SysVMessageQueue.open({ id: queue.id });
  queue.sendSync('', { type: 1 });
  await waits.shift();
  queue.sendSync('x', { type: 9 });
  const all = [...waits, queue.send('y', { type: 1 }), queue.send('z', { type: 1 }), other.receive({ type: 2 })];
  assert.equal(other.remove(), true);
  await Promise.all(all.map((wait) => assert.rejects(wait, code('EIDRM'))));
  assert.equal(queue.remove(), false);
  for (const use of [
    () => queue.trySend('x', { type: 1 }),
    () => queue.sendSync('x', { type: 1 }),
    () => queue.sendSync('x', { type: 1, timeout: 5 }),
    () => queue.tryReceive(),
    () => queue.receiveSync(),
    () => queue.receiveSync({ timeout: 5 }),
    () => queue.status(),
  ])
    assert.throws(use, code('EIDRM'));
  await assert.rejects(queue.receive(), code('EIDRM'));
  await assert.rejects(queue.send('x', { type: 1 }), code('EIDRM'));
  other.close();
});

test('SysVMessageQueue: close ends what waits, is idempotent, keeps the queue, and afterwards every use is refused', async () => {
  const queue = sysv({ limit: 1 });
  queue.sendSync('x', { type: 1 });
  const ends = [
    queue.receive({ type: 2 }),
    queue.receive({ type: 3 }),
    queue.send('y', { type: 1 }),
    queue.send('z', { type: 1 }),
  ].map((end) => assert.rejects(end, ClosedError));
  queue.close();
  await Promise.all(ends);
  queue.close();
  for (const use of [
    () => queue.trySend('x', { type: 1 }),
    () => queue.sendSync('x', { type: 1 }),
    () => queue.tryReceive(),
    () => queue.receiveSync(),
    () => queue.status(),
    () => queue.remove(),
  ])
    assert.throws(use, closed);
  await assert.rejects(queue.send('x', { type: 1 }), closed);
  await assert.rejects(queue.receive(), closed);
  const again = SysVMessageQueue.open({ id: queue.id });
  assert.equal(text(again.tryReceive()), 'x');
  assert.equal(again.tryReceive(), undefined);
  again[Symbol.dispose]();
  assert.throws(() => again.status(), closed);
});

test('SysVMessageQueue: a loop over the queue gets the messages; leaving it closes nothing, closing the queue ends it', async () => {
  const queue = sysv();
  for (const content of ['a', 'b', 'c']) queue.sendSync(content, { type: 1 });
  for await (const message of queue) {
    assert.equal(text(message), 'a');
    break;
  }
  const seen: string[] = [];
  for await (const message of queue) {
    seen.push(text(message));
    if (seen.length === 2) setImmediate(() => queue.close());
  }
  assert.deepEqual(seen, ['b', 'c']);
});

test('SysVMessageQueue: a program that never has to wait still lets its event loop turn', {
  timeout: 60_000,
}, async () => {
  const queue = sysv();
  let turned = false;
  setTimeout(() => {
    turned = true;
  }, 1);
  while (!turned) {
    await queue.send('x', { type: 1 });
    await queue.receive();
  }
});

test('SysVMessageQueue: two hundred receives and sends at once are served in order, beyond what one turn of the loop may take', async () => {
  const queue = sysv({ limit: 8 });
  const received = Promise.all(Array.from({ length: 200 }, () => queue.receive()));
  const sent = Promise.all(Array.from({ length: 200 }, (_, i) => queue.send(`${i}`, { type: 1 + (i % 3) })));
  const order = (await received).map((message) => Number(text(message)));
  await sent;
  assert.deepEqual(
    order,
    order.map((_, i) => i),
  );
});

test('SysVMessageQueue: thousands of waits that are aborted at once do not each start a thread first', async () => {
  const queue = sysv({ limit: 4 });
  queue.sendSync('full', { type: 1 });
  const controller = new AbortController();
  const { signal } = controller;
  const waits = Array.from({ length: 2000 }, () => [
    queue.send('more', { type: 1, signal }),
    queue.receive({ type: 2, signal }),
  ]).flat();
  const last = queue.send('last', { type: 3 });
  const before = systemCallCounters().calls;
  controller.abort();
  const ends = await Promise.allSettled(waits);
  assert.ok(ends.every((end) => end.status === 'rejected' && end.reason === signal.reason));
  assert.ok(systemCallCounters().calls - before < 50, `${systemCallCounters().calls - before} system calls`);
  assert.equal(text(await queue.receive()), 'full');
  await last;
  assert.equal(text(await queue.receive()), 'last');
});
