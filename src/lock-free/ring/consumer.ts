/**
 * The reading end of a ring (layout.ts). One per ring, used by one thread.
 *
 * Of the shared words it believes none: `tail` must be ahead of what was seen of it before by no more than the ring holds, a record must
 * lie within what is committed and before the ring's end. Otherwise a {@link CorruptError}: the producer has damaged it, or somebody
 * else. The payload can change while it is read, if the producer is hostile: who decodes it copies it first.
 */
import { CorruptError } from '../../system/errors.js';
import { barrier } from '../../system/membarrier.js';
import { loadAfterStore, loadPublished } from '../ordering.js';
import {
  ASLEEP,
  AWAKE,
  BUSY,
  CLOSED,
  CONSUMER,
  HEAD,
  LAST_FRAGMENT,
  PAD,
  PRODUCER,
  RECORD_HEADER,
  RECORD_TIME,
  ROOM_TIME,
  recordSize,
  TAIL,
} from './layout.js';

/** After so many records without sleep the consumer is BUSY. */
const RECORDS_UNTIL_BUSY = 256;

export class RingConsumer {
  readonly capacity: number;
  /** The memory, for whoever reads payloads. */
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly #control: number;
  readonly #data: number;
  readonly #mask: number;
  /** Our own position: the shared head is only ever written. */
  #head = 0;
  /** The head as the producer knows it. */
  #published = 0;
  /** What was last seen of the producer's. */
  #tail = 0;
  /** Told of damage, before it is thrown. */
  onDamage: (error: CorruptError) => void = () => {};
  /** How often more was found committed than was known. What is known between two of them lies at an offset each of its own. */
  looks = 0;
  /** Of the record that {@link next} has found. */
  #size = 0;
  /**
   * Of the last record. Most records are as long as the one before: then the position of the next does not depend on what was just
   * read, and the processor, which predicts the branch, need not wait for one line before it fetches the next.
   */
  #usualLength = 0;
  #usualSize = RECORD_HEADER;
  /** Whether the producer's process takes part in our barriers. */
  mayBeBusy = false;
  #busy = false;
  /** Records read since the last sleep. */
  #awakeFor = 0;
  /** Payload bytes of that record. */
  length = 0;
  /** What it is: MESSAGE or a part of one. */
  kind = 0;

  /** @param control,data byte offsets in `buffer` */
  constructor(buffer: ArrayBuffer, control: number, data: number, capacity: number) {
    this.capacity = capacity;
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.#control = control >> 2;
    this.#data = data;
    this.#mask = capacity - 1;
  }

