/**
 * The consumer of a ring (layout.ts). One per ring, used by one thread.
 *
 * It trusts no shared word: `tail` must be ahead of its last value by no more than the ring holds, and a record must lie within the
 * committed part and before the ring's end. Otherwise it throws a {@link CorruptError}: the producer or another process has damaged the
 * ring. A hostile producer can change the payload while it is read, so copy it before you decode it.
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

/** After so many records without a sleep the consumer is BUSY. */
const RECORDS_UNTIL_BUSY = 256;

export class RingConsumer {
  readonly capacity: number;
  /** The memory, for code that reads payloads. */
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly #control: number;
  readonly #data: number;
  readonly #mask: number;
  /** Our own position: the shared head is only ever written. */
  #head = 0;
  /** The head as the producer knows it. */
  #published = 0;
  /** The producer's tail, as last read. */
  #tail = 0;
  /** Called with the error before it is thrown. */
  onDamage: (error: CorruptError) => void = () => {};
  /** How often a read of the tail found more records. The records known between two of them all have different offsets. */
  looks = 0;
  /** The size of the record that {@link next} has found. */
  #size = 0;
  /**
   * The last record's length. Most records are as long as the previous one. Then the position of the next one does not depend on what was
   * just read, and the processor, which predicts the branch, need not wait for one line before it fetches the next.
   */
  #usualLength = 0;
  #usualSize = RECORD_HEADER;
  /** Whether our barriers reach the producer's process. */
  mayBeBusy = false;
  #busy = false;
  /** Records read since the last sleep. */
  #awakeFor = 0;
  /** Payload bytes of that record. */
  length = 0;
  /** Its kind: MESSAGE or a fragment of one. */
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
   * Finds the next record. Returns the byte offset of its payload, with {@link length} and {@link kind}, or -1 if there is none. It stays
   * there, and is found again, until {@link release}.
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
      const length = this.words[index]!; // ordered after the load of the tail
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
      // It fills the ring to its end, and a record follows at the beginning: a ring of pads alone would be an endless loop.
      if (at === 0 || at + size !== this.capacity) throw this.#damaged(`invalid pad of ${length} bytes`);
      this.#head = (this.#head + size) | 0;
    }
  }
  /** Whether there is something to read, without reading it. */
  get ready(): boolean {
    return ((this.#tail - this.#head) | 0) !== 0 || this.#look() !== 0;
  }
  /**
   * Advances past the record that {@link next} found. Its memory is the producer's again after {@link publish}, which is due at the end of
   * a batch. True: it is due now, because much was released, or the producer waits for room.
   */
  release(): boolean {
    this.#head = (this.#head + this.#size) | 0;
    this.#size = 0;
    if (!this.#busy && this.mayBeBusy && ++this.#awakeFor === RECORDS_UNTIL_BUSY) {
      this.#busy = true;
      Atomics.store(this.words, this.#control + CONSUMER, BUSY);
    }
    // A quarter: every record has room in the rest, so no producer waits for room that was released long ago.
    return ((this.#head - this.#published) | 0) > this.capacity >> 2 || this.words[this.#control + PRODUCER] === ASLEEP;
  }
  /** Bytes that were released and not published. */
  get kept(): number {
    return (this.#head - this.#published) | 0;
  }
  /** Committed bytes directly behind the released ones: up to the ring's end, not from its beginning. */
  get following(): number {
    const at = this.#head & this.#mask;
    return at === 0 ? 0 : Math.min((this.#tail - this.#head) | 0, this.capacity - at);
  }
  /** Publishes all released room. True: the producer waits for room, and the caller must wake it. */
  publish(): boolean {
    if (this.#head === this.#published) return false;
    this.#published = this.#head;
    Atomics.store(this.words, this.#control + HEAD, this.#head); // pairs with the load in RingProducer.#hasRoom
    return (
      loadAfterStore(this.words, this.#control + PRODUCER) === ASLEEP &&
      Atomics.compareExchange(this.words, this.#control + PRODUCER, ASLEEP, AWAKE) === ASLEEP
    );
  }
  /** Stores, for a producer that is about to be woken, when it got room. */
  noteRoom(time: number): void {
    this.words[this.#control + ROOM_TIME] = time;
  }
  /** The value that RingProducer.noteCommit stored. */
  get recordTime(): number {
    return this.words[this.#control + RECORD_TIME]!;
  }
  /** Whether the producer has closed: no more records will follow the committed ones. */
  get producerClosed(): boolean {
    // Plain first, because it is checked after every empty poll. Its earlier stores are visible after the second load.
    const state = this.#control + PRODUCER;
    return this.words[state] === CLOSED && Atomics.load(this.words, state) === CLOSED;
  }
  /** Announces that this side is about to sleep until a record comes. Poll again before sleeping: {@link next}. */
  announceSleep(): void {
    Atomics.store(this.words, this.#control + CONSUMER, ASLEEP); // pairs with the exchange in RingProducer.alarm
    if (this.#busy) barrier(); // or, with BUSY, with nothing: see layout.ts
    this.#busy = false;
    this.#awakeFor = 0;
  }
  awake(): void {
    Atomics.store(this.words, this.#control + CONSUMER, AWAKE);
  }
  /** Announces that this side reads no more. */
  end(): void {
    Atomics.store(this.words, this.#control + CONSUMER, CLOSED);
  }

  /** Reads the shared tail; returns the committed bytes that were not read yet. */
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
