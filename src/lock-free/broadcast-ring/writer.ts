/**
 * The writer of a topic's ring (layout.ts). It never waits: it overwrites the oldest records.
 *
 * Crash guarantee: a record is invisible before `commit`, and complete after it; see layout.ts.
 * Hostility: positions and numbers are kept in private memory. The only shared words that it reads are the lengths of an earlier writer's
 * records, when it overwrites them; each must lie within what that writer had written, otherwise it throws a {@link CorruptError}.
 */
import { CorruptError } from '../../system/errors.js';
import { CopyIn } from '../copy-in.js';
import { publish, storeFirst } from '../ordering.js';
import {
  DATA,
  KIND,
  LENGTH,
  MESSAGE,
  OLDEST,
  PAD,
  RECORD_HEADER,
  SEQUENCE_HIGH,
  SEQUENCE_LOW,
  TAIL,
  unitsOf,
} from './layout.js';

/** The number of parts of the ring for which a record's start is noted. */
const MARKS = 64;

export class RingWriter {
  /** The memory, for code that writes payloads itself. */
  readonly buffer: ArrayBuffer;
  readonly #words: Int32Array;
  readonly #copyIn: CopyIn;
  /** The capacity in units of 16 bytes. */
  readonly #units: number;
  readonly #mask: number;
  /** This much more than needed is freed at a time, so that `oldest` is stored once for many messages. */
  readonly #stride: number;
  #tail: number;
  #oldest: number;
  /** The number of the next message. */
  #low: number;
  #high: number;
  /** Units of the pad before the reserved record. */
  #pad = 0;
  /**
   * Where some of our records begin: those that are at least {@link #step} units long, or that far behind the previous note, so every other
   * note is that far behind the one before the previous. The first note and the index of the next, which wrap. With them room is made
   * without reading old records, whose lines are in no cache, or in a reader's; and a long record is not overwritten together with a short
   * one before it.
   */
  readonly #marks = new Int32Array(4 * MARKS);
  readonly #step: number;
  #firstMark = 0;
  #nextMark = 0;
  #marked: number;
  /** Where ours begin. Before that are an earlier writer's records. */
  readonly #began: number;
  #inherited: boolean;

  /** Continues behind the last committed record. */
  constructor(buffer: ArrayBuffer, capacity: number) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#copyIn = new CopyIn(buffer);
    this.#units = capacity >> 4;
    this.#mask = this.#units - 1;
    this.#stride = this.#units >> 4;
    this.#step = this.#units / MARKS;
    const oldest = Atomics.load(this.#words, OLDEST);
    const tail = Atomics.load(this.#words, TAIL);
    // One unit is reserved for the number at the tail.
    if ((tail - oldest) >>> 0 >= this.#units)
      throw this.#damaged(`invalid positions ${oldest >>> 0} and ${tail >>> 0}`);
    this.#oldest = oldest;
    this.#tail = tail;
    this.#began = tail;
    this.#inherited = oldest !== tail;
    this.#marked = (tail - this.#step) | 0;
    const index = this.#index(tail);
    this.#low = this.#words[index + SEQUENCE_LOW]!;
    this.#high = this.#words[index + SEQUENCE_HIGH]!;
    if (this.#high < 0 || this.#high >= 2 ** 21) throw this.#damaged('an invalid sequence number');
  }

  /** Returns the byte offset for the payload of a message of at most `longestMessage` bytes. Reserving again forgets it. */
  reserve(length: number): number {
    const size = unitsOf(length);
    const at = this.#tail & this.#mask;
    const pad = at + size > this.#units ? this.#units - at : 0;
    const need = pad + size + 1;
    if (this.#units - ((this.#tail - this.#oldest) | 0) < need) this.#makeRoom(need);
    if (this.#pad !== pad) this.#pad = pad;
    return DATA + ((pad === 0 ? at : 0) << 4) + RECORD_HEADER;
  }
  /** Publishes the reserved record with `length` bytes. */
  commit(length: number): void {
    const words = this.#words;
    let position = this.#tail;
    let low = this.#low;
    let index = this.#index(position); // our number is there since the previous commit
    if (this.#pad !== 0) {
      this.#mark(position, this.#pad);
      words[index + LENGTH] = (this.#pad << 4) - RECORD_HEADER;
      words[index + KIND] = PAD;
      position = (position + this.#pad) | 0;
      this.#pad = 0;
      index = this.#index(position);
      words[index + SEQUENCE_LOW] = low;
      words[index + SEQUENCE_HIGH] = this.#high;
    }
    const size = unitsOf(length);
    this.#mark(position, size);
    words[index + LENGTH] = length;
    words[index + KIND] = MESSAGE;
    position = (position + size) | 0;
    low = (low + 1) | 0;
    this.#low = low;
    if (low === 0) this.#high++;
    index = this.#index(position);
    words[index + SEQUENCE_LOW] = low;
    words[index + SEQUENCE_HIGH] = this.#high;
    this.#tail = position;
    publish(words, TAIL, position); // pairs with the load in RingReader.#look
  }
  /** Copies a message in. */
  write(payload: Uint8Array): void {
    const { length } = payload;
    this.#copyIn.copy(payload, this.reserve(length), length);
    this.commit(length);
  }

  #mark(position: number, size: number): void {
    if (((position - this.#marked) | 0) < this.#step && size < this.#step) return;
    this.#marked = position;
    this.#marks[this.#nextMark & (4 * MARKS - 1)] = position;
    this.#nextMark = (this.#nextMark + 1) | 0;
  }
  #index(position: number): number {
    return (DATA >> 2) + ((position & this.#mask) << 2);
  }
  /** Gives up the oldest records until `need` units are free. */
  #makeRoom(need: number): void {
    const tail = this.#tail;
    const most = this.#units - Math.min(this.#units, need + this.#stride);
    let oldest = this.#oldest;
    if (this.#inherited) oldest = this.#giveUpInherited(most);
    while (((tail - oldest) | 0) > most) {
      if (this.#firstMark === this.#nextMark) oldest = tail;
      else {
        oldest = this.#marks[this.#firstMark & (4 * MARKS - 1)]!;
        this.#firstMark = (this.#firstMark + 1) | 0;
      }
    }
    this.#oldest = oldest;
    storeFirst(this.#words, OLDEST, oldest); // pairs with the load in RingReader.intact: before anything is overwritten
  }
  /** Gives up as many of an earlier writer's records as necessary; returns the start of the oldest one that stays. */
  #giveUpInherited(most: number): number {
    const tail = this.#tail;
    let oldest = this.#oldest;
    while (((tail - oldest) | 0) > most) {
      const used = (this.#began - oldest) | 0;
      if (used === 0) {
        this.#inherited = false;
        break;
      }
      const length = this.#words[this.#index(oldest) + LENGTH]!;
      if (length < 0 || length >> 4 >= used) throw this.#damaged(`invalid record of ${length} bytes`);
      const size = unitsOf(length);
      if (size > used) throw this.#damaged(`invalid record of ${length} bytes`);
      oldest = (oldest + size) | 0;
    }
    return oldest;
  }
  #damaged(what: string): CorruptError {
    return new CorruptError(`corrupt ring: ${what}`);
  }
}
