/**
 * A barrier: a fixed number of parties wait until all have arrived.
 *
 *     0 magic   4 parties   8 state   64 + 40·i: one robust word for each waiting party, with its round
 *
 * state: bit 0 broken, bits 1 to 8 the number of arrivals, above them the round. An arriving party takes a free word, stores the round in
 * it and then adds itself to the state, all by atomic steps. The last party begins the next round instead.
 * When a party dies, the kernel marks its word and wakes the threads that sleep on it. Every party sleeps on all words, so all learn of a
 * death at once.
 */

import { checkInteger } from '../system/arguments.js';
import { Deadline, type SyncWaitOptions, type WaitOptions } from '../system/deadline.js';
import { EBUSY, EDEADLK, EOWNERDEAD } from '../system/errno.js';
import { ClosedError, CorruptError, invalidArgument, PeerDiedError } from '../system/errors.js';
import { futexWake } from '../system/futex.js';
import { KeepAlive } from '../system/keep-alive.js';
import { readOnly } from '../system/read-only.js';
import { FUTEX_OWNER_DIED } from '../system/robust.js';
import type { AwaitedWord } from '../system/word-wait.js';
import { type Attempt, finishSync, LockWaitQueue } from './lock-wait-queue.js';
import { Looking } from './looking.js';
import { NAMED_OFFSET, type NamedOptions, openNamed, unlinkNamed } from './named.js';
import { checkPlace, type LockMemory, place, RobustLock } from './robust-lock.js';

const MAGIC = 0x76636261;
/** futex_waitv(2) takes at most 128 words: the state and these. */
const MAX_PARTICIPANTS = 120;
const SLOTS = 64;
const STRIDE = 40;
/** In words, from the beginning of the barrier. */
const PARTIES = 1;
const STATE = 2;
/** In words, from the beginning of a slot. Holds the round in which its owner arrived, times two, plus one; 0 before that. */
const ROUND = 1;

const BROKEN = 1;
const COME = 2;
const COME_MASK = 0x1fe;
const NEXT_ROUND = 0x200;
const come = (state: number) => (state & COME_MASK) / COME;
const roundOf = (state: number) => state & ~(COME_MASK | BROKEN);

/**
 * A barrier: a fixed number of parties, in any processes and threads, wait until all have arrived. Then all continue, and the next round
 * begins.
 *
 * If a party dies while it waits, the barrier is broken: all other parties, and all later arrivals, fail at once with {@link PeerDiedError}
 * until you call {@link Barrier.reset}. The barrier does not notice a party that dies elsewhere, so use time-outs. A wait that times out or
 * is aborted counts as if it had never arrived, and does not break the barrier.
 *
 * @example
 * ```ts
 * import { Barrier, SharedMemory } from 'vecino';
 *
 * using memory = SharedMemory.anonymous(Barrier.byteLength);
 * const barrier = Barrier.create(memory, 0, 3);
 * const last = await Promise.all([barrier.wait(), barrier.wait(), barrier.wait()]);
 * console.log(last.filter(Boolean).length); // 1
 * ```
 */
export class Barrier implements Disposable {
  /** Size in bytes, for any number of parties. The offset must be a multiple of 8. */
  static readonly byteLength: number = SLOTS + MAX_PARTICIPANTS * STRIDE;
  static {
    readOnly(Barrier, 'byteLength');
  }

  /** The number of parties that must arrive. */
  readonly parties: number;
  readonly #memory: LockMemory;
  readonly #what: string;
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #slots: (RobustLock | undefined)[] = [];
  readonly #waitQueues = new Set<LockWaitQueue>();
  readonly #keepAlive = new KeepAlive();
  readonly #looking = new Looking();
  readonly #own: Disposable | undefined;
  #closed = false;

