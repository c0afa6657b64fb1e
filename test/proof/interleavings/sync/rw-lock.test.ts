/** RwLock: readers, writers and deaths in every order with up to three interruptions. */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Guard } from 'vecino/sync';
import { type Conditions, Exclusion } from '../exclusion.js';
import { load, memoryOf, threadIdOf } from '../kernel.js';
import { type Fault, graft, plant } from '../planted.js';

type Module = typeof import('#src/sync/rw-lock.js');
const production: Module = await load(() => import('#src/sync/rw-lock.js'));
const faulty = async (...changes: Fault[]): Promise<Module> => {
  const address = plant('#src/sync/rw-lock.js', ...changes);
  return (await load(() => import(address))) as Module;
};

/** `dies`: a writer takes the lock, if it is free, and dies in the middle of a change, all in one step. `spoils`: writes, and repairs nothing. */
type Role = 'reads' | 'writes' | 'dies' | 'spoils';
/** In words. */
const WRITING = 1;
const WRITERS = 16;
const OWNER = 2;
const READERS = 32;
const OWNER_DIED = 0x40000000;

function play(roles: readonly Role[], more: Conditions, { RwLock }: Module = production): number {
  const exclusion = new Exclusion(RwLock.byteLength, (memory) => RwLock.create(memory));
  const { machine } = exclusion;
  const die = () => {
    const { memory } = machine;
    if (memory[WRITERS] !== 0 || memory[READERS] !== 0) return;
    memory[WRITING] = 1;
    memory[WRITERS] = OWNER_DIED;
    memory[WRITERS + OWNER] = threadIdOf(9);
    exclusion.leaveHalf();
  };
  const programs = roles.map((role) => (report: unknown[]) => {
    if (role === 'dies') return machine.call(die);
    const lock = machine.construct(() => RwLock.at(memoryOf(machine.buffer)));
    let guard: Guard;
    try {
      guard = role === 'reads' ? lock.readSync() : lock.writeSync();
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOTRECOVERABLE' || !roles.includes('spoils')) throw error;
      report.push('not recoverable');
      return;
    }
    // A reader that is told of a death is alone.
    exclusion.visit(guard, role !== 'reads' || guard.ownerDied ? 'alone' : 'shared', role !== 'spoils');
  });
  return exclusion.all(programs, more);
}
const anybody = { most: 1, of: [0, 1, 2] };
const says = (what: RegExp) => (error: Error) => what.test(error.message);

test('RwLock: readers are inside together, a writer alone, and nobody sleeps for ever', (t) => {
  t.diagnostic(`${play(['reads', 'writes'], { interruptions: 3 })} orders`);
  t.diagnostic(`${play(['reads', 'reads', 'writes'], { interruptions: 2 })} orders`);
  t.diagnostic(`${play(['reads', 'writes', 'writes'], { interruptions: 2 })} orders`);
});
test('RwLock: a reader or a writer is killed anywhere; a change that was begun is told, and the others go on', (t) => {
  t.diagnostic(`${play(['reads', 'writes'], { interruptions: 3, kills: anybody })} orders`);
  t.diagnostic(`${play(['reads', 'reads', 'writes'], { interruptions: 2, kills: anybody })} orders`);
  t.diagnostic(`${play(['writes', 'reads', 'writes'], { interruptions: 2, kills: anybody })} orders`);
});
test('RwLock: a reader that comes while a writer dies and another one takes over sees one of them', (t) => {
  t.diagnostic(`${play(['reads', 'dies', 'writes'], { interruptions: 3 })} orders`);
  t.diagnostic(`${play(['reads', 'dies', 'writes'], { interruptions: 3, kills: { most: 1, of: [2] } })} orders`);
});
test('RwLock: a reader that comes while what a dead writer left is spoilt learns that', (t) => {
  t.diagnostic(`${play(['reads', 'dies', 'spoils'], { interruptions: 3 })} orders`);
});
test('RwLock: whoever waits for a reader to go passes on what woke it', async (t) => {
  const slots = plant('#src/sync/reader-slots.js', {
    of: 'const MAX_READERS = 64;',
    instead: 'const MAX_READERS = 1;',
  });
  const grafted = graft('#src/sync/rw-lock.js', { './reader-slots.js': slots });
  const small = (await load(() => import(grafted))) as Module;
  t.diagnostic(`${play(['reads', 'reads', 'writes'], { interruptions: 2, kills: anybody }, small)} orders`);
});

const ONE_LOAD = '(Atomics.load(this.#words, this.#writers.index) & ~FUTEX_WAITERS) !== 0';
test('RwLock: the exploration finds a reader that decides on two loads', async () => {
  const first = 'Atomics.load(this.#words, this.#writers.index) << 2 !== 0';
  const second = '(Atomics.load(this.#words, this.#writers.index) & FUTEX_OWNER_DIED) !== 0';
  const module = await faulty({ of: ONE_LOAD, instead: `${first} || ${second}` });
  assert.throws(() => play(['reads', 'dies', 'writes'], { interruptions: 2 }, module), says(/is inside with/));
});
test('RwLock: the exploration finds a reader that asks too early whether the lock can still be had', async () => {
  const after = 'Atomics.load(this.#words, this.#base + OWNER) === NOT_RECOVERABLE';
  const early = await faulty(
    {
      of: 'const slot = this.#readers.acquire();',
      instead: `const spoilt = ${after}; const slot = this.#readers.acquire();`,
    },
    { of: `if (${after})`, instead: 'if (spoilt)' },
  );
  assert.throws(() => play(['reads', 'dies', 'spoils'], { interruptions: 3 }, early), says(/is not told/));
});
test('RwLock: the exploration finds a writer that does not look at the readers, or is said to be inside too early', async () => {
  const blind = await faulty({ of: '!died && this.#anyoneReads()', instead: 'false' });
  assert.throws(() => play(['reads', 'writes'], { interruptions: 2 }, blind), says(/is inside with/));
  const enter = 'Atomics.store(this.#words, this.#base + WRITING, 1);';
  const hasty = await faulty({ of: 'inside = true;', instead: `inside = true; ${enter}` });
  const kills = { most: 1, of: [1] };
  assert.throws(() => play(['reads', 'writes', 'writes'], { interruptions: 3, kills }, hasty), says(/is inside with/));
});
test('RwLock: the exploration finds a woken reader that leaves the others asleep', async () => {
  const selfish = await faulty({ of: 'contender.passOn();\n                    guard', instead: 'guard' });
  assert.throws(
    () => play(['reads', 'reads', 'writes'], { interruptions: 2, kills: anybody }, selfish),
    says(/sleeps for ever/),
  );
});
