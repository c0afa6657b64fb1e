/**
 * A reader of a topic's ring (layout.ts). There can be any number, none of which the writer knows.
 *
 * What was read counts only if {@link RingReader.intact} confirms it afterwards, because the writer may have overwritten it meanwhile. Then
 * the reader continues with the oldest record, and the numbers between are lost.
 *
 * Hostility: it trusts no shared word. A record must lie within the ring and carry the expected number, and its length is read once. An
 * invalid record is either overtaken, which `oldest` then says, or a {@link CorruptError}.
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
/** Where to begin: behind the last message, at the oldest, or at the very first (messages that are gone count as lost). */
export type Beginning = 'now' | 'oldest' | 'first';
/** Indices of a reader's counters, in an array that readers may share. */
export const RECEIVED = 0;
export const RECEIVED_BYTES = 1;
export const LOST = 2;
/** Lost messages that were overwritten while they were visited. */
export const OVERTAKEN = 3;

/** How often a position may change between two reads of it. A writer is not that fast; random bytes are. */
const MAX_CHANGES = 100_000;

export class RingReader<Memory extends RingMemory = RingMemory> {
  /** The memory, for code that reads payloads. */
  readonly bytes: Uint8Array;
  readonly mapping: Memory;
  readonly #words: Int32Array;
  readonly #counts: Float64Array;
  readonly #units: number;
  readonly #mask: number;
  readonly #longest: number;
  /** Position and number of the next record. */
  #position = 0;
  #low = 0;
  #high = 0;
  /** The writer's positions, as last read. */
  #tail = 0;
  /**
   * The last record's length. Most records are as long as the previous one. Then the start of the next one does not depend on what was just
   * read: the processor predicts the branch, and fetches the lines of many records at once instead of one after the other.
   */
  #usualLength = 0;
  #usualSize = RECORD_HEADER >> 4;
  /** The record that {@link next} returned. */
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

  /** Advances past the next record. Returns the byte offset of its payload, with {@link length}, or -1 if there is none. */
  next(): number {
    const words = this.#words;
    for (;;) {
      if (this.#position === this.#tail && !this.#look()) return -1;
      const position = this.#position;
      const at = position & this.#mask;
      const index = (DATA >> 2) + (at << 2);
      const length = words[index + LENGTH]!; // ordered after the load of the tail
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
  /** Whether the record that {@link next} returned is still intact. Call it after reading the record. */
  intact(): boolean {
    // The number too: a reader that was stopped while positions repeated would find a position that is right by chance.
    const given = this.#given;
    return (
      this.#isAhead(given) &&
      this.#words[(DATA >> 2) + ((given & this.#mask) << 2) + SEQUENCE_LOW] === ((this.#low - 1) | 0)
    );
  }
  /** Copies the record that {@link next} returned to the beginning of private memory. */
  copy(offset: number, scratch: PrivateMemory): Uint8Array {
    const { length } = this;
    const memory = scratch.room(length + 3);
    if (length <= MAX_LOOP_BYTES) copyOut(this.#words, offset >> 2, scratch.words, length);
    else memory.set(this.bytes.subarray(offset, offset + length));
    return memory;
  }
  /** The record that {@link next} returned was overwritten: counts it as lost, with the others. `visited`: a visitor has seen it. */
  disown(visited: boolean): void {
    const counts = this.#counts;
    counts[RECEIVED]!--;
    counts[RECEIVED_BYTES]! -= this.length;
    if (visited) counts[OVERTAKEN]!++;
    // Back to its start: its length may have been overwritten before it was read, so the start of the next one is unknown.
    if (this.#low === 0) this.#high--;
    this.#low = (this.#low - 1) | 0;
    this.#position = this.#given;
    this.#resume();
  }
  /** Whether there is something to read, without reading it. */
  get ready(): boolean {
    return this.#position !== this.#tail || loadPublished(this.#words, TAIL) !== this.#position;
  }
  /** Calls `visit` for up to `limit` records, in place. Counts the ones that were overtaken. */
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
      this.#resume(); // far behind, or invalid
    }
  }
  /** Whether a position is not behind the oldest record now. */
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
  /** Continues with the oldest record, if the reader was overtaken; otherwise the record is corrupt. */
  #resume(): void {
    const before = this.#position;
    const expected = sequenceOf(this.#low, this.#high);
    this.#begin('oldest');
    const lost = sequenceOf(this.#low, this.#high) - expected;
    // If none was lost, a pad was overtaken. Never go back: that might not end.
    const ahead = (this.#position - before) >>> 0;
    if (lost < 0 || (lost === 0 && (ahead === 0 || ahead >= this.#units))) throw this.#damaged();
    this.#counts[LOST]! += lost;
  }
  #damaged(): CorruptError {
    this.mapping.check(); // it may know what happened
    return new CorruptError(
      'a ring of the topic is corrupt: it has an invalid record. Close the topic in all processes, or use another name',
    );
  }
}