  private constructor(memory: LockMemory, offset: number, what: string, own?: Disposable) {
    this.#memory = memory;
    this.#what = what;
    this.#own = own;
    this.#words = new Int32Array(memory.buffer);
    this.#base = offset / 4;
    const whole = Atomics.load(this.#words, this.#base) === MAGIC; // first: the magic is written last
    this.parties = this.#words[this.#base + PARTIES]!;
    readOnly(this, 'parties');
    if (!whole || this.parties < 1 || this.parties > MAX_PARTICIPANTS) {
      throw new CorruptError(`there is no ${what}. Create it with Barrier.create()`);
    }
  }

  /**
   * Creates a barrier in memory that no process uses as one yet.
   *
   * @param offset bytes, a multiple of 8
   * @param parties how many must arrive, 1 to 120
   */
  static create(memory: LockMemory, offset: number, parties: number): Barrier {
    const checked = checkPlace(memory, offset, Barrier.byteLength);
    checkInteger('parties', parties, 1, MAX_PARTICIPANTS);
    initialize(new Int32Array(checked.buffer), offset / 4, parties);
    return new Barrier(checked, offset, place('barrier', checked, offset));
  }
  /**
   * Opens an existing barrier.
   *
   * @throws CorruptError if there is none
   */
  static at(memory: LockMemory, offset = 0): Barrier {
    const checked = checkPlace(memory, offset, Barrier.byteLength);
    return new Barrier(checked, offset, place('barrier', checked, offset));
  }
  /**
   * Opens the barrier of that name, and creates it on first use. It stays until {@link Barrier.unlink}.
   *
   * @throws a `TypeError` with code `ERR_INVALID_ARG_VALUE` if it was created for another number of parties
   */
  static named(name: string, parties: number, options?: NamedOptions): Barrier {
    checkInteger('parties', parties, 1, MAX_PARTICIPANTS);
    const make = (words: Int32Array, index: number) => initialize(words, index, parties);
    const memory = openNamed('barrier', name, Barrier.byteLength, make, options);
    try {
      const barrier = new Barrier(memory, NAMED_OFFSET, `barrier '${name}'`, memory);
      if (barrier.parties === parties) return barrier;
      throw invalidArgument(
        'ERR_INVALID_ARG_VALUE',
        'parties',
        `${barrier.parties}, as the barrier was created with`,
        parties,
      );
    } catch (error) {
      memory.close();
      throw error;
    }
  }
  /** Removes a name. Returns false if it does not exist. A process that has the barrier open keeps it. */
  static unlink(name: string): boolean {
    return unlinkNamed('barrier', name);
  }

  /** How many parties wait now. */
  get waiting(): number {
    return come(this.#state());
  }
  /** Whether a party died while it waited. */
  get broken(): boolean {
    return (this.#state() & BROKEN) !== 0;
  }
  /**
   * Waits until all parties have arrived, without blocking the event loop.
   *
   * @returns true for exactly one party, the one that arrived last
   * @throws PeerDiedError if a party died while it waited, or the barrier was reset
   * @throws TimeoutError, or the signal's reason: then this party has not arrived
   */
  async wait(options?: WaitOptions): Promise<boolean> {
    const deadline = new Deadline(`wait at ${this.#what}`, options);
    deadline.signal?.throwIfAborted();
    this.#use();
    const waitQueue = new LockWaitQueue(this.#keepAlive); // each call is a party of its own
    this.#waitQueues.add(waitQueue);
    try {
      return await waitQueue.join(this.#attempt(), deadline);
    } finally {
      this.#waitQueues.delete(waitQueue);
    }
  }
  /** As {@link Barrier.wait}, but blocks the thread. */
  waitSync(options?: SyncWaitOptions): boolean {
    const deadline = new Deadline(`wait at ${this.#what}`, options);
    this.#use();
    return finishSync(this.#attempt(), deadline, this.#looking, () => undefined);
  }
  /** Repairs a broken barrier. Parties that wait at that moment fail with {@link PeerDiedError}. */
  reset(): void {
    this.#use();
    for (let i = 0; i < this.parties; i++) {
      if ((Atomics.load(this.#words, this.#wordOf(i)) & FUTEX_OWNER_DIED) !== 0) this.#bury(i);
    }
    // Two rounds on, so that a party that waits for this round sees that it was never completed.
    this.#change((state) => (roundOf(state) + 2 * NEXT_ROUND) | 0);
    futexWake(this.#words, this.#base + STATE, 0x7fffffff);
  }
  /** Pending waits keep the program running. This is the default. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /** Pending waits, now and later, do not keep the program running. */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /** Closes this object, and ends its waits with {@link ClosedError}. The barrier stays. Idempotent. */
  close(): void {
    if (this.#closed) return;
    for (const waitQueue of this.#waitQueues) waitQueue.close(new ClosedError(this.#what));
    this.#closed = true;
    for (const slot of this.#slots) slot?.close();
    this.#own?.[Symbol.dispose]();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  #attempt(): Attempt<boolean> {
    let slot: RobustLock | undefined;
    let arrived = false;
    let round = 0;
    let seen: AwaitedWord[] = [];
    const leave = () => {
      if (slot === undefined) return;
      if (this.#words.length !== 0) this.#words[slot.index + ROUND] = 0;
      slot.release();
      slot = undefined;
    };
    const end = (state: number) => {
      leave();
      if ((state & BROKEN) !== 0) throw this.#dead();
      if (roundOf(state) === ((round + NEXT_ROUND) | 0)) return false;
      throw new PeerDiedError(`${this.#what} was reset while this party waited. Wait again`);
    };
    return {
      try: () => {
        if (slot === undefined) {
          slot = this.#takeSlot();
          if (slot === undefined) {
            // Try again after the look: a word that was freed just before it would wake nobody.
            seen = this.#look(undefined);
            slot = this.#takeSlot();
          }
          if (slot === undefined) return undefined;
          const result = this.#arrive(slot);
          if (typeof result !== 'number') {
            leave();
            if (result instanceof Error) throw result;
            return true;
          }
          round = result;
          arrived = true;
        }
        seen = this.#look(slot);
        const state = seen[0]!.expected;
        if (roundOf(state) !== round || (state & BROKEN) !== 0) return end(state);
        if (this.#hasDead(round)) {
          this.#break(round);
          return end(this.#state());
        }
        return undefined;
      },
      obstacle: () => ({ places: seen }),
      abandon: () => {
        if (slot === undefined) return undefined;
        if (this.#words.length === 0) {
          // The memory is closed, so this party cannot be subtracted from the count. For the others it died.
          slot.abandon();
          slot = undefined;
        }
        if (!arrived || slot === undefined) {
          leave();
          return undefined;
        }
        const state = this.#change((now) =>
          roundOf(now) === round && (now & BROKEN) === 0 && come(now) > 0 ? now - COME : now,
        );
        leave();
        // All had arrived before it could leave.
        return (state & BROKEN) === 0 && roundOf(state) === ((round + NEXT_ROUND) | 0) ? false : undefined;
      },
    };
  }
  /** A word that no party owns. Undefined: all are owned, some by parties of the previous round. */
  #takeSlot(): RobustLock | undefined {
    for (let i = 0; i < this.parties; i++) {
      const slot = this.#slotAt(i);
      const result = slot.acquireAwaited();
      if (result === EBUSY || result === EDEADLK) continue;
      if (result === EOWNERDEAD) {
        const state = this.#state();
        if (this.#words[slot.index + ROUND] === mark(roundOf(state))) this.#break(roundOf(state));
      } else if (result !== 0) throw slot.error(result);
      this.#words[slot.index + ROUND] = 0;
      return slot;
    }
    return undefined;
  }
  /** The round at which this party arrived; true if it was the last; or the error that keeps it from arriving. */
  #arrive(slot: RobustLock): number | true | Error {
    for (;;) {
      const state = this.#state();
      const round = roundOf(state);
      if ((state & BROKEN) !== 0) return this.#dead();
      if (come(state) >= this.parties) {
        return new CorruptError(`${this.#what} was overwritten: ${come(state)} of ${this.parties} parties wait`);
      }
      Atomics.store(this.#words, slot.index + ROUND, mark(round));
      if (this.#hasDead(round)) {
        this.#break(round);
        continue;
      }
      const last = come(state) + 1 === this.parties;
      const next = last ? (round + NEXT_ROUND) | 0 : state + COME;
      if (Atomics.compareExchange(this.#words, this.#base + STATE, state, next) !== state) continue;
      if (!last) return round;
      futexWake(this.#words, this.#base + STATE, 0x7fffffff);
      return true;
    }
  }
  /** The state first, then the words of the others, as they are now. */
  #look(mine: RobustLock | undefined): AwaitedWord[] {
    const words = this.#words;
    const seen = [{ words, index: this.#base + STATE, expected: this.#state() }];
    for (let i = 0; i < this.parties; i++) {
      const index = this.#wordOf(i);
      if (index !== mine?.index) seen.push({ words, index, expected: Atomics.load(words, index) });
    }
    return seen;
  }
  /** Whether a party that arrived in that round is dead. */
  #hasDead(round: number): boolean {
    for (let i = 0; i < this.parties; i++) {
      const index = this.#wordOf(i);
      // The round first: after a word was taken over from a dead party, it holds the newcomer's round.
      const came = Atomics.load(this.#words, index + ROUND) === mark(round);
      if (came && (Atomics.load(this.#words, index) & FUTEX_OWNER_DIED) !== 0) return true;
    }
    return false;
  }
  #break(round: number): void {
    this.#change((state) => (roundOf(state) === round ? state | BROKEN : state));
    futexWake(this.#words, this.#base + STATE, 0x7fffffff);
  }
  /** Frees the word of a dead party. */
  #bury(i: number): void {
    const slot = this.#slotAt(i);
    const result = slot.acquire();
    if (result !== 0 && result !== EOWNERDEAD) return;
    this.#words[slot.index + ROUND] = 0;
    slot.release();
  }
  /** Changes the state by one atomic step, and returns the new state. */
  #change(change: (state: number) => number): number {
    for (;;) {
      const state = this.#state();
      const next = change(state);
      if (Atomics.compareExchange(this.#words, this.#base + STATE, state, next) === state) return next;
    }
  }
  #state(): number {
    if (this.#words.length === 0 || this.#closed) throw new ClosedError(this.#what);
    return Atomics.load(this.#words, this.#base + STATE);
  }
  #slotAt(i: number): RobustLock {
    return (this.#slots[i] ??= new RobustLock(this.#memory, this.#wordOf(i) * 4, this.#what, true));
  }
  #wordOf(i: number): number {
    return this.#base + (SLOTS + i * STRIDE) / 4;
  }
  #dead(): PeerDiedError {
    return new PeerDiedError(
      `a party of ${this.#what} died while it waited. Call reset() when all parties have got this error`,
    );
  }
  #use(): void {
    if (this.#closed) throw new ClosedError(this.#what);
    void this.#memory.buffer; // throws if the memory is closed or was truncated
  }
}

function mark(round: number): number {
  return round | 1;
}
function initialize(words: Int32Array, index: number, parties: number): void {
  words.fill(0, index, index + Barrier.byteLength / 4);
  words[index + PARTIES] = parties;
  Atomics.store(words, index, MAGIC);
}
