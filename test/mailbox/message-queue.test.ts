import '../support/leaks.js';
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { ClosedError, MessageQueue, TimeoutError } from 'vecino';
import { fstat } from 'vecino/system';
import { uniqueName } from '../support/processes.js';
import { closed, code, posix, refuses, text } from './support.js';

test('MessageQueue: a message arrives whole, with its priority, as bytes or as text', async () => {
  const queue = posix();
  await queue.send('ñandú', { priority: 3 });
  await queue.send(new Uint8Array([0, 255, 7]));
  await queue.send('');
  const { content, priority } = await queue.receive();
  assert.deepEqual([Buffer.from(content).toString(), priority], ['ñandú', 3]);
  assert.deepEqual(await queue.receive(), { content: new Uint8Array([0, 255, 7]), priority: 0 });
  assert.deepEqual(await queue.receive(), { content: new Uint8Array(0), priority: 0 });
});

test('MessageQueue: the highest priority is received first, and within one the oldest', async () => {
  const queue = posix({ maxMessages: 6 });
  for (const [content, priority] of [
    ['a', 0],
    ['b', 32767],
    ['c', 1],
    ['d', 32767],
    ['e', 1],
    ['f', 0],
  ] as const)
    queue.sendSync(content, { priority });
  const order = Array.from({ length: 6 }, () => text(queue.tryReceive()));
  assert.equal(order.join(''), 'bdceaf');
});

test('MessageQueue: empty: tryReceive gives undefined, receive and receiveSync wait until their time-out', async () => {
  const queue = posix();
  assert.equal(queue.tryReceive(), undefined);
  await assert.rejects(queue.receive({ timeout: 5 }), TimeoutError);
  await assert.rejects(queue.receive({ timeout: 0 }), TimeoutError);
  assert.throws(() => queue.receiveSync({ timeout: 5 }), TimeoutError);
  assert.throws(() => queue.receiveSync({ timeout: 0 }), TimeoutError);
  await queue.send('x');
  assert.equal(text(await queue.receive({ timeout: 0 })), 'x');
});

test('MessageQueue: full: trySend gives false, send and sendSync wait until their time-out, and nothing was sent', async () => {
  const queue = posix({ maxMessages: 2 });
  assert.ok(queue.trySend('a'));
  assert.ok(queue.trySend('b'));
  assert.equal(queue.trySend('c'), false);
  await assert.rejects(queue.send('d', { timeout: 5 }), TimeoutError);
  assert.throws(() => queue.sendSync('e', { timeout: 5 }), TimeoutError);
  assert.throws(() => queue.sendSync('f', { timeout: 0 }), TimeoutError);
  assert.equal(text(queue.receiveSync()) + text(queue.receiveSync()), 'ab');
  assert.equal(queue.tryReceive(), undefined);
});

test('MessageQueue: a receive that waits gets the message that is sent then; a send that waits is done when there is room', async () => {
  const queue = posix({ maxMessages: 1 });
  const received = queue.receive();
  queue.sendSync('first');
  assert.equal(text(await received), 'first');
  queue.sendSync('second');
  const sent = queue.send('third', { priority: 9 });
  assert.equal(text(queue.receiveSync()), 'second');
  await sent;
  assert.deepEqual(await queue.receive(), { content: new Uint8Array(Buffer.from('third')), priority: 9 });
});

test('MessageQueue: calls that wait on one object are served in the order in which they were made', async () => {
  const queue = posix({ maxMessages: 1 });
  const receives = Array.from({ length: 5 }, () => queue.receive());
  for (let i = 0; i < 5; i++) await queue.send(`${i}`);
  assert.deepEqual((await Promise.all(receives)).map(text), ['0', '1', '2', '3', '4']);
  const sends = Array.from({ length: 5 }, (_, i) => queue.send(`${i}`));
  const order: string[] = [];
  while (order.length < 5) order.push(text(await queue.receive()));
  await Promise.all(sends);
  assert.deepEqual(order, ['0', '1', '2', '3', '4']);
});

