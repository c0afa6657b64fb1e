/**
 * The producer of a ring (layout.ts). One per ring, used by one thread.
 *
 * Crash guarantee: a record is invisible before `commit`, and complete after it. It trusts no shared word: `head` must lie between its last
 * value and the tail, or it throws a {@link CorruptError}. A consumer that lies within that bound damages only its own messages, because
 * every position is masked and `tail` is kept in private memory.
 */
import { CorruptError } from '../../system/errors.js';
import { publish } from '../ordering.js';
import {
  ASLEEP,
  AWAKE,
  BUSY,
  CLOSED,
  CONSUMER,
  HEAD,
  PAD,
  PRODUCER,
  RECORD_HEADER,
  RECORD_TIME,
  ROOM_TIME,
  recordSize,
  TAIL,
} from './layout.js';

export class RingProducer {
  readonly capacity: number;
  /** The memory, for code that writes payloads. */
  readonly memory: Uint8Array;
  readonly words: Int32Array;
  /** The control block, as a word index. */
  readonly #control: number;
  /** The data, as a byte offset. */
  readonly #data: number;
  readonly #mask: number;
  /** Our own position: the shared tail is only ever written. */
  #tail = 0;
  /** The consumer's head, as last read. */
  #head = 0;
  /** Called with the error before it is thrown. */
  onDamage: (error: CorruptError) => void = () => {};
  /** Bytes of the pad before the reserved record. */
  #pad = 0;

  /** @param control,data byte offsets in `buffer`; the memory is zeros */
  constructor(buffer: ArrayBuffer, control: number, data: number, capacity: number) {
    this.capacity = capacity;
    this.words = new Int32Array(buffer);
    this.memory = new Uint8Array(buffer);
    this.#control = control >> 2;
    this.#data = data;
    this.#mask = capacity - 1;
  }

  /**
   * Returns where the payload of a record of `length` bytes (at most `longestRecord`) can be written now, as a byte offset in the memory,
   * or -1: no room. It is invisible before {@link commit}; reserving again forgets it.
   */
  reserve(length: number): number {
    const size = recordSize(length);
    const at = this.#tail & this.#mask;
    const pad = at + size > this.capacity ? this.capacity - at : 0;
    if (this.capacity - ((this.#tail - this.#head) | 0) < pad + size && !this.#hasRoom(pad + size)) return -1;
    this.#pad = pad;
    return this.#data + (pad === 0 ? at : 0) + RECORD_HEADER;
  }
  /** Publishes the reserved record with `length` bytes. False: the consumer may be asleep; {@link alarm} says so. */
  commit(length: number, kind: number): boolean {
    const words = this.words;
    const control = this.#control;
    let position = this.#tail;
    if (this.#pad !== 0) {
      const index = (this.#data + (position & this.#mask)) >> 2;
      words[index] = this.#pad - RECORD_HEADER;
      words[index + 1] = PAD;
      position = (position + this.#pad) | 0;
      this.#pad = 0;
    }
    const index = (this.#data + (position & this.#mask)) >> 2;
    words[index] = length;
    words[index + 1] = kind;
    position = (position + recordSize(length)) | 0;
    this.#tail = position;
    publish(words, control + TAIL, position); // pairs with the load in RingConsumer.#look
    return words[control + CONSUMER] === BUSY;
  }
  /** After a commit that returned false. `'wake'`: the consumer sleeps, and the caller must wake it. `'closed'`: it reads no more. */
  alarm(): 'none' | 'wake' | 'closed' {
    // The exchange is the barrier between the store of `tail` and this load of the consumer's state.
    const state = Atomics.compareExchange(this.words, this.#control + CONSUMER, ASLEEP, AWAKE);
    return state === ASLEEP ? 'wake' : state === CLOSED ? 'closed' : 'none';
  }
  /** Stores, for a consumer that is about to be woken, when its record was committed. */
  noteCommit(time: number): void {
    this.words[this.#control + RECORD_TIME] = time;
  }
  /** The value that RingConsumer.noteRoom stored. */
  get roomTime(): number {
    return this.words[this.#control + ROOM_TIME]!;
  }
  /** Copies a record in: false if there is no room. Then {@link quiet} has the result of {@link commit}. */
  write(payload: Uint8Array, kind: number): boolean {
    const { length } = payload;
    const offset = this.reserve(length);
    if (offset < 0) return false;
    this.memory.set(payload, offset);
    this.quiet = this.commit(length, kind);
    return true;
  }
  /** Whether the consumer needs no wake-up after the last {@link write}. */
  quiet = true;

  /** The free bytes, without regard to a pad. */
  get free(): number {
    this.#hasRoom(this.capacity);
    return this.capacity - ((this.#tail - this.#head) | 0);
  }
  /** Whether the consumer has closed: nothing that is sent will be read. */
  get consumerClosed(): boolean {
    return Atomics.load(this.words, this.#control + CONSUMER) === CLOSED;
  }
  /** Announces that this side is about to sleep until there is room. Try again before sleeping: {@link reserve}. */
  announceSleep(): void {
    Atomics.store(this.words, this.#control + PRODUCER, ASLEEP); // pairs with the load in RingConsumer.publish
  }
  awake(): void {
    Atomics.store(this.words, this.#control + PRODUCER, AWAKE);
  }
  /** Announces that nothing follows. */
  end(): void {
    Atomics.store(this.words, this.#control + PRODUCER, CLOSED);
  }

  #hasRoom(size: number): boolean {
    const head = Atomics.load(this.words, this.#control + HEAD); // pairs with the store in RingConsumer.publish
    const before = (this.#tail - this.#head) | 0;
    const used = (this.#tail - head) | 0;
    if (used < 0 || used > before || (head & 7) !== 0) {
      const error = new CorruptError(
        `corrupt ring: invalid read position ${head >>> 0}, not between ${this.#head >>> 0} and ${this.#tail >>> 0}. The peer overwrote it`,
      );
      this.onDamage(error);
      throw error;
    }
    this.#head = head;
    return this.capacity - used >= size;
  }
}
