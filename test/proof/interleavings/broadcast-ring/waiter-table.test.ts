/**
 * Publishers that look after sleepers with one plain load for each message, in every order with up to three interruptions, and killed
 * anywhere: nobody sleeps beside a message.
 */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEATS } from '#src/lock-free/seats.js';
import { withBarriersOf } from '../barrier.js';
import { type Exploration, explore } from '../explore.js';
import { Machine, type Process, type Program } from '../machine.js';

// After barrier.js.
const { WaiterEntry, Waker } = await import('#src/lock-free/broadcast-ring/waiter-table.js');

const SEAT = 32;
const TAILS = SEATS * SEAT;

interface Case {
  publishers: number;
  sleepers: number;
  messages: number;
  barriers?: boolean;
}
/** Publishers, each with a ring of which only the tail is left, and those who sleep until all tails are where they will be. */
function topic({ publishers, sleepers, messages, barriers = true }: Case): { machine: Machine; programs: Program[] } {
  const machine = new Machine(new Uint8Array(4 * (TAILS + publishers)));
  machine.barriers = barriers;
  const { words } = machine;
  const wordOf = (seat: number) => seat * SEAT;
  const all = Array.from({ length: publishers }, (_, index) => index);

  const publish =
    (seat: number): Program =>
    (report) => {
      const waker = machine.construct(() => new Waker({ words, wordOf, seat }, (other) => machine.ring(other)));
      for (let tail = 1; tail <= messages; tail++) {
        words[TAILS + seat] = tail;
        waker.wake();
        report.push(tail);
      }
    };
  const sleep =
    (seat: number): Program =>
    (report) => {
      const sleeper = machine.construct(() => new WaiterEntry({ words, wordOf, seat }));
      const seen = all.map(() => 0);
      const look = () => {
        const tails = all.map((publisher) => Atomics.load(words, TAILS + publisher));
        const more = tails.some((tail, publisher) => tail > seen[publisher]!);
        for (const [publisher, tail] of tails.entries()) seen[publisher] = tail;
        report[0] = [...seen];
        return more;
      };
      const living = new Set(all);
      while (all.some((publisher) => living.has(publisher) && seen[publisher]! < messages)) {
        if (look()) continue;
        sleeper.announce();
        if (!look() && !machine.sleep([...living])) {
          for (const publisher of all) if (machine.isDead(publisher)) living.delete(publisher);
          look(); // what it had published before
        }
        sleeper.awake();
      }
    };
  return {
    machine,
    programs: [...all.map(publish), ...Array.from({ length: sleepers }, (_, index) => sleep(publishers + index))],
  };
}
function all(about: Case, more: Pick<Exploration, 'interruptions' | 'kills'>): number {
  const { machine, programs } = topic(about);
  const check = (processes: readonly Process[]) => {
    const tails = processes.slice(0, about.publishers).map((_, index) => machine.words[TAILS + index]);
    for (const { index, state, report } of processes.slice(about.publishers)) {
      if (state === 'dead') continue;
      assert.equal(state, 'done', `${index} sleeps for ever`);
      assert.deepEqual(report[0], tails);
    }
  };
  return withBarriersOf(machine, () => explore({ machine, programs, check, ...more }));
}

test('Topic: no wake-up of one sleeper is lost', (t) => {
  t.diagnostic(`${all({ publishers: 1, sleepers: 1, messages: 2 }, { interruptions: 4 })} orders`);
});
test('Topic: nor of several, nor by several publishers', (t) => {
  t.diagnostic(`${all({ publishers: 1, sleepers: 2, messages: 2 }, { interruptions: 3 })} orders`);
  t.diagnostic(`${all({ publishers: 2, sleepers: 1, messages: 1 }, { interruptions: 3 })} orders`);
});
test('Topic: which would not be so without the barrier', () => {
  assert.throws(
    () => all({ publishers: 1, sleepers: 1, messages: 1, barriers: false }, { interruptions: 2 }),
    (error: Error) => /sleeps for ever/.test(error.message),
  );
});
test('Topic: a publisher or another sleeper is killed anywhere', (t) => {
  const kills = { most: 1, of: [0, 1] };
  t.diagnostic(`${all({ publishers: 1, sleepers: 2, messages: 2 }, { interruptions: 3, kills })} orders`);
  t.diagnostic(`${all({ publishers: 2, sleepers: 1, messages: 1 }, { interruptions: 3, kills })} orders`);
});
