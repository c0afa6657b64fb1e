/** Semaphore: permits taken, given and lost with the dead, in every order with up to three interruptions. */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Conditions, Exclusion } from '../exclusion.js';
import { LOOK_AGAIN, load, memoryOf } from '../kernel.js';
import type { Process } from '../machine.js';
import { graft, plant } from '../planted.js';

type Module = typeof import('#src/sync/semaphore.js');
const production: Module = await load(() => import('#src/sync/semaphore.js'));

/** Takes one permit; takes one and gives it back; gives one; gives one as C's sem_post does, which wakes one waiter. */
type Role = 'takes' | 'borrows' | 'gives' | 'posts';
/** In words. */
const VALUE = 0;
const WAITERS = 1;

function play(roles: readonly Role[], initial: number, more: Conditions, { Semaphore }: Module = production): number {
  const exclusion = new Exclusion(64, (memory) => Semaphore.inMemory(memory, 0, initial));
  const { machine } = exclusion;
  const programs = roles.map((role) => (report: unknown[]) => {
    const semaphore = machine.construct(() => Semaphore.inMemory(memoryOf(machine.buffer), 0));
    if (role === 'takes' || role === 'borrows') {
      semaphore.acquireSync();
      report.push(-1);
      if (role === 'borrows') machine.giveWay();
    }
    if (role === 'posts') {
      const waiters = machine.exchange(VALUE, (value) => value + 1, WAITERS);
      if (waiters > 0) machine.call(() => machine.wake(VALUE, 1));
    } else if (role !== 'takes') semaphore.release();
    if (role !== 'takes') report.push(1);
  });
  const check = (processes: readonly Process[]) => {
    const value = machine.words[VALUE]!;
    for (const { index, state } of processes) {
      const waits = state === 'blocked' && value === 0;
      assert.ok(state === 'done' || state === 'dead' || waits, `${index} sleeps for ever`);
    }
    // Who was killed may have taken or given one, and not have come to say so.
    const said = processes.flatMap(({ report }) => report as number[]).reduce((sum, each) => sum + each, initial);
    const unsaid = processes.flatMap(({ index, state, report }) => {
      if (state !== 'dead') return [];
      return roles[index] === 'takes' || (roles[index] === 'borrows' && report.length === 0) ? [-1] : [1];
    });
    const possible = unsaid.length === 0 ? [said] : [said, said + unsaid[0]!]; // one is killed at most
    assert.ok(possible.includes(value), `${value} permits are left, and not ${possible}`);
    if (processes.every(({ state }) => state === 'done')) assert.equal(machine.words[WAITERS], 0);
  };
  return exclusion.all(programs, { ...more, check, sleepers: true });
}

test('Semaphore: no permit is taken twice, and nobody sleeps beside one', (t) => {
  t.diagnostic(`${play(['takes', 'gives'], 0, { interruptions: 3 })} orders`);
  t.diagnostic(`${play(['takes', 'takes', 'gives', 'gives'], 0, { interruptions: 2 })} orders`);
  t.diagnostic(`${play(['borrows', 'borrows', 'borrows'], 1, { interruptions: 3 })} orders`);
});
test('Semaphore: nor with C programs, which wake one waiter only', (t) => {
  t.diagnostic(`${play(['takes', 'takes', 'posts', 'posts'], 0, { interruptions: 2 })} orders`);
  t.diagnostic(`${play(['borrows', 'borrows', 'posts'], 0, { interruptions: 3 })} orders`);
});
test('Semaphore: with one that is killed goes what it has taken, and no more', (t) => {
  const kills = { most: 1, of: [0, 1] };
  t.diagnostic(`${play(['takes', 'takes', 'gives'], 0, { interruptions: 3, kills })} orders`);
  t.diagnostic(`${play(['borrows', 'borrows', 'borrows'], 2, { interruptions: 2, kills })} orders`);
});
test('Semaphore: one that is killed before it wakes anybody has given its permit all the same: it is found by looking again', (t) => {
  const kills = { most: 1, of: [1] };
  const time = LOOK_AGAIN + 1;
  t.diagnostic(`${play(['takes', 'gives'], 0, { interruptions: 3, kills, time })} orders`);
});
test('Semaphore: the exploration finds a waiter that is not registered, and a giver that looks for waiters too early', async () => {
  const asleep = (error: Error) => /sleeps for ever/.test(error.message);
  const permits = plant('#src/sync/permits.js', {
    of: 'return;\n        this.#register(1);\n        try',
    instead: 'return;\n        try',
  });
  const grafted = graft('#src/sync/semaphore.js', { './permits.js': permits });
  const unknown = (await load(() => import(grafted))) as Module;
  assert.throws(() => play(['takes', 'gives'], 0, { interruptions: 1 }, unknown), asleep);
  const early = plant(
    '#src/sync/semaphore.js',
    {
      of: 'const value = words[VALUE]; // as above',
      instead: 'const early = load(words, WAITERS), value = words[VALUE];',
    },
    { of: 'if (load(words, WAITERS) !== 0)', instead: 'if (early !== 0)' },
  );
  const hasty = (await load(() => import(early))) as Module;
  assert.throws(() => play(['takes', 'gives'], 0, { interruptions: 2 }, hasty), asleep);
});
