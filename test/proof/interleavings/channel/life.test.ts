/**
 * Channels that are opened, closed and removed at the same time, in every order with up to four interruptions, and killed or stopped
 * anywhere: whoever takes part does so in a channel that is there, and nobody waits for anybody.
 */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIFE_WORD } from '#src/channel/directory/control-file.js';
import { withBarriersOf } from '../barrier.js';
import { type Exploration, explore } from '../explore.js';
import { Machine, type Process, type Program } from '../machine.js';
import { plant } from '../planted.js';

type Life = typeof import('#src/channel/directory/life.js');
const LIFE = '#src/channel/directory/life.js';
// After barrier.js.
const production: Life = await import('#src/channel/directory/life.js');

const SEATS = 1000;
const IN = 'in';
const OUT = 'out';
const REMOVED = 'removed';
const KEPT = 'kept';

/** Seats are locks of the kernel: one word each, which the kernel empties when its owner is dead. */
function all(
  life: Life,
  who: readonly ('joins' | 'joins and leaves' | 'removes')[],
  more: Pick<Exploration, 'interruptions' | 'kills'>,
): number {
  const machine = new Machine(new Uint8Array(4 * (SEATS + who.length + 40)));
  const { words } = machine;
  const isEmpty = () => who.every((_, seat) => Atomics.load(words, SEATS + seat) === 0 || machine.isDead(seat));
  const join = (seat: number, report: unknown[]) => {
    Atomics.store(words, SEATS + seat, 1);
    const stays = life.stay(words);
    if (!stays) Atomics.store(words, SEATS + seat, 0);
    report.push(stays ? IN : OUT);
    return stays;
  };
  const programs = who.map(
    (what, seat): Program =>
      (report) => {
        if (what !== 'removes' && !join(seat, report)) return;
        if (what === 'joins') return;
        Atomics.store(words, SEATS + seat, 0);
        report.push(life.remove(words, isEmpty) ? REMOVED : KEPT);
      },
  );
  const check = (processes: readonly Process[]) => {
    for (const { state } of processes) assert.ok(state === 'done' || state === 'dead', 'nobody waits');
    const living = processes.filter(({ state }) => state === 'done');
    const takesPart = living.filter(({ report }) => report.at(-1) === IN);
    const isRemoved = life.isRemoved(words);
    if (takesPart.length > 0) assert.ok(!isRemoved, 'somebody takes part in a channel that is removed');
    for (const { report } of living) if (report.includes(REMOVED)) assert.ok(isRemoved);
    // What is left when all are gone can be removed, whatever they have left.
    for (const seat of who.keys()) Atomics.store(words, SEATS + seat, 0);
    assert.ok(life.remove(words, isEmpty));
    assert.ok(!life.stay(words) && words[LIFE_WORD] === -1);
  };
  return withBarriersOf(machine, () => explore({ machine, programs, check, ...more }));
}

test('Channels: one that somebody opens is not removed, in any order, by any number of removers', (t) => {
  t.diagnostic(`${all(production, ['joins', 'removes'], { interruptions: 4 })} orders`);
  t.diagnostic(`${all(production, ['joins', 'removes', 'removes'], { interruptions: 3 })} orders`);
  t.diagnostic(`${all(production, ['joins and leaves', 'joins'], { interruptions: 4 })} orders`);
  t.diagnostic(`${all(production, ['joins and leaves', 'joins and leaves', 'joins'], { interruptions: 3 })} orders`);
});
test('Channels: removers and openers are killed anywhere, and whoever comes next goes on', (t) => {
  const kills = { most: 2, of: [0, 1] };
  t.diagnostic(`${all(production, ['removes', 'joins', 'removes'], { interruptions: 3, kills })} orders`);
  t.diagnostic(
    `${all(production, ['joins and leaves', 'joins and leaves', 'joins'], { interruptions: 3, kills })} orders`,
  );
});
test('Channels: a removal without a number of its own, or one that looks at the seats first, would be found out', async () => {
  const same: Life = await import(plant(LIFE, { of: 'Atomics.add(words, REMOVALS_WORD, 1) & NUMBERS', instead: '0' }));
  const early: Life = await import(
    plant(
      LIFE,
      { of: 'const mine =', instead: 'const early = isEmpty(); const mine =' },
      { of: 'empty = isEmpty()', instead: 'empty = early' },
    )
  );
  for (const faulty of [same, early]) {
    assert.throws(
      () => all(faulty, ['joins', 'removes', 'removes'], { interruptions: 4 }),
      (error: Error) => /takes part in a channel that is removed/.test(String(error)),
    );
  }
});
