/**
 * The two ends of a ring in every order with up to three interruptions, with and without the store buffers of the processor, and with
 * either end killed between any two accesses.
 */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MESSAGE } from '#src/lock-free/ring/layout.js';
import { withBarriersOf } from '../barrier.js';
import { explore } from '../explore.js';
import { Machine, type Process, type Program } from '../machine.js';

// After barrier.js.
const { RingConsumer } = await import('#src/lock-free/ring/consumer.js');
const { RingProducer } = await import('#src/lock-free/ring/producer.js');

/** Smaller than any that users get: it is full after two messages, and pads are made. */
const CAPACITY = 64;
const DATA = 512;
const LENGTH = 16;
const PRODUCER = 0;
const CONSUMER = 1;

interface Case {
  /** Messages, beyond those that were exchanged before without any sleep. */
  messages: number;
  before?: number;
  /** Whether the producer says that nothing follows, or the consumer knows how many there are. */
  end?: boolean;
  barriers?: boolean;
}
/** The ends as Sender and Receiver use them: what they do to the ring, and when they sleep and wake each other. */
function ends({ messages, before = 0, end = false, barriers = true }: Case): { machine: Machine; programs: Program[] } {
  const buffer = new ArrayBuffer(DATA + CAPACITY);
  const make = (at: ArrayBuffer) => {
    const producer = new RingProducer(at, 0, DATA, CAPACITY);
    const consumer = new RingConsumer(at, 0, DATA, CAPACITY);
    consumer.mayBeBusy = true;
    return { producer, consumer };
  };
  const message = (number: number) => new Uint8Array(new Int32Array(LENGTH / 4).fill(number).buffer);
  /** What has happened before: done again in memory of its own by whoever is run again, and then moved. */
  const begun = (at: ArrayBuffer) => {
    const { producer, consumer } = make(at);
    for (let i = 0; i < before; i++) {
      assert.ok(producer.write(message(0), MESSAGE) && consumer.next() >= 0);
      consumer.release();
      consumer.publish();
    }
    return { producer, consumer };
  };
  begun(buffer);
  const machine = new Machine(new Uint8Array(buffer));
  machine.barriers = barriers;
  const moved = <T extends object>(end: T): T => {
    const views = machine.construct(() => ({
      words: new Int32Array(machine.buffer),
      bytes: new Uint8Array(machine.buffer),
    }));
    return Object.assign(end, { words: views.words, memory: views.bytes, bytes: views.bytes });
  };

  const produce: Program = (report) => {
    const ring = moved(begun(new ArrayBuffer(buffer.byteLength)).producer);
    for (let number = 1; number <= messages; number++) {
      while (!ring.write(message(number), MESSAGE)) {
        ring.announceSleep();
        if (ring.write(message(number), MESSAGE)) {
          ring.awake();
          break;
        }
        if (machine.sleep([CONSUMER])) continue;
        report.push('the consumer died');
        return;
      }
      report.push(number);
      if (ring.quiet) continue;
      const alarm = ring.alarm();
      if (alarm === 'wake') machine.ring(CONSUMER);
      else assert.equal(alarm, 'none');
    }
    if (!end) return;
    ring.end();
    machine.ring(CONSUMER);
  };
  const consume: Program = (report) => {
    const ring = moved(begun(new ArrayBuffer(buffer.byteLength)).consumer);
    const publish = () => {
      if (ring.kept !== 0 && ring.publish()) machine.ring(PRODUCER);
    };
    const take = (): boolean => {
      const offset = ring.next();
      if (offset < 0) {
        publish();
        return false;
      }
      assert.deepEqual([ring.length, ring.kind], [LENGTH, MESSAGE]);
      const words = [0, 1, 2, 3].map((each) => ring.words[(offset >> 2) + each]!);
      assert.ok(
        words.every((word) => word === words[0]),
        `a message of ${words}`,
      );
      report.push(words[0]);
      if (ring.release()) publish();
      return true;
    };
    let dead = false;
    for (;;) {
      if (take()) continue;
      if (!end && report.length === messages) return;
      if (dead || ring.producerClosed) {
        while (take());
        report.push(dead ? 'it died' : 'the end');
        return;
      }
      ring.announceSleep();
      if (take()) ring.awake();
      else dead = !machine.sleep([PRODUCER]);
    }
  };
  return { machine, programs: [produce, consume] };
}
/** Nobody sleeps for ever; what was sent has come, in order and whole; and what had been sent by who was killed. */
function check(messages: number): (processes: readonly Process[]) => void {
  return ([producer, consumer]) => {
    for (const { index, state } of [producer!, consumer!])
      assert.notEqual(state, 'blocked', `${index} sleeps for ever`);
    const sent = producer!.report.filter((each) => typeof each === 'number');
    if (consumer!.state === 'dead') {
      if (producer!.state === 'done')
        assert.ok(sent.length === messages || producer!.report.at(-1) === 'the consumer died');
      return;
    }
    const received = consumer!.report.filter((each) => typeof each === 'number');
    assert.deepEqual(
      received,
      Array.from(received, (_, index) => index + 1),
    );
    // One more than a killed one knew: it was killed between the commit and the next line.
    const killed = producer!.state === 'dead' && received.length < messages;
    if (!killed) return assert.equal(received.length, messages);
    assert.ok(received.length - sent.length <= 1 && received.length >= sent.length, `${received} of ${sent}`);
    assert.equal(consumer!.report.at(-1), 'it died');
  };
}
function all(about: Case, interruptions: number, kills?: { most: number; of: number[] }): number {
  const { machine, programs } = ends(about);
  return withBarriersOf(machine, () =>
    explore({ machine, programs, interruptions, ...(kills && { kills }), check: check(about.messages) }),
  );
}

test('Ring: no wake-up and no message is lost, whoever is interrupted where', (t) => {
  t.diagnostic(`${all({ messages: 3 }, 3)} orders`);
});
test('Ring: nor the end', (t) => {
  t.diagnostic(`${all({ messages: 2, end: true }, 3)} orders`);
});
test('Ring: nor of a consumer that was busy, whom the producer does not look after', (t) => {
  t.diagnostic(`${all({ messages: 2, before: 300 }, 3)} orders`);
});
test('Ring: which would not be so without the barrier', () => {
  assert.throws(
    () => all({ messages: 2, before: 300, barriers: false }, 2),
    (error: Error) => /sleeps for ever/.test(error.message),
  );
});
test('Ring: either end is killed anywhere: the other has all that was sent, and learns it', (t) => {
  const kills = { most: 1, of: [PRODUCER, CONSUMER] };
  t.diagnostic(`${all({ messages: 3 }, 2, kills)} orders`);
  t.diagnostic(`${all({ messages: 2, before: 300 }, 2, kills)} orders`);
  t.diagnostic(`${all({ messages: 2, end: true }, 2, kills)} orders`);
});
