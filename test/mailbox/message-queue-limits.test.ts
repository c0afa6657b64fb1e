import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageQueue, MessageTooLargeError } from 'vecino';
import {
  code,
  limited,
  missing,
  namespace,
  noLimits,
  noNamespace,
  noPowerless,
  posix,
  powerless,
  refuses,
  withLimits,
} from './support.js';

const bad = <T>(value: unknown) => value as T;
const TYPE = 'ERR_INVALID_ARG_TYPE';
const VALUE = 'ERR_INVALID_ARG_VALUE';
const RANGE = 'ERR_OUT_OF_RANGE';

test('MessageQueue: a name that is not one is refused before any system call', () => {
  for (const name of ['', '/', '.', '..', '/..', 'a/b', '//a', 'a b', 'ñ', 'a\0b', 'x'.repeat(201), '/dev/../x']) {
    assert.throws(() => MessageQueue.create(name), code(VALUE), name);
    assert.throws(() => MessageQueue.open(name), code(VALUE), name);
    assert.throws(() => MessageQueue.unlink(name), code(VALUE), name);
  }
  for (const name of [undefined, null, 7, {}, ['a'], Symbol('a')]) {
    assert.throws(() => MessageQueue.create(bad(name)), code(TYPE));
    assert.throws(() => MessageQueue.open(bad(name)), code(TYPE));
    assert.throws(() => MessageQueue.unlink(bad(name)), code(TYPE));
  }
});

test('MessageQueue: sizes, modes and access that are none are refused', () => {
  for (const option of ['maxMessages', 'messageSize', 'mode']) {
    for (const value of [-1, Number.NaN, 1.5, 2 ** 53, Number.POSITIVE_INFINITY]) {
      assert.throws(() => MessageQueue.create('vecino-test-bad', { [option]: value }), code(RANGE));
    }
    for (const value of [null, '1', 1n, {}]) {
      assert.throws(() => MessageQueue.create('vecino-test-bad', { [option]: value }), code(TYPE));
    }
  }
  assert.throws(() => MessageQueue.create('vecino-test-bad', { maxMessages: 0 }), code(RANGE));
  assert.throws(() => MessageQueue.create('vecino-test-bad', { messageSize: 0 }), code(RANGE));
  for (const access of ['', 'rw', 'toString', null, 1, ['read'], Object.create(null)]) {
    assert.throws(() => MessageQueue.open('vecino-test-bad', { access: bad(access) }), code(VALUE));
  }
  assert.equal(MessageQueue.unlink('vecino-test-bad'), false);
});

test('MessageQueue: priorities, time-outs and signals that are none are refused in every voice, and nothing is sent', async () => {
  const queue = posix();
  const send = (options: object) => [
    () => queue.send('x', options),
    () => queue.trySend('x', options),
    () => queue.sendSync('x', options),
  ];
  for (const priority of [-1, 32768, Number.NaN, 1.5, 2 ** 53]) await refuses(RANGE, send({ priority }));
  for (const priority of [null, '1', {}]) await refuses(TYPE, send({ priority }));
  for (const timeout of [-1, Number.NaN]) {
    await refuses(RANGE, [() => queue.receive({ timeout }), () => queue.receiveSync({ timeout })]);
    await refuses(RANGE, [() => queue.send('x', { timeout }), () => queue.sendSync('x', { timeout })]);
  }
  await refuses(TYPE, [() => queue.receive({ timeout: bad('1') }), () => queue.receive({ signal: bad({}) })]);
  const getter = {
    get priority(): number {
      throw Object.assign(new Error('mine'), { code: 'MINE' });
    },
  };
  await refuses('MINE', send(getter));
  assert.equal(queue.attributes.currentMessages, 0);
});

test('MessageQueue: a queue that is closed by the reading of its own options is closed', async () => {
  for (const call of ['send', 'trySend', 'sendSync'] as const) {
    const queue = posix();
    const options = {
      get priority() {
        queue.close();
        return 1;
      },
    };
    await refuses('ERR_VECINO_CLOSED', [() => queue[call]('x', options)]);
  }
});

test('MessageQueue: content that is no bytes, or whose memory is gone, is refused in every voice, and nothing is sent', async () => {
  const queue = posix();
  const send = (content: unknown) => [
    () => queue.send(bad(content)),
    () => queue.trySend(bad(content)),
    () => queue.sendSync(bad(content)),
  ];
  for (const content of [
    undefined,
    null,
    7,
    {},
    [1],
    new ArrayBuffer(8),
    new DataView(new ArrayBuffer(8)),
    new Uint16Array(2),
  ]) {
    await refuses(TYPE, send(content));
  }
  const detached = new Uint8Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  await refuses(VALUE, send(detached));
  const resizable = Reflect.construct(ArrayBuffer, [16, { maxByteLength: 16 }]) as ArrayBuffer & {
    resize(length: number): void;
  };
  const outside = new Uint8Array(resizable, 8, 8);
  resizable.resize(4);
  await refuses(VALUE, send(outside));
  assert.equal(queue.attributes.currentMessages, 0);
  const shared = new Uint8Array(new SharedArrayBuffer(3)).fill(5);
  await queue.send(shared);
  assert.deepEqual((await queue.receive()).content, new Uint8Array([5, 5, 5]));
});

