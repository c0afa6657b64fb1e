/**
 * A reading end of a ring of a topic (layout.ts). Any number of them, none of which the writer knows.
 *
 * What was read counts only if {@link RingReader.intact} says so afterwards: the writer may have overwritten it meanwhile. Then the
 * reader goes on with the oldest record there is, and the numbers between are lost.
 *
 * Hostility: of the shared words it believes none. A record must lie within the ring and carry the expected number, and its length is read
 * once. What does not is either overtaken, which `oldest` then says, or a {@link CorruptError}.
 */

import { CorruptError } from '../../system/errors.js';
import { copyOut, MAX_LOOP_BYTES } from '../copy-out.js';
import { loadLast, loadPublished } from '../ordering.js';
import {
  DATA,
  KIND,
  LENGTH,
  longestMessage,
  MESSAGE,
  OLDEST,
  PAD,
  RECORD_HEADER,
  SEQUENCE_HIGH,
  SEQUENCE_LOW,
  sequenceOf,
  TAIL,
  unitsOf,
} from './layout.js';

/** The memory of a ring. */
export interface RingMemory {
  readonly buffer: ArrayBuffer;
  /** Throws if it is known to be damaged. */
  check(): void;
}
/** Private memory to copy a message to. */
export interface PrivateMemory {
  /** At least `length` bytes. */
  room(length: number): Uint8Array<ArrayBuffer>;
  /** The same in words. */
  readonly words: Int32Array;
}
/** Where to begin: behind the last message, at the oldest, or at the first that there ever was (what is gone counts as lost). */
export type Beginning = 'now' | 'oldest' | 'first';
/** What a reader counts, in an array that readers may share. */
export const RECEIVED = 0;
export const RECEIVED_BYTES = 1;
export const LOST = 2;
/** Of the lost, those that were overwritten while they were visited. */
export const OVERTAKEN = 3;

/** How often a position may change between two looks at it. A writer is not that fast; random bytes are. */
const MAX_CHANGES = 100_000;

export class RingReader<Memory extends RingMemory = RingMemory> {
  /** The memory, for whoever reads payloads. */
  readonly bytes: Uint8Array;
  readonly mapping: Memory;
  readonly #words: Int32Array;
  readonly #counts: Float64Array;
  readonly #units: number;
  readonly #mask: number;
  readonly #longest: number;
  /** Of the next record, with its number. */
  #position = 0;
  #low = 0;
  #high = 0;
  /** What was last seen of the writer's. */
  #tail = 0;
  /**
   * Of the last record. Most are as long as the one before. Where the next one begins is then not computed from what was just read: the
   * processor guesses the branch, and fetches the lines of many records at once instead of one after the other.
   */
  #usualLength = 0;
  #usualSize = RECORD_HEADER >> 4;
  /** Of the record that {@link next} gave. */
  #given = 0;
  length = 0;

  constructor(mapping: Memory, capacity: number, counts: Float64Array, from: Beginning) {
    this.mapping = mapping;
    this.bytes = new Uint8Array(mapping.buffer);
    this.#words = new Int32Array(mapping.buffer);
    this.#counts = counts;
    this.#units = capacity >> 4;
    this.#mask = this.#units - 1;
    this.#longest = longestMessage(capacity);
    if (from !== 'first') this.#begin(from);
  }