  /**
   * Finds the next record: the byte offset of its payload, with {@link length} and {@link kind}, or -1 if there is none. It
   * stays there, and is found again, until {@link release}.
   */
  next(): number {
    for (;;) {
      let available = (this.#tail - this.#head) | 0;
      if (available === 0) {
        available = this.#look();
        if (available === 0) return -1;
      }
      const at = this.#head & this.#mask;
      const index = (this.#data + at) >> 2;
      const length = this.words[index]!; // ordered behind the load of the tail
      const kind = this.words[index + 1]!;
      let size = this.#usualSize;
      if (length !== this.#usualLength) {
        if (length < 0 || length > this.capacity) throw this.#damaged(`invalid record of ${length} bytes`);
        size = recordSize(length);
        this.#usualLength = length;
        this.#usualSize = size;
      }
      if (size > available || at + size > this.capacity) throw this.#damaged(`invalid record of ${length} bytes`);
      if (kind !== PAD) {
        if (kind < 0 || kind > LAST_FRAGMENT) throw this.#damaged(`invalid record kind ${kind}`);
        this.#size = size;
        this.length = length;
        this.kind = kind;
        return this.#data + at + RECORD_HEADER;
      }
      // It fills the ring to its end, and a record follows at the beginning: pads alone are no work, and would never end.
      if (at === 0 || at + size !== this.capacity) throw this.#damaged(`invalid pad of ${length} bytes`);
      this.#head = (this.#head + size) | 0;
    }
  }
  /** Whether there is something to read, without reading it. */
  get ready(): boolean {
    return ((this.#tail - this.#head) | 0) !== 0 || this.#look() !== 0;
  }
  /**
   * Steps over the record that {@link next} found. Its memory is the producer's again after {@link publish}, which is due at the
   * end of a batch; true: now, because much was released, or the producer waits for it.
   */
  release(): boolean {
    this.#head = (this.#head + this.#size) | 0;
    this.#size = 0;
    if (!this.#busy && this.mayBeBusy && ++this.#awakeFor === RECORDS_UNTIL_BUSY) {
      this.#busy = true;
      Atomics.store(this.words, this.#control + CONSUMER, BUSY);
    }
    // A quarter, beside which any record has room: one that was refused the room of what has been read long since would wait for nothing.
    return ((this.#head - this.#published) | 0) > this.capacity >> 2 || this.words[this.#control + PRODUCER] === ASLEEP;
  }
  /** Bytes that were released and not published. */
  get kept(): number {
    return (this.#head - this.#published) | 0;
  }
  /** Bytes that are committed behind what was released, and lie directly behind it: up to the ring's end, not from its beginning. */
  get following(): number {
    const at = this.#head & this.#mask;
    return at === 0 ? 0 : Math.min((this.#tail - this.#head) | 0, this.capacity - at);
  }
  /** Gives the producer all the room that was released. True: it sleeps for want of it and is to be woken, which is now on the caller. */
  publish(): boolean {
    if (this.#head === this.#published) return false;
    this.#published = this.#head;
    Atomics.store(this.words, this.#control + HEAD, this.#head); // pairs with the load in RingProducer.#hasRoom
    return (
      loadAfterStore(this.words, this.#control + PRODUCER) === ASLEEP &&
      Atomics.compareExchange(this.words, this.#control + PRODUCER, ASLEEP, AWAKE) === ASLEEP
    );
  }
  /** For the producer that is about to be woken: when it was given room. */
  noteRoom(time: number): void {
    this.words[this.#control + ROOM_TIME] = time;
  }
  /** What RingProducer.noteCommit noted. */
  get recordTime(): number {
    return this.words[this.#control + RECORD_TIME]!;
  }
  /** Whether the producer has closed: what is committed is all there will be. */
  get producerClosed(): boolean {
    // Plain first, for it is asked after each look in vain. What it has stored before is seen after the other one.
    const state = this.#control + PRODUCER;
    return this.words[state] === CLOSED && Atomics.load(this.words, state) === CLOSED;
  }
  /** Announces that this side is about to sleep until something comes. Look again before sleeping: {@link next}. */
  announceSleep(): void {
    Atomics.store(this.words, this.#control + CONSUMER, ASLEEP); // pairs with the exchange in RingProducer.alarm
    if (this.#busy) barrier(); // or, with BUSY, with nothing: see layout.ts
    this.#busy = false;
    this.#awakeFor = 0;
  }
  awake(): void {
    Atomics.store(this.words, this.#control + CONSUMER, AWAKE);
  }
  /** Nothing will be read any more. */
  end(): void {
    Atomics.store(this.words, this.#control + CONSUMER, CLOSED);
  }

  /** Reads the shared tail: the committed bytes that were not read yet. */
  #look(): number {
    const tail = loadPublished(this.words, this.#control + TAIL); // pairs with the store in RingProducer.commit
    if (tail === this.#tail) return (tail - this.#head) | 0;
    const available = (tail - this.#head) | 0;
    if (available < 0 || available > this.capacity || (tail & 7) !== 0 || available < ((this.#tail - this.#head) | 0)) {
      throw this.#damaged(`invalid write position ${tail >>> 0}`);
    }
    this.#tail = tail;
    this.looks++;
    return available;
  }
  #damaged(what: string): CorruptError {
    const error = new CorruptError(`corrupt ring: ${what} at position ${this.#head >>> 0}. The peer overwrote it`);
    this.onDamage(error);
    return error;
  }
}
