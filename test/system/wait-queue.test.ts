import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageQueue, pipe, SysVMessageQueue, unix } from 'vecino';
import { uniqueName } from '../support/processes.js';

/** More than succeed in one turn of the event loop, which are 256. */
const MANY = 150;

/** The event loop is late: its timers are due before anything else. */
function busy(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

test('Wait queue: a time-out of 0 is one try, also for who has to give the event loop a turn first', async () => {
  const queue = MessageQueue.create(uniqueName('queue'), { maxMessages: 2, messageSize: 8 });
  queue.unlink();
  const sysv = SysVMessageQueue.create('private');
  const [left, right] = unix.pair('seqpacket');
  const { reader, writer } = pipe();
  const now = { timeout: 0 };
  const byte = new Uint8Array(1);
  try {
    const exchanges: Record<string, [() => Promise<unknown>, () => Promise<unknown>]> = {
      'POSIX queue': [() => queue.send('x', now), () => queue.receive(now)],
      'System V queue': [() => sysv.send('x', { type: 1, ...now }), () => sysv.receive(now)],
      'Unix socket': [() => right.send(byte, now), () => left.receive(now)],
      pipe: [() => writer.write(byte, now), () => reader.read(now)],
    };
    for (const [name, [send, receive]] of Object.entries(exchanges)) {
      await new Promise(setImmediate); // the timers come next
      for (let count = 0; count < MANY; count++) {
        for (const call of [send, receive]) {
          const pending = call();
          if (count % 128 > 120 || count % 128 < 8) busy(1.2);
          await assert.doesNotReject(pending, `${name}, exchange ${count}`);
        }
      }
    }
  } finally {
    sysv.remove();
    for (const one of [queue, sysv, left, right, reader, writer]) one.close();
  }
});