test('MessageQueue: neither the try forms nor the Sync forms overtake who waits', async () => {
  const queue = posix({ maxMessages: 1 });
  const received = queue.receive();
  const other = MessageQueue.open(queue.name);
  other.sendSync('for the one who waits');
  assert.equal(queue.tryReceive(), undefined);
  assert.equal(text(await received), 'for the one who waits');
  queue.sendSync('a');
  const sent = queue.send('b');
  other.receiveSync();
  assert.equal(queue.trySend('c'), false);
  await sent;
  assert.equal(text(other.receiveSync()), 'b');
  const first = queue.receive();
  assert.throws(() => queue.receiveSync({ timeout: 5 }), TimeoutError);
  other.sendSync('first');
  assert.throws(() => queue.receiveSync({ timeout: 5 }), TimeoutError);
  assert.equal(text(await first), 'first');
  other.close();
});

test('MessageQueue: what is sent is what the content was when send was called', async () => {
  const queue = posix({ maxMessages: 1 });
  await queue.send('full');
  const content = new Uint8Array([1, 2, 3]);
  const sent = queue.send(content);
  content.fill(9);
  queue.receiveSync();
  await sent;
  assert.deepEqual(queue.receiveSync().content, new Uint8Array([1, 2, 3]));
});

test('MessageQueue: an abort rejects with the reason and takes no message; aborted before, nothing is tried', async () => {
  const queue = posix({ maxMessages: 1 });
  const reason = new Error('enough');
  const controller = new AbortController();
  const received = queue.receive({ signal: controller.signal });
  const behind = queue.receive();
  controller.abort(reason);
  queue.sendSync('x');
  await assert.rejects(received, reason);
  assert.equal(text(await behind), 'x');
  await queue.send('y');
  await assert.rejects(queue.receive({ signal: controller.signal }), reason);
  assert.equal(queue.attributes.currentMessages, 1);
  const second = new AbortController();
  const sent = queue.send('z', { signal: second.signal });
  second.abort(reason);
  await assert.rejects(sent, reason);
  await assert.rejects(queue.send('z', { signal: second.signal }), reason);
  assert.equal(text(await queue.receive()), 'y');
  assert.equal(queue.tryReceive(), undefined);
});

test('MessageQueue: attributes tell the size and how full the queue is', async () => {
  const queue = posix({ maxMessages: 3, messageSize: 17 });
  await queue.send('a');
  assert.deepEqual(queue.attributes, { maxMessages: 3, messageSize: 17, currentMessages: 1 });
});

test('MessageQueue: without sizes a queue has those of the kernel', () => {
  const queue = MessageQueue.create(uniqueName('queue'));
  queue.unlink();
  const { maxMessages, messageSize } = queue.attributes;
  queue.close();
  assert.ok(maxMessages >= 1 && messageSize >= 128, `${maxMessages} messages of ${messageSize} bytes`);
});

test('MessageQueue: what was received stays what it is when more is received', async () => {
  const queue = posix({ maxMessages: 4, messageSize: 4096 });
  const kept: { content: Uint8Array; value: number }[] = [];
  for (let i = 0; i < 300; i++) {
    await queue.send(new Uint8Array(1 + (i % 4096) * 13).fill(i).subarray(0, 4096));
    kept.push({ content: (await queue.receive()).content, value: i & 255 });
  }
  for (const { content, value } of kept) assert.ok(content.every((byte) => byte === value));
});

test('MessageQueue: the mode is exactly the one asked for, whatever the umask', () => {
  const before = process.umask(0o077);
  try {
    assert.equal(fstat(posix({ mode: 0o666 }).fd).mode & 0o7777, 0o666);
    assert.equal(fstat(posix().fd).mode & 0o7777, 0o600);
  } finally {
    process.umask(before);
  }
});

test('MessageQueue: create is exclusive, open needs a queue, and a leading slash means the same', () => {
  const queue = posix();
  assert.throws(() => MessageQueue.create(queue.name), code('EEXIST'));
  MessageQueue.open(`/${queue.name}`).close();
  assert.throws(() => MessageQueue.open(uniqueName('none')), code('ENOENT'));
});

test('MessageQueue: unlink tells whether there was a name; who has the queue open keeps it, and a new one is another', async () => {
  const queue = posix();
  const waiting = queue.receive();
  assert.equal(MessageQueue.unlink(queue.name), true);
  assert.equal(MessageQueue.unlink(`/${queue.name}`), false);
  assert.equal(queue.unlink(), false);
  const other = MessageQueue.create(queue.name, { maxMessages: 1, messageSize: 8 });
  other.sendSync('other');
  await queue.send('still here');
  assert.equal(text(await waiting), 'still here');
  // The Sync voice opens the queue a second time; it must be this one, not the one that has the name now.
  queue.sendSync('by sync');
  assert.equal(text(queue.receiveSync()), 'by sync');
  other.close();
});