test('MessageQueue: a message too large is refused in every voice, with the limit, its value and how to raise it', async () => {
  const queue = posix({ messageSize: 64 });
  const content = new Uint8Array(65);
  const names = (error: unknown) => {
    assert.ok(error instanceof MessageTooLargeError);
    assert.match(
      error.message,
      /65 bytes.*messageSize is 64.*\/proc\/sys\/fs\/mqueue\/msgsize_max is \d+.*sysctl -w fs\.mqueue\.msgsize_max=/,
    );
    return code('EMSGSIZE')(error.cause);
  };
  await assert.rejects(queue.send(content), names);
  assert.throws(() => queue.trySend(content), names);
  assert.throws(() => queue.sendSync(content), names);
  await assert.rejects(queue.send('ñ'.repeat(33)), MessageTooLargeError);
  await queue.send('ñ'.repeat(32));
});

test('MessageQueue: attributes beyond what any process may have name their limits', () => {
  assert.throws(
    () => MessageQueue.create('vecino-test-bad', { maxMessages: 65_537, messageSize: 2 ** 24 + 1 }),
    (error: Error) => {
      assert.match(
        error.message,
        /maxMessages 65537.*\/proc\/sys\/fs\/mqueue\/msg_max is \d+.*sysctl -w fs\.mqueue\.msg_max=/,
      );
      assert.match(
        error.message,
        /messageSize 16777217.*\/proc\/sys\/fs\/mqueue\/msgsize_max is \d+.*sysctl -w fs\.mqueue\.msgsize_max=/,
      );
      return code('EINVAL')(error);
    },
  );
});

const skip = noNamespace;
test('MessageQueue: msg_max and msgsize_max are named with their values', { skip }, async () => {
  const out = await limited(
    namespace,
    `attempt(() => MessageQueue.create('a', { maxMessages: 1000, messageSize: 1 }));
     attempt(() => MessageQueue.create('a', { maxMessages: 1, messageSize: 100000 }));`,
  );
  assert.match(
    out,
    /^EINVAL .*maxMessages 1000 .*\/mqueue\/msg_max is \d+; raise it with `sysctl -w fs\.mqueue\.msg_max=/m,
  );
  assert.match(
    out,
    /^EINVAL .*messageSize 100000 .*\/msgsize_max is \d+; raise it with `sysctl -w fs\.mqueue\.msgsize_max=/m,
  );
});

test('MessageQueue: queues_max is named with its value', { skip }, async () => {
  const out = await limited(
    namespace,
    `for (let i = 0; attempt(() => MessageQueue.create('q' + i, { maxMessages: 1, messageSize: 1 }).close() ?? true); i++);`,
  );
  assert.match(
    out,
    /^ENOSPC .*\/proc\/sys\/fs\/mqueue\/queues_max is \d+; raise it with `sysctl -w fs\.mqueue\.queues_max=/,
  );
});

test('MessageQueue: RLIMIT_MSGQUEUE is named with its value, and what was needed', {
  skip: missing('prlimit', '--msgqueue=1000', 'true'),
}, async () => {
  const out = await limited(
    ['prlimit', '--msgqueue=1000'],
    `attempt(() => MessageQueue.create('vecino-test-bad', { maxMessages: 10, messageSize: 512 }));`,
  );
  assert.match(out, /^EMFILE .*RLIMIT_MSGQUEUE is 1000 bytes .*needs \d{4}:.*ulimit -q.*prlimit --pid PID --msgqueue=/);
});

test('MessageQueue: too many descriptors is told apart from too many queue bytes', {
  skip: missing('prlimit', '--nofile=64', 'true'),
}, async () => {
  const out = await limited(
    ['prlimit', '--nofile=64'],
    `import { openSync } from 'node:fs';
     try { for (;;) openSync('/dev/null'); } catch {}
     attempt(() => MessageQueue.create('vecino-test-bad', { maxMessages: 1, messageSize: 1 }));`,
  );
  assert.match(out, /^EMFILE .*RLIMIT_NOFILE, 64.*ulimit -n/);
});

test('MessageQueue: a queue whose mode forbids it is refused, with the reason', { skip: noPowerless }, async () => {
  const queue = posix({ mode: 0o400 });
  const out = await limited(
    powerless,
    `MessageQueue.open('${queue.name}', { access: 'read' }).close();
     attempt(() => MessageQueue.open('${queue.name}', { access: 'write' }));`,
  );
  assert.match(out, /^EACCES .*mode does not allow/);
});

test('MessageQueue: where the limit was raised, messages larger than usual arrive whole', {
  skip: noLimits,
}, async () => {
  const out = await limited(
    withLimits({ 'fs/mqueue/msgsize_max': 300_000 }),
    `for (const size of [65536, 65537, 300000]) {
       const queue = MessageQueue.create('a', { maxMessages: 1, messageSize: size });
       queue.unlink();
       const content = new Uint8Array(size).map((_, i) => i * 7);
       await queue.send(content, { priority: 8 });
       const message = await queue.receive();
       console.log(message.priority, Buffer.compare(message.content, content));
       queue.sendSync(content.subarray(1));
       console.log(Buffer.compare(queue.receiveSync().content, content.subarray(1)));
       queue.close();
     }`,
  );
  assert.equal(out, '8 0\n0\n'.repeat(3));
});
