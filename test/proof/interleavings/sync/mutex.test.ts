/** Mutex: contenders, hand-over and deaths in every order with up to three interruptions. */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Conditions, Exclusion } from '../exclusion.js';
import { LOOK_AGAIN, load, memoryOf, threadIdOf } from '../kernel.js';
import { graft, plant } from '../planted.js';

type Module = typeof import('#src/sync/mutex.js');
const production: Module = await load(() => import('#src/sync/mutex.js'));

const BYTES = 64;
/** Where a claim to be first stands, in words. */
const SPARE = 5;

interface Case {
  contenders: number;
  times?: number;
  module?: Module;
  prime?: (words: Int32Array) => void;
}
function contend({ contenders, times = 1, module = production, prime = () => {} }: Case, more: Conditions): number {
  const { Mutex } = module;
  const exclusion = new Exclusion(BYTES, (memory) => Mutex.create(memory), prime);
  const { machine } = exclusion;
  const program = () => {
    const mutex = machine.construct(() => Mutex.at(memoryOf(machine.buffer)));
    for (let time = 0; time < times; time++) exclusion.visit(mutex.lockSync(), 'alone');
  };
  return exclusion.all(
    Array.from({ length: contenders }, () => program),
    more,
  );
}
const anybody = { most: 1, of: [0, 1, 2] };

test('Mutex: one is inside at a time, and nobody sleeps for ever', (t) => {
  t.diagnostic(`${contend({ contenders: 2, times: 2 }, { interruptions: 3 })} orders`);
  t.diagnostic(`${contend({ contenders: 3 }, { interruptions: 2 })} orders`);
});
test('Mutex: an owner or a waiter is killed anywhere; the next one is told, and the others go on', (t) => {
  t.diagnostic(`${contend({ contenders: 2 }, { interruptions: 3, kills: anybody })} orders`);
  t.diagnostic(`${contend({ contenders: 3 }, { interruptions: 2, kills: anybody })} orders`);
});
test('Mutex: so is the one who repairs, and the one after is told again; what was lost with both is found by looking again', (t) => {
  const time = LOOK_AGAIN + 1;
  const two = { most: 2, of: [0, 1, 2] };
  t.diagnostic(`${contend({ contenders: 3 }, { interruptions: 2, kills: two, time })} orders`);
});
test('Mutex: who was passed over goes first, and is not waited for if it has died', (t) => {
  const prime = (words: Int32Array) => {
    words[SPARE] = threadIdOf(9);
  };
  t.diagnostic(`${contend({ contenders: 2, prime }, { interruptions: 2, kills: anybody })} orders`);
  t.diagnostic(`${contend({ contenders: 2, times: 3 }, { interruptions: 2, kills: anybody })} orders`);
});
test('Mutex: the exploration finds a waiter that does not say that it waits, or forgets the others who do', async () => {
  for (const fault of [
    { of: 'while ((seen & FUTEX_WAITERS) === 0 && isTaken(seen))', instead: 'while (false)' },
    { of: 'this.#slept ? this.#lock.acquireAwaited()', instead: 'false ? 0' },
  ]) {
    const faulty = plant('#src/sync/robust-lock.js', fault);
    const grafted = graft('#src/sync/mutex.js', { './robust-lock.js': faulty });
    const module = (await load(() => import(grafted))) as Module;
    assert.throws(
      () => contend({ contenders: 3, module }, { interruptions: 2, kills: anybody }),
      (error: Error) => /sleeps for ever/.test(error.message),
      fault.of,
    );
  }
});
test('Mutex: the exploration finds a death of which nobody is told', async () => {
  const faults = { silentDeath: true };
  assert.throws(
    () => contend({ contenders: 2 }, { interruptions: 2, kills: anybody, faults }),
    (error: Error) => /sleeps for ever/.test(error.message),
  );
  const hidden = plant('#src/sync/mutex.js', { of: 'return result === EOWNERDEAD;', instead: 'return false;' });
  const module = (await load(() => import(hidden))) as Module;
  assert.throws(
    () => contend({ contenders: 3, module }, { interruptions: 2, kills: anybody }),
    (error: Error) => /is not told/.test(error.message),
  );
});