test('MessageQueue: a queue that is unlinked while others wait on it goes on for all who have it open', async () => {
  const queue = posix({ maxMessages: 1 });
  const other = MessageQueue.open(queue.name);
  const waiting = queue.receive();
  queue.unlink();
  other.sendSync('to who waits');
  assert.equal(text(await waiting), 'to who waits');
  queue.sendSync('full');
  const sent = queue.send('second');
  assert.equal(text(await other.receive()), 'full');
  await sent;
  assert.equal(text(other.receiveSync()), 'second');
  other.close();
});

test('MessageQueue: access: a reader cannot send, a writer cannot receive, and the error says why', async () => {
  const queue = posix();
  const reader = MessageQueue.open(queue.name, { access: 'read' });
  const writer = MessageQueue.open(queue.name, { access: 'write' });
  await writer.send('a');
  writer.sendSync('b');
  assert.equal(text(await reader.receive()) + text(reader.receiveSync()), 'ab');
  await refuses('EBADF', [() => reader.send('x'), () => reader.trySend('x'), () => reader.sendSync('x')]);
  await refuses('EBADF', [() => writer.receive(), () => writer.tryReceive(), () => writer.receiveSync()]);
  assert.throws(() => reader.trySend('x'), /opened with access 'read'.*'write'/);
  reader.close();
  writer.close();
});

test('MessageQueue: close ends what waits, is idempotent, and afterwards every use is refused', async () => {
  const queue = posix({ maxMessages: 1 });
  const received = queue.receive();
  await queue.send('x');
  await received;
  await queue.send('full');
  const ends = [queue.send('y'), queue.send('z')].map((end) => assert.rejects(end, ClosedError));
  queue.close();
  await Promise.all(ends);
  queue.close();
  for (const use of [
    () => queue.trySend('x'),
    () => queue.sendSync('x'),
    () => queue.tryReceive(),
    () => queue.receiveSync(),
    () => queue.attributes,
    () => queue.fd,
  ])
    assert.throws(use, closed);
  await assert.rejects(queue.send('x'), closed);
  await assert.rejects(queue.receive(), closed);
});

test('MessageQueue: using closes a queue at the end of the block', async () => {
  let kept: MessageQueue;
  {
    using queue = MessageQueue.open(posix().name);
    kept = queue;
    assert.ok(statSync(`/proc/self/fd/${queue.fd}`));
  }
  assert.throws(() => kept.fd, closed);
  {
    await using queue = MessageQueue.open(posix().name);
    kept = queue;
  }
  assert.throws(() => kept.fd, closed);
});

test('MessageQueue: a loop over the queue gets the messages; leaving it closes nothing, closing the queue ends it', async () => {
  const queue = posix();
  for (const content of ['a', 'b', 'c']) queue.sendSync(content);
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

test('MessageQueue: a program that never has to wait still lets its event loop turn', { timeout: 60_000 }, async () => {
  const queue = posix();
  let turned = false;
  setTimeout(() => {
    turned = true;
  }, 1);
  while (!turned) {
    await queue.send('x');
    await queue.receive();
  }
  turned = false;
  setTimeout(() => {
    turned = true;
  }, 1);
  queue.sendSync('x');
  for await (const message of queue) {
    if (turned) break;
    queue.trySend(message.content);
  }
});

test('MessageQueue: two hundred receives at once are served in order, beyond what one turn of the loop may take', async () => {
  const queue = posix({ maxMessages: 4 });
  const received = Promise.all(Array.from({ length: 200 }, () => queue.receive()));
  const sent = Promise.all(Array.from({ length: 200 }, (_, i) => queue.send(`${i}`)));
  const order = (await received).map((message) => Number(text(message)));
  await sent;
  assert.deepEqual(
    order,
    order.map((_, i) => i),
  );
});

test('MessageQueue: options that are no object are refused', async () => {
  const queue = posix();
  for (const options of [null, 5, 'x', true]) {
    const bad = options as never;
    await refuses('ERR_INVALID_ARG_TYPE', [
      () => queue.send('x', bad),
      () => queue.trySend('x', bad),
      () => queue.sendSync('x', bad),
      () => queue.receive(bad),
      () => queue.receiveSync(bad),
      () => MessageQueue.create(uniqueName('none'), bad),
      () => MessageQueue.open(queue.name, bad),
    ]);
  }
});
