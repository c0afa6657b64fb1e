/** All rings of a topic, for one reader: found as they appear, read in turn. */

import { type Beginning, RingReader } from '../../lock-free/broadcast-ring/reader.js';
import type { WaiterEntry } from '../../lock-free/broadcast-ring/waiter-table.js';
import type { Mapping } from '../../system/memory.js';
import type { Participant } from '../directory/participant.js';
import { openRing, ringNumbers } from './ring-file.js';

/** The most messages of one ring in a row while other rings may have some too. */
const MAX_MESSAGES_IN_A_ROW = 64;

export class Rings {
  readonly #participant: Participant;
  readonly #waiter: WaiterEntry;
  readonly #capacity: number;
  readonly #counts: Float64Array;
  readonly #readers: RingReader<Mapping>[] = [];
  readonly #known = new Set<number>();
  #generation: number;
  /** Whose turn it is, and how many messages it has had. */
  #turn = 0;
  #taken = 0;

  constructor(participant: Participant, waiter: WaiterEntry, capacity: number, counts: Float64Array, from: Beginning) {
    this.#participant = participant;
    this.#waiter = waiter;
    this.#capacity = capacity;
    this.#counts = counts;
    this.#generation = waiter.generation;
    try {
      this.#find(from);
    } catch (error) {
      this.close();
      throw error;
    }
  }
  /** A reader with a record, by {@link RingReader.next}, whose payload lies at {@link offset}; undefined: there is none. */
  next(): RingReader | undefined {
    do {
      const readers = this.#readers;
      for (let tries = readers.length; tries > 0; tries--) {
        const reader = readers[this.#turn]!;
        if (++this.#taken <= MAX_MESSAGES_IN_A_ROW) {
          this.offset = reader.next();
          if (this.offset >= 0) return reader;
        } else tries++; // it may have more, but goes last now
        this.#pass();
      }
    } while (this.#refresh());
    return undefined;
  }
  offset = -1;
  /** Visits up to `limit` records; returns the number. */
  drain(visit: (memory: Uint8Array, offset: number, length: number) => void, limit: number): number {
    let count = 0;
    do {
      const readers = this.#readers;
      for (let empty = 0; empty < readers.length && count < limit; ) {
        const visited = readers[this.#turn]!.drain(visit, Math.min(limit - count, MAX_MESSAGES_IN_A_ROW));
        if (readers.length === 0) return count + visited; // closed by the visitor
        empty = visited === 0 ? empty + 1 : 0;
        count += visited;
        this.#pass();
      }
    } while (count < limit && this.#refresh());
    return count;
  }
  /** During a visit: whether its record is still whole. */
  get whole(): boolean {
    return this.#readers[this.#turn]!.intact();
  }
  /** Whether there may be something to read. */
  get ready(): boolean {
    for (const reader of this.#readers) if (reader.ready) return true;
    return this.#waiter.generation !== this.#generation;
  }
  /** Throws if another process has truncated a ring or written to our mapping. */
  check(): void {
    for (const { mapping } of this.#readers) mapping.check();
  }
  close(): void {
    for (const { mapping } of this.#readers) mapping.unmap();
    this.#readers.length = 0;
  }

  #pass(): void {
    this.#taken = 0;
    if (++this.#turn >= this.#readers.length) this.#turn = 0;
  }
  /** Checks for new rings. */
  #refresh(): boolean {
    const { generation } = this.#waiter;
    if (generation === this.#generation) return false;
    const found = this.#find('first');
    this.#generation = generation; // only on success: otherwise it must be done again
    return found;
  }
  #find(from: Beginning): boolean {
    let found = false;
    for (const number of ringNumbers(this.#participant)) {
      if (this.#known.has(number)) continue;
      const mapping = openRing(this.#participant, number, this.#capacity);
      if (mapping === undefined) continue;
      try {
        this.#readers.push(new RingReader(mapping, this.#capacity, this.#counts, from));
      } catch (error) {
        mapping.unmap();
        throw error;
      }
      this.#known.add(number);
      found = true;
    }
    return found;
  }
}
