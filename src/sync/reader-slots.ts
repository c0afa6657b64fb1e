/**
 * The words of an RwLock's readers: one for each reading thread, each a robust lock of its own, so that the kernel frees the word
 * of a reader that dies.
 */
import { EBUSY, EDEADLK, EOWNERDEAD } from '../system/errno.js';
import { futexWake } from '../system/futex.js';
import { FUTEX_WAITERS } from '../system/robust.js';
import { type AwaitedWord, hasChanged } from '../system/word-wait.js';
import { isTaken, type LockMemory, RobustLock } from './robust-lock.js';

/** How many threads can read at once. */
export const MAX_READERS = 64;
const STRIDE_BYTES = 64;
export const READER_SLOTS_BYTES: number = MAX_READERS * STRIDE_BYTES;

export class ReaderSlots {
  readonly #memory: LockMemory;
  readonly #words: Int32Array;
  readonly #offset: number;
  readonly #what: string;
  /** The slots that this thread has used so far. */
  readonly #locks: (RobustLock | undefined)[] = [];
  #last = 0;

  /** @param offset bytes, of the first word */
  constructor(memory: LockMemory, offset: number, what: string) {
    this.#memory = memory;
    this.#words = new Int32Array(memory.buffer);
    this.#offset = offset;
    this.#what = what;
  }
  /** One for this thread; undefined if all are taken. */
  acquire(): RobustLock | undefined {
    for (let i = 0; i < MAX_READERS; i++) {
      const slot = (this.#last + i) % MAX_READERS;
      if (isTaken(Atomics.load(this.#words, this.#wordOf(slot)))) continue;
      const lock = this.#lockOf(slot);
      const result = lock.acquire();
      if (result === 0 || result === EOWNERDEAD) {
        this.#last = slot;
        return lock;
      }
      if (result !== EBUSY && result !== EDEADLK) throw lock.error(result);
    }
    return undefined;
  }
  /** Whether there is a reader. */
  get inUse(): boolean {
    for (let slot = 0; slot < MAX_READERS; slot++) {
      if (isTaken(Atomics.load(this.#words, this.#wordOf(slot)))) return true;
    }
    return false;
  }
  /** The words of the current readers, which learn that there is a waiter. */
  await(): AwaitedWord[] {
    const awaited: AwaitedWord[] = [];
    const words = this.#words;
    for (let slot = 0; slot < MAX_READERS; slot++) {
      const index = this.#wordOf(slot);
      let word = Atomics.load(words, index);
      while (isTaken(word) && (word & FUTEX_WAITERS) === 0) {
        const found = Atomics.compareExchange(words, index, word, word | FUTEX_WAITERS);
        word = found === word ? word | FUTEX_WAITERS : found;
      }
      if (isTaken(word)) awaited.push({ words, index, expected: word });
    }
    return awaited;
  }
  close(): void {
    for (const lock of this.#locks) lock?.close();
  }
  #wordOf(slot: number): number {
    return (this.#offset + slot * STRIDE_BYTES) / 4;
  }
  #lockOf(slot: number): RobustLock {
    return (this.#locks[slot] ??= new RobustLock(this.#memory, this.#offset + slot * STRIDE_BYTES, this.#what, true));
  }
}

/**
 * A thread that slept on readers' words wakes the other sleepers: when a reader dies, the kernel wakes only one, and both a writer that
 * waits for that reader and a reader that waits for a free word sleep there.
 */
export function passOn(slots: readonly AwaitedWord[]): void {
  for (const slot of slots) if (hasChanged(slot)) futexWake(slot.words, slot.index, 0x7fffffff);
}
