/**
 * A ring of chunks in shared memory: one process fills them and one empties them, at the same time.
 *
 * ```text
 *    0  produced   Int32  chunks filled since the beginning, wrapping   written by the producer
 *    4             Int32  1 while the producer sleeps on `consumed`
 *   64  consumed   Int32  chunks emptied since the beginning, wrapping  written by the consumer
 *   68             Int32  1 while the consumer sleeps on `produced`
 *  128  length[]   Int32  bytes in each chunk, 0 for the end            written by the producer
 * 4096  chunks     SLOTS times `chunk` bytes
 * ```
 *
 * Synchronisation: the store to `produced` (fill) pairs with the load in `next`, and publishes the chunk's bytes and length; the store to
 * `consumed` (release) pairs with the load in `room`. A side that is about to sleep sets its flag and checks again; a side that publishes
 * checks the other's flag afterwards. So no wake-up is lost.
 *
 * Crash: if either side is killed the other sleeps for ever; the process that started both must watch them (coordinator.ts does).
 */
import { SharedMemory } from '../../memory/index.js';
import { futexWait, futexWake } from '../../system/index.js';

const HEADER = 4096;
const SLOTS = 8; // a power of two: the counters wrap around
const PRODUCED = 0;
const PRODUCER_SLEEPS = 1;
const CONSUMED = 16;
const CONSUMER_SLEEPS = 17;
const LENGTHS = 32;
/** Polls before it sleeps: about 40 µs, less than what waking a process costs. */
const SPINS = 4000;

export class ChunkRing {
  /** The memory of all chunks; {@link room} and {@link next} return the offset of a chunk. */
  readonly bytes: Uint8Array;
  readonly chunk: number;
  readonly #words: Int32Array;
  #produced = 0;
  #consumed = 0;

  static create(chunk: number): SharedMemory {
    return SharedMemory.anonymous(HEADER + SLOTS * chunk);
  }
  constructor(memory: SharedMemory, chunk: number) {
    this.chunk = chunk;
    this.#words = new Int32Array(memory.buffer, 0, HEADER / 4);
    this.bytes = new Uint8Array(memory.buffer, HEADER, SLOTS * chunk);
  }

  /** Producer: waits for an empty chunk and returns its offset. */
  room(): number {
    if (((this.#produced - this.#consumed) | 0) >= SLOTS) {
      this.#consumed = this.#await(CONSUMED, PRODUCER_SLEEPS, (this.#produced - SLOTS) | 0);
    }
    return (this.#produced & (SLOTS - 1)) * this.chunk;
  }
  /** Producer: publishes `length` bytes of the chunk of {@link room}; 0 marks the end. */
  fill(length: number): void {
    this.#words[LENGTHS + (this.#produced & (SLOTS - 1))] = length;
    this.#produced = (this.#produced + 1) | 0;
    this.#publish(PRODUCED, this.#produced, CONSUMER_SLEEPS);
  }
  /** Consumer: waits for a full chunk and returns its offset. */
  next(): number {
    if (this.#produced === this.#consumed) this.#produced = this.#await(PRODUCED, CONSUMER_SLEEPS, this.#consumed);
    return (this.#consumed & (SLOTS - 1)) * this.chunk;
  }
  /** Consumer: the bytes in the chunk of {@link next}. */
  length(): number {
    return this.#words[LENGTHS + (this.#consumed & (SLOTS - 1))]!;
  }
  /** Consumer: releases the chunk. */
  release(): void {
    this.#consumed = (this.#consumed + 1) | 0;
    this.#publish(CONSUMED, this.#consumed, PRODUCER_SLEEPS);
  }

  /** Waits until the word is no longer `old`. */
  #await(word: number, flag: number, old: number): number {
    const words = this.#words;
    for (let look = 0; look < SPINS; look++) {
      const now = Atomics.load(words, word);
      if (now !== old) return now;
    }
    for (;;) {
      Atomics.store(words, flag, 1);
      const now = Atomics.load(words, word);
      if (now !== old) {
        Atomics.store(words, flag, 0);
        return now;
      }
      futexWait(words, word, old);
      Atomics.store(words, flag, 0);
    }
  }
  #publish(word: number, value: number, flag: number): void {
    Atomics.store(this.#words, word, value);
    if (Atomics.load(this.#words, flag) === 1) futexWake(this.#words, word);
  }
}
