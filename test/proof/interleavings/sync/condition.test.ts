/** Condition: waits, notifications and deaths in every order with up to three interruptions. */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Conditions, Exclusion } from '../exclusion.js';
import { gaps, load, memoryOf } from '../kernel.js';
import type { Process } from '../machine.js';
import { type Fault, plant } from '../planted.js';

const { Mutex } = await load(() => import('#src/sync/mutex.js'));
type Module = typeof import('#src/sync/condition.js');
const production: Module = await load(() => import('#src/sync/condition.js'));
const faulty = async (fault: Fault): Promise<Module> => {
  const address = plant('#src/sync/condition.js', fault);
  return (await load(() => import(address))) as Module;
};

/** Takes one thing, or puts one there and says so: while it has the mutex, or after. */
type Role = 'takes' | 'puts' | 'puts and then says so';
const CONDITION = 64;
/** How many things there are, in words. */
const THINGS = 32;

function play(roles: readonly Role[], more: Conditions, { Condition }: Module = production): number {
  const exclusion = new Exclusion(256, (memory) => {
    Mutex.create(memory);
    Condition.create(memory, CONDITION);
  });
  const { machine } = exclusion;
  const programs = roles.map((role) => (report: unknown[]) => {
    const [mutex, changed] = machine.construct(() => {
      const memory = memoryOf(machine.buffer);
      return [Mutex.at(memory), Condition.at(memory, CONDITION)] as const;
    });
    const guard = mutex.lockSync();
    if (guard.ownerDied) guard.markConsistent(); // the number of things is one word: it is never half changed
    if (role === 'takes') {
      while (machine.words[THINGS] === 0) {
        changed.waitSync(guard);
        if (guard.ownerDied) guard.markConsistent();
      }
      machine.words[THINGS] = machine.words[THINGS]! - 1;
    } else {
      machine.words[THINGS] = machine.words[THINGS]! + 1;
      if (role === 'puts') changed.notifyOne();
    }
    exclusion.visit(guard, 'alone');
    if (role === 'puts and then says so') changed.notifyOne();
    report.push(role);
  });
  /** Nobody sleeps beside a thing, unless who put it died before it could say so. */
  const check = (processes: readonly Process[]) => {
    if (processes.some((process) => gaps.has(process))) return;
    const said = processes.every(({ index, state }) => roles[index] === 'takes' || state === 'done');
    for (const { index, state } of processes) {
      const waits = roles[index] === 'takes' && state === 'blocked' && (machine.words[THINGS] === 0 || !said);
      assert.ok(state === 'done' || state === 'dead' || waits, `${index} sleeps for ever`);
    }
    if (processes.every(({ state }) => state === 'done')) {
      const takes = roles.filter((role) => role === 'takes').length;
      assert.equal(machine.words[THINGS], roles.length - 2 * takes);
    }
  };
  return exclusion.all(programs, { ...more, check, sleepers: true });
}
const asleep = (error: Error) => /sleeps for ever/.test(error.message);

test('Condition: no notification is lost, said with the mutex or without', (t) => {
  t.diagnostic(`${play(['takes', 'puts'], { interruptions: 3 })} orders`);
  t.diagnostic(`${play(['takes', 'puts and then says so'], { interruptions: 3 })} orders`);
  t.diagnostic(`${play(['takes', 'takes', 'puts', 'puts and then says so'], { interruptions: 1 })} orders`);
});
test('Condition: one that is killed while it waits takes no notification with it', (t) => {
  const kills = { most: 1, of: [0, 1] };
  t.diagnostic(`${play(['takes', 'takes', 'puts'], { interruptions: 2, kills })} orders`);
  t.diagnostic(
    `${play(['takes', 'takes', 'puts and then says so'], { interruptions: 2, kills: { most: 1, of: [1] } })} orders`,
  );
});
test('Condition: whoever is killed while it notifies keeps the mutex from nobody', (t) => {
  const kills = { most: 1, of: [1, 2] };
  t.diagnostic(`${play(['takes', 'puts', 'puts'], { interruptions: 2, kills })} orders`);
});
test('Condition: the exploration finds a wait that gives the mutex back before it says that it waits, or says nothing', async () => {
  const announce = 'const expected = this.#announce();\n        const lock = giveUp(held);';
  const wait = '        let failure;\n        try {\n            const found';
  const late = await faulty({
    of: `${announce}\n${wait}`,
    instead: `const lock = giveUp(held);\n        const expected = this.#announce();\n${wait}`,
  });
  assert.throws(() => play(['takes', 'puts'], { interruptions: 1 }, late), asleep);
  const silent = await faulty({
    of: 'return Atomics.or(this.#words, this.#index, SLEEPS) | SLEEPS;',
    instead: 'return Atomics.load(this.#words, this.#index);',
  });
  assert.throws(() => play(['takes', 'puts'], { interruptions: 1 }, silent), asleep);
});
