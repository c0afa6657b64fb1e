/**
 * futex(2), robust lists and native/robust.c for programs that a {@link Machine} runs: step by step as they are there, so that a program can
 * be interrupted or killed between any two of them.
 *
 * Left out: the pointers of the list (which locks a thread holds is kept here), kinds, and mappings. A woken thread may find that 3 ms have passed,
 * which is longer than anybody's patience; time passes otherwise only when nobody can do anything else.
 *
 * Whatever calls these functions is imported through {@link load}, after this.
 */
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import { performance } from 'node:perf_hooks';
import { SharedMemory } from '#src/memory/index.js';
import { errno } from '#src/system/errors.js';
import { native } from '#src/system/native.js';
import type {} from '#src/system/robust.js';
import type {} from '#src/system/semaphore.js';
import type {} from '#src/system/word-kernel.js';
import { type Machine, type Process, type Program, withSubstitutes } from './machine.js';

const WAITERS = 0x80000000 | 0;
const OWNER_DIED = 0x40000000;
const TID_MASK = 0x3fffffff;
/** Of a lock, in words. */
const COUNT = 1;
const OWNER = 2;
const USERS = 3;
const INCONSISTENT = 0x7fffffff;
const NOT_RECOVERABLE = 0x7ffffffe;
const EVERYBODY = 0x7fffffff;
/** Milliseconds that have passed for a thread that was woken. */
const SLEEP = 3;
/** Shorter waits than this are ended by time alone: those that are as long only look whether a wake-up was lost (word-wait.ts). */
export const LOOK_AGAIN = 1000;
const failure = (name: string) => -errno[name]!;

interface Participant {
  /** Index of the lock word. */
  readonly word: number;
  readonly bare: boolean;
  held: boolean;
}
/** What the addon and the kernel know of a thread. */
interface Thread {
  readonly id: number;
  readonly places: Participant[];
  /** Its robust list: lock words. */
  readonly list: Set<number>;
  /** list_op_pending */
  pending: number | undefined;
  /** Whether it has freed the pending one, and not woken anybody yet. */
  released: boolean;
  clock: number;
}
/** Faults of the machinery below, to see that they are found. */
export interface Faults {
  /** The kernel wakes nobody when an owner dies. */
  readonly silentDeath?: boolean;
  /** A release wakes one, as the C library's does. */
  readonly wakesOne?: boolean;
}

let machine: Machine | undefined;
let thread: Thread | undefined;
let faults: Faults = {};
/**
 * Who died after it had freed a lock and before it woke those who wait for it, when somebody else had taken it already, who does not know
 * of them: the kernel wakes somebody only if the lock is free. That is the protocol of robust futexes, which C shares; those who wait
 * learn of it when they look again (LOOK_AGAIN).
 */
export const gaps = new WeakSet<Process>();
const threads = new WeakMap<Process, Thread>();
export const threadIdOf = (index: number): number => 1000 + index;

function take({ places }: Thread, id: number, bits: number): number {
  const { id: own } = thread!;
  const place = places[id]!;
  const { word, bare } = place;
  if (place.held) return failure('EDEADLK');
  let seen = machine!.load(word);
  for (;;) {
    const owner = seen & TID_MASK;
    if ((seen & OWNER_DIED) === 0 && owner !== 0) return failure(owner === own ? 'EDEADLK' : 'EBUSY');
    thread!.pending = word;
    const expected = seen;
    seen = machine!.exchange(word, (found) => (found === expected ? own | (expected & WAITERS) | bits : found));
    if (seen === expected) break;
    thread!.pending = undefined;
  }
  const died = (seen & OWNER_DIED) !== 0;
  if (!bare) {
    if (!died && machine!.load(word + OWNER) === NOT_RECOVERABLE) {
      machine!.store(word + COUNT, 0);
      if ((machine!.exchange(word, () => 0) & WAITERS) !== 0) wake(word, EVERYBODY);
      thread!.pending = undefined;
      return failure('ENOTRECOVERABLE');
    }
    machine!.store(word + COUNT, 1);
    machine!.store(word + OWNER, died ? INCONSISTENT : own);
    if (!died) machine!.store(word + USERS, machine!.load(word + USERS) + 1);
  }
  place.held = true;
  thread!.list.add(word);
  thread!.pending = undefined;
  return died ? failure('EOWNERDEAD') : 0;
}
function give({ id: own, places, list }: Thread, id: number, left: number): number {
  const place = places[id]!;
  const { word, bare } = place;
  if (!place.held) return failure('EPERM');
  const seen = machine!.load(word);
  const intact = (seen & TID_MASK) === own && (seen & OWNER_DIED) === 0;
  thread!.pending = intact ? word : undefined;
  list.delete(word);
  place.held = false;
  if (!intact) return failure('EILSEQ');
  if (!bare && left === 0) {
    const owner = machine!.load(word + OWNER);
    machine!.store(word + OWNER, owner === INCONSISTENT ? NOT_RECOVERABLE : 0);
    machine!.store(word + USERS, machine!.load(word + USERS) - 1);
  }
  const value = left === 0 ? 0 : left | (seen & WAITERS);
  const found = machine!.exchange(word, () => value);
  thread!.released = (found & WAITERS) !== 0;
  if (thread!.released) wake(word, faults.wakesOne === true ? 1 : EVERYBODY);
  thread!.released = false;
  thread!.pending = undefined;
  return 0;
}
function wake(word: number, count: number): number {
  return machine!.call(() => machine!.wake(word, count));
}
/** exit_robust_list() and handle_futex_death() of the kernel, as of Linux 5.5. */
function onDeath(process: Process): void {
  const dead = threads.get(process);
  if (dead === undefined) return;
  const { pending, released } = dead;
  if (pending !== undefined && released && machine!.memory[pending] !== 0) gaps.add(process);
  for (const word of dead.list) if (word !== dead.pending) bury(dead.id, word, false);
  if (dead.pending !== undefined) bury(dead.id, dead.pending, true);
}
function bury(id: number, word: number, pending: boolean): void {
  const { memory } = machine!;
  const value = memory[word]!;
  if (pending && value === 0) {
    machine!.wake(word, 1); // it may have died between its release and the wake-up
    return;
  }
  if ((value & TID_MASK) !== id) return;
  memory[word] = (value & WAITERS) | OWNER_DIED;
  if ((value & WAITERS) !== 0 && faults.silentDeath !== true) machine!.wake(word, 1);
}
function futexWait(words: readonly { index: number; expected: number }[], milliseconds: number): number {
  const result = machine!.futexWait(words, milliseconds);
  if (result === -2) return failure('EAGAIN');
  thread!.clock += result === -1 ? milliseconds : SLEEP;
  return result === -1
    ? failure('ETIMEDOUT')
    : Math.max(
        0,
        words.findIndex(({ index }) => index === result),
      );
}