  /** Steps over the next record: the byte offset of its payload, with {@link length}, or -1 if there is none. */
  next(): number {
    const words = this.#words;
    for (;;) {
      if (this.#position === this.#tail && !this.#look()) return -1;
      const position = this.#position;
      const at = position & this.#mask;
      const index = (DATA >> 2) + (at << 2);
      const length = words[index + LENGTH]!; // ordered behind the load of the tail
      if (length !== this.#usualLength && length >= 0 && length <= this.#longest) {
        this.#usualLength = length;
        this.#usualSize = unitsOf(length);
      }
      if (
        length === this.#usualLength &&
        words[index + SEQUENCE_LOW] === this.#low &&
        words[index + SEQUENCE_HIGH] === this.#high
      ) {
        const kind = words[index + KIND];
        const size = this.#usualSize;
        const left = (this.#tail - position) >>> 0;
        if (kind === MESSAGE && size <= left && at + size <= this.#units) {
          this.#given = position;
          this.#position = (position + size) | 0;
          if ((this.#low = (this.#low + 1) | 0) === 0) this.#high++;
          this.length = length;
          this.#counts[RECEIVED]!++;
          this.#counts[RECEIVED_BYTES]! += length;
          return DATA + (at << 4) + RECORD_HEADER;
        }
        if (kind === PAD && size < left && at + size === this.#units && this.#isAhead(position)) {
          this.#position = (position + size) | 0;
          continue;
        }
      }
      this.#resume();
    }
  }
  /** Whether the record that {@link next} gave is still whole. Ask after reading it. */
  intact(): boolean {
    // The number too: a reader that was stopped while positions came round would find one that is right by chance.
    const given = this.#given;
    return (
      this.#isAhead(given) &&
      this.#words[(DATA >> 2) + ((given & this.#mask) << 2) + SEQUENCE_LOW] === ((this.#low - 1) | 0)
    );
  }
  /** Copies what {@link next} gave to the beginning of private memory. */
  copy(offset: number, scratch: PrivateMemory): Uint8Array {
    const { length } = this;
    const memory = scratch.room(length + 3);
    if (length <= MAX_LOOP_BYTES) copyOut(this.#words, offset >> 2, scratch.words, length);
    else memory.set(this.bytes.subarray(offset, offset + length));
    return memory;
  }
  /** What {@link next} gave was not whole any more: it counts as lost, and what was lost with it. `visited`: somebody has seen it. */
  disown(visited: boolean): void {
    const counts = this.#counts;
    counts[RECEIVED]!--;
    counts[RECEIVED_BYTES]! -= this.length;
    if (visited) counts[OVERTAKEN]!++;
    // Back to where it began: its length may have been overwritten before it was read, so where the next one begins is not known.
    if (this.#low === 0) this.#high--;
    this.#low = (this.#low - 1) | 0;
    this.#position = this.#given;
    this.#resume();
  }
  /** Whether there is something to read, without reading it. */
  get ready(): boolean {
    return this.#position !== this.#tail || loadPublished(this.#words, TAIL) !== this.#position;
  }
  /** Calls `visit` for up to `limit` records, where they lie. What came back overtaken is counted. */
  drain(visit: (memory: Uint8Array, offset: number, length: number) => void, limit: number): number {
    const { bytes } = this;
    let count = 0;
    while (count < limit) {
      const offset = this.next();
      if (offset < 0) break;
      count++;
      visit(bytes, offset, this.length);
      if (bytes.length === 0) break; // closed by the visitor
      if (!this.intact()) this.disown(true);
    }
    return count;
  }

  /** Reads the writer's tail; false: nothing new. */
  #look(): boolean {
    for (;;) {
      const tail = loadPublished(this.#words, TAIL); // pairs with the store in RingWriter.commit
      if (tail === this.#position) return false;
      if ((tail - this.#position) >>> 0 < this.#units) {
        this.#tail = tail;
        return true;
      }
      this.#resume(); // far behind, or nonsense
    }
  }
  /** Whether a position is not behind the oldest record, as of now. */
  #isAhead(position: number): boolean {
    return (position - loadLast(this.#words, OLDEST)) >>> 0 < this.#units; // pairs with the store in RingWriter.#makeRoom
  }
  /** Sets out. */
  #begin(from: 'now' | 'oldest'): void {
    const words = this.#words;
    for (let look = 0; look < MAX_CHANGES; look++) {
      const position = Atomics.load(words, from === 'now' ? TAIL : OLDEST);
      const index = (DATA >> 2) + ((position & this.#mask) << 2);
      const low = words[index + SEQUENCE_LOW]!;
      const high = words[index + SEQUENCE_HIGH]!;
      if (!this.#isAhead(position)) continue;
      this.#position = position;
      this.#tail = position;
      this.#low = low;
      this.#high = high;
      if (high < 0 || high >= 2 ** 21) break;
      return;
    }
    throw this.#damaged();
  }
  /** Goes on with the oldest record, if it was overtaken; otherwise what it met cannot be. */
  #resume(): void {
    const before = this.#position;
    const expected = sequenceOf(this.#low, this.#high);
    this.#begin('oldest');
    const lost = sequenceOf(this.#low, this.#high) - expected;
    // With none lost, it was a pad that was overtaken. Never back: that could go on for ever.
    const ahead = (this.#position - before) >>> 0;
    if (lost < 0 || (lost === 0 && (ahead === 0 || ahead >= this.#units))) throw this.#damaged();
    this.#counts[LOST]! += lost;
  }
  #damaged(): CorruptError {
    this.mapping.check(); // it may be known what happened
    return new CorruptError(
      'a ring of the topic is corrupt: it has an invalid record. Close the topic in all processes, or use another name',
    );
  }
}
