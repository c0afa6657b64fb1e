/** Barrier: rounds, deaths and words that change hands, in every order with up to three interruptions. */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeerDiedError } from 'vecino/system';
import { type Conditions, Exclusion } from '../exclusion.js';
import { gaps, load, memoryOf, threadIdOf } from '../kernel.js';
import type { Process } from '../machine.js';
import { type Fault, plant } from '../planted.js';

type Module = typeof import('#src/sync/barrier.js');
const production: Module = await load(() => import('#src/sync/barrier.js'));
const faulty = async (fault: Fault): Promise<Module> => {
  const address = plant('#src/sync/barrier.js', fault);
  return (await load(() => import(address))) as Module;
};

/** In words. */
const STATE = 2;
const SLOTS = 16;
const STRIDE = 10;
const ROUND = 1;
const OWNER_DIED = 0x40000000;
const TID_MASK = 0x3fffffff;
/** Of the state. */
const BROKEN = 1;
const roundOf = (state: number) => state & ~0x1ff;

interface Case {
  parties: number;
  /** How many processes come, and how often each. */
  come: number;
  rounds?: number;
  prime?: (words: Int32Array) => void;
}
function meet(
  { parties, come, rounds = 1, prime = () => {} }: Case,
  more: Conditions,
  { Barrier }: Module = production,
): number {
  const exclusion = new Exclusion(Barrier.byteLength, (memory) => Barrier.create(memory, 0, parties), prime);
  const { machine } = exclusion;
  const program = (report: unknown[]) => {
    const barrier = machine.construct(() => Barrier.at(memoryOf(machine.buffer)));
    for (let round = 0; round < rounds; round++) {
      report.push('comes');
      try {
        report.push(barrier.waitSync() ? 'last' : 'goes on');
      } catch (error) {
        if (!(error instanceof PeerDiedError)) throw error;
        report.push('is told of a death');
        return;
      }
    }
  };
  const check = (processes: readonly Process[]) => {
    if (processes.some((process) => gaps.has(process))) return;
    const { words } = machine;
    const state = words[STATE]!;
    const slots = Array.from({ length: parties }, (_, i) => {
      return { word: words[SLOTS + i * STRIDE]!, mark: words[SLOTS + i * STRIDE + ROUND]! };
    });
    const current = roundOf(state) | 1;
    const dead = processes.filter((process) => process.state === 'dead');
    const told = processes.some(({ report }) => report.includes('is told of a death'));
    assert.ok(!told || dead.some(({ report }) => report.at(-1) === 'comes'), 'a death is told that was none');
    for (const process of processes.filter(({ state: its }) => its !== 'done' && its !== 'dead')) {
      // It waits for one that died elsewhere: nobody has told the barrier.
      assert.ok(dead.length > 0 && (state & BROKEN) === 0, `${process.index} sleeps for ever`);
      const mine = slots.find(({ word }) => (word & TID_MASK) === threadIdOf(process.index));
      assert.equal(mine?.mark, current, `${process.index} sleeps after its round`);
      assert.ok(
        !slots.some(({ word, mark }) => (word & OWNER_DIED) !== 0 && mark === current),
        `${process.index} sleeps beside a dead party`,
      );
    }
    if (dead.length > 0) return;
    const last = processes.flatMap(({ report }) => report).filter((event) => event === 'last');
    assert.equal(last.length, (come * rounds) / parties, 'not one of each round came last');
  };
  return exclusion.all(
    Array.from({ length: come }, () => program),
    { ...more, check, sleepers: true },
  );
}
const anybody = { most: 1, of: [0, 1, 2] };
/** Somebody has died, in the second word, after the round before had come to its end. */
const prime = (words: Int32Array) => {
  words[SLOTS + STRIDE] = OWNER_DIED;
  words[SLOTS + STRIDE + ROUND] = -0x200 | 1;
};

test('Barrier: all go on when the last has come, and one of each round was last', (t) => {
  t.diagnostic(`${meet({ parties: 2, come: 2 }, { interruptions: 3 })} orders`);
  t.diagnostic(`${meet({ parties: 3, come: 3 }, { interruptions: 2 })} orders`);
  t.diagnostic(`${meet({ parties: 2, come: 4 }, { interruptions: 2 })} orders`);
});
test('Barrier: a party is killed anywhere; if it had come, all are told, and nobody sleeps beside it', (t) => {
  t.diagnostic(`${meet({ parties: 2, come: 2, rounds: 2 }, { interruptions: 2, kills: anybody })} orders`);
  t.diagnostic(`${meet({ parties: 3, come: 3 }, { interruptions: 2, kills: anybody })} orders`);
});
test('Barrier: a word that is taken over from one who died after his round breaks nothing', (t) => {
  t.diagnostic(`${meet({ parties: 3, come: 3, prime }, { interruptions: 2 })} orders`);
});
test('Barrier: the exploration finds a look at a death and at its round that are of two parties', async () => {
  const module = await faulty({
    of: 'const came = Atomics.load(this.#words, index + ROUND) === mark(round);\n            if (came && (Atomics.load(this.#words, index) & FUTEX_OWNER_DIED) !== 0)',
    instead:
      'const died = (Atomics.load(this.#words, index) & FUTEX_OWNER_DIED) !== 0;\n            if (died && Atomics.load(this.#words, index + ROUND) === mark(round))',
  });
  assert.throws(
    () => meet({ parties: 3, come: 3, prime }, { interruptions: 2 }, module),
    (error: Error) => /a death is told that was none/.test(error.message),
  );
});
test('Barrier: the exploration finds one who waits for a word that was freed before he looked', async () => {
  const again = 'slot = this.#takeSlot();\n                    }';
  const module = await faulty({ of: again, instead: '}' });
  assert.throws(() => meet({ parties: 2, come: 4 }, { interruptions: 2 }, module), /sleeps for ever/);
});
test('Barrier: the exploration finds a party that comes before it says in which round', async () => {
  const module = await faulty({ of: 'Atomics.store(this.#words, slot.index + ROUND, mark(round));', instead: '' });
  assert.throws(() => meet({ parties: 2, come: 2 }, { interruptions: 2, kills: anybody }, module), /sleeps/);
});
