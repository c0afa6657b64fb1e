/**
 * The writer of a topic's ring and a reader that it overtakes, in every order with up to three interruptions, with the writer killed anywhere
 * and another one that takes over: every message is received whole, or counted as lost.
 */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEQUENCE_LOW, TAIL } from '#src/lock-free/broadcast-ring/layout.js';
import { withBarriersOf } from '../barrier.js';
import { type Exploration, explore } from '../explore.js';
import { Machine, type Process, type Program } from '../machine.js';
import { plant } from '../planted.js';

// After barrier.js.
const production = await modules();

/** Smaller than any that users get: three messages fill it. */
const CAPACITY = 128;
const DATA = 4096;
const LENGTH = 16;
const WRITES = 0;
const TAKES_OVER = 2;
/** Unless it is planted with a fault, all of it is what ships. */
async function modules(
  reader = '#src/lock-free/broadcast-ring/reader.js',
  writer = '#src/lock-free/broadcast-ring/writer.js',
) {
  const [read, write] = await Promise.all([import(reader), import(writer)]);
  return {
    RingReader: (read as typeof import('#src/lock-free/broadcast-ring/reader.js')).RingReader,
    RingWriter: (write as typeof import('#src/lock-free/broadcast-ring/writer.js')).RingWriter,
  };
}

interface Case {
  /** Of the first writer. */
  messages: number;
  /** Of a second one, which begins once the first is dead. */
  more?: number;
  ends?: typeof production;
}
function ring({ messages, more = 0, ends = production }: Case): { machine: Machine; programs: Program[] } {
  const machine = new Machine(new Uint8Array(DATA + CAPACITY));
  const { words } = machine;

  const write = (report: unknown[], count: number): void => {
    const writer = machine.construct(() => new ends.RingWriter(machine.buffer, CAPACITY));
    const tail = words[TAIL]! & (CAPACITY / 16 - 1);
    const before = words[DATA / 4 + 4 * tail + SEQUENCE_LOW]!;
    for (let number = before + 1; number <= before + count; number++) {
      const first = writer.reserve(LENGTH) >> 2;
      for (let word = 0; word < LENGTH / 4; word++) words[first + word] = number;
      writer.commit(LENGTH);
      report.push(number);
    }
  };
  const publish: Program = (report) => {
    write(report, messages);
    if (more > 0) machine.ring(TAKES_OVER);
  };
  const takeOver: Program = (report) => {
    machine.sleep([WRITES]);
    write(report, more);
  };
  const isOver = (index: number) => machine.call(() => ['dead', 'done'].includes(machine.processes[index]!.state));
  const read: Program = (report) => {
    const counts = new Float64Array(4);
    const mapping = { buffer: machine.buffer, check() {} };
    const reader = machine.construct(() => new ends.RingReader(mapping, CAPACITY, counts, 'first'));
    const [received, lost] = [() => counts[0]!, () => counts[2]!];
    const memory = new Uint8Array(64);
    const scratch = { room: () => memory, words: new Int32Array(memory.buffer) };
    const take = (): boolean => {
      const offset = reader.next();
      if (offset < 0) return false;
      const { length } = reader;
      reader.copy(offset, scratch);
      if (reader.intact()) report.push([length, received() + lost(), ...scratch.words.subarray(0, LENGTH / 4)]);
      else reader.disown(true);
      return true;
    };
    for (;;) {
      if (take()) continue;
      const over = isOver(WRITES) && (more === 0 || isOver(TAKES_OVER));
      if (over && !take()) break;
      machine.giveWay();
    }
    report.push(received() + lost());
  };
  return { machine, programs: more === 0 ? [publish, read] : [publish, read, takeOver] };
}
function explored(about: Case, more: Pick<Exploration, 'interruptions' | 'kills'>): number {
  const { machine, programs } = ring(about);
  const check = ([writer, reader]: readonly Process[]) => {
    assert.equal(reader!.state, 'done', 'the reader waits for ever');
    for (const each of reader!.report.slice(0, -1)) {
      const [length, number, ...words] = each as number[];
      assert.equal(length, LENGTH);
      assert.deepEqual(words, [number, number, number, number], `message ${number} is ${words}`);
    }
    if (writer!.state === 'done') assert.equal(reader!.report.at(-1), about.messages + (about.more ?? 0));
  };
  return withBarriersOf(machine, () => explore({ machine, programs, check, ...more }));
}

const killed = { most: 1, of: [WRITES] };

test('Broadcast ring: a reader that is overtaken anywhere gets whole messages, and counts the others', (t) => {
  t.diagnostic(`${explored({ messages: 4 }, { interruptions: 3 })} orders`);
});
test('Broadcast ring: a writer that is killed anywhere leaves whole messages, also for the writer that takes over', (t) => {
  t.diagnostic(`${explored({ messages: 4 }, { interruptions: 2, kills: { ...killed, between: true } })} orders`);
  t.diagnostic(
    `${explored({ messages: 3, more: 2 }, { interruptions: 2, kills: { ...killed, between: true } })} orders`,
  );
});
test('Broadcast ring: the exploration finds a reader that does not ask whether its record is still there', async () => {
  const blind = plant('#src/lock-free/broadcast-ring/reader.js', {
    of: 'return (this.#isAhead(given) &&',
    instead: 'return (true ||',
  });
  const ends = await modules(blind);
  assert.throws(() => explored({ messages: 5, ends }, { interruptions: 2 }), /message \d is/);
});
test('Broadcast ring: the exploration finds a writer that makes no room before it overwrites', async () => {
  const hasty = plant('#src/lock-free/broadcast-ring/writer.js', {
    of: 'storeFirst(this.#words, OLDEST, oldest);',
    instead: '',
  });
  const ends = await modules(undefined, hasty);
  assert.throws(() => explored({ messages: 5, ends }, { interruptions: 2 }));
});
test('Broadcast ring: the exploration finds a writer that publishes before the number of the next message is there', async () => {
  const early = plant('#src/lock-free/broadcast-ring/writer.js', {
    of: 'words[index + LENGTH] = length;',
    instead: 'publish(words, TAIL, (position + unitsOf(length)) | 0); words[index + LENGTH] = length;',
  });
  const ends = await modules(undefined, early);
  assert.throws(() => explored({ messages: 3, ends }, { interruptions: 2 }));
});
