/**
 * The writing end of a ring of a topic (layout.ts). It never waits: it overwrites the oldest.
 *
 * Crash guarantee: nothing is seen before `commit`, and then all of it; see layout.ts.
 * Hostility: positions and numbers are kept in private memory. Of the shared memory it reads only the lengths of its own records, when it
 * overwrites them, and each must lie within what it has written; otherwise a {@link CorruptError}.
 */
import { CorruptError } from '../../system/errors.js';
import { publish, storeFirst } from '../ring/ordering.js';
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

export class RingWriter {
  /** The memory, for whoever writes payloads himself. */
  readonly buffer: ArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  /** The capacity in units of 16 bytes. */
  readonly #units: number;
  readonly #mask: number;
  /** So much more than is needed is made free at a time, so that `oldest` is stored once for many messages. */
  readonly #stride: number;
  #tail: number;
  #oldest: number;
  /** The number of the next message. */
  #low: number;
  #high: number;
  /** Units of the pad before what is reserved. */
  #pad = 0;

  /** Goes on behind the last committed record. */
  constructor(buffer: ArrayBuffer, capacity: number) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#units = capacity >> 4;
    this.#mask = this.#units - 1;
    this.#stride = this.#units >> 4;
    const oldest = Atomics.load(this.#words, OLDEST);
    const tail = Atomics.load(this.#words, TAIL);
    // One unit is kept for the number at the tail.
    if ((tail - oldest) >>> 0 >= this.#units) throw this.#damaged(`positions ${oldest >>> 0} and ${tail >>> 0}`);
    this.#oldest = oldest;
    this.#tail = tail;
    const index = this.#index(tail);
    this.#low = this.#words[index + SEQUENCE_LOW]!;
    this.#high = this.#words[index + SEQUENCE_HIGH]!;
    if (this.#high < 0 || this.#high >= 2 ** 21) throw this.#damaged('a number beyond all messages');
  }

  /** Where the payload of a message of at most `longestMessage` bytes is to be written, as a byte offset. Reserving again forgets it. */
  reserve(length: number): number {
    const size = unitsOf(length);
    const at = this.#tail & this.#mask;
    const pad = at + size > this.#units ? this.#units - at : 0;
    const need = pad + size + 1;
    if (this.#units - ((this.#tail - this.#oldest) | 0) < need) this.#makeRoom(need);
    this.#pad = pad;
    return DATA + ((pad === 0 ? at : 0) << 4) + RECORD_HEADER;
  }
  /** Publishes what was reserved, `length` bytes of it. */
  commit(length: number): void {
    const words = this.#words;
    let position = this.#tail;
    let low = this.#low;
    if (this.#pad !== 0) {
      this.#heading((this.#pad << 4) - RECORD_HEADER, PAD);
      position = (position + this.#pad) | 0;
      this.#tail = position;
      this.#pad = 0;
    }
    this.#heading(length, MESSAGE);
    position = (position + unitsOf(length)) | 0;
    low = (low + 1) | 0;
    this.#low = low;
    if (low === 0) this.#high++;
    const next = this.#index(position);
    words[next + SEQUENCE_LOW] = low;
    words[next + SEQUENCE_HIGH] = this.#high;
    this.#tail = position;
    publish(words, TAIL, position); // pairs with the load in RingReader.#look
  }
  /** Copies a message in. */
  write(payload: Uint8Array): void {
    const { length } = payload;
    this.#bytes.set(payload, this.reserve(length));
    this.commit(length);
  }

  #heading(length: number, kind: number): void {
    const words = this.#words;
    const index = this.#index(this.#tail);
    words[index + LENGTH] = length;
    words[index + KIND] = kind;
    words[index + SEQUENCE_LOW] = this.#low;
    words[index + SEQUENCE_HIGH] = this.#high;
  }
  #index(position: number): number {
    return (DATA >> 2) + ((position & this.#mask) << 2);
  }
  /** Gives up the oldest records until `need` units are free. */
  #makeRoom(need: number): void {
    const tail = this.#tail;
    const most = this.#units - Math.min(this.#units, need + this.#stride);
    let oldest = this.#oldest;
    for (let used = (tail - oldest) | 0; used > most; used = (tail - oldest) | 0) {
      const index = this.#index(oldest);
      const length = this.#words[index + LENGTH]!;
      if (length < 0 || length >> 4 >= used) throw this.#damaged(`a record of ${length} bytes`);
      const size = unitsOf(length);
      if (size > used) throw this.#damaged(`a record of ${length} bytes`);
      oldest = (oldest + size) | 0;
    }
    this.#oldest = oldest;
    storeFirst(this.#words, OLDEST, oldest); // pairs with the load in RingReader.intact: before anything is overwritten
  }
  #damaged(what: string): CorruptError {
    return new CorruptError(`the ring has ${what}, which cannot be: somebody has damaged it`);
  }
}