const call = new Int32Array(native.lockCall);
/** What is here for programs of a machine, and as it was for all others. */
function replace<Name extends keyof typeof native>(
  name: Name,
  model: (thread: Thread, ...given: never[]) => unknown,
): void {
  const real = native[name] as (...given: unknown[]) => unknown;
  const replaced = (...given: unknown[]) =>
    thread === undefined ? real(...given) : model(thread, ...(given as never[]));
  (native as unknown as Record<string, unknown>)[name] = replaced;
}
replace('gettid', ({ id }) => id);
replace('lockRegister', ({ places }, _: object, offset: number, bare: boolean) => {
  return places.push({ word: offset / 4, bare, held: false }) - 1;
});
replace('lockForget', ({ places }, id: number) => (places[id]?.held === true ? failure('EBUSY') : 0));
replace('lockAcquire', (thread) => {
  call[1] = take(thread, call[0]!, 0);
});
replace('lockAcquireAwaited', (thread, id: number) => take(thread, id, WAITERS));
replace('lockRelease', (thread) => {
  call[1] = give(thread, call[0]!, 0);
});
replace('lockAbandon', (thread, id: number) => give(thread, id, OWNER_DIED));
replace('lockConsistent', ({ id: own, places }, id: number) => {
  const { held, bare, word } = places[id]!;
  if (!held || bare) return failure('EPERM');
  if (machine!.load(word + OWNER) !== INCONSISTENT) return failure('EINVAL');
  machine!.store(word + OWNER, own);
  return 0;
});
replace('lockStore', ({ places }, id: number, offset: number, value: number) => {
  const { held, word } = places[id]!;
  if (!held) return failure('EPERM');
  machine!.exchange(word + offset / 4, () => value);
  return 0;
});
replace('futexWait', (_, _view: object, offset: number, expected: number, milliseconds: number) => {
  return futexWait([{ index: offset / 4, expected }], milliseconds);
});
replace('futexWaitv', (_, _view: object, pairs: Int32Array, milliseconds: number) => {
  const words = Array.from({ length: pairs.length / 2 }, (_, i) => ({
    index: pairs[2 * i]!,
    expected: pairs[2 * i + 1]!,
  }));
  return futexWait(words, milliseconds);
});
replace('futexWake', (_, _view: object, offset: number, count: number) => wake(offset / 4, count));
/** One atomic operation on the value and the number of waiters: native/semaphore.c. */
replace('semRegister', (_, _view: object, offset: number, waiters: number) => {
  return machine!.exchange(offset / 4 + 1, (found) => found + waiters, offset / 4);
});

// One processor: nobody looks at a lock for a while before it sleeps.
os.availableParallelism = () => 1;
syncBuiltinESMExports();
const { now } = performance;

/** Makes a lock in ordinary memory, before any thread has it. */
export function prepare(make: () => unknown): void {
  const { lockRegister } = native;
  native.lockRegister = () => 0;
  make();
  native.lockRegister = lockRegister;
}
/** The memory of a machine, or an ordinary one in which a lock is made before, as what locks live in. */
export function memoryOf(buffer: ArrayBuffer): SharedMemory {
  return Object.create(SharedMemory.prototype, {
    buffer: { value: buffer },
    name: { value: 'explored' },
    readOnly: { value: false },
  }) as SharedMemory;
}
/** A program that has a thread of its own. */
export function threaded(of: Machine, faulty: Faults, program: Program): Program {
  return (report) => {
    machine = of;
    faults = faulty;
    const { running } = of;
    thread = {
      id: threadIdOf(running!.index),
      places: [],
      list: new Set(),
      pending: undefined,
      released: false,
      clock: 0,
    };
    threads.set(running!, thread);
    of.onDeath = onDeath;
    performance.now = () => thread!.clock;
    try {
      program(report);
    } finally {
      performance.now = now;
      thread = undefined;
    }
  };
}
/** Imports production code that is to be run by a machine. */
export function load<T>(imported: () => Promise<T>): Promise<T> {
  return withSubstitutes(imported);
}
