/**
 * Turns the messages of a ring into values, by private copies: of the requested message, and of committed ones behind it, all at once.
 * Copying 64 bytes costs as much as starting a copy, and that as much as the rest of a receive.
 *
 * Only the copies are made ahead. The records stay in the ring, unread, until its consumer comes to them, in whatever blocking mode; an
 * unused copy loses nothing. Committed records do not change any more, unless the peer is hostile, and then a later read is no better than
 * an earlier one: headers are always read in the ring.
 */
import { copyOut, MAX_LOOP_BYTES } from '../../lock-free/copy-out.js';
import type { RingConsumer } from '../../lock-free/ring/consumer.js';
import type { Decoder } from '../codec/index.js';
import { MAX_POOLED_BYTES, poolBuffer } from '../codec/pool.js';
import { Scratch } from '../codec/scratch.js';

/** The bytes copied at once; a longer message gets a copy of its own. */
const AHEAD_BYTES = 8192;
const NOTHING = new Uint8Array(0);

export class CopyAhead<T> {
  readonly #ring: RingConsumer;
  readonly #coder: Decoder<T>;
  /** Copies are returned as they are. Otherwise they are decoded, and their memory is reused. */
  readonly #verbatim: boolean;
  /** The memory for copies. */
  #memory = NOTHING;
  /** Its buffer; getting it from the view would be a call. */
  #buffer = NOTHING.buffer;
  #words = new Int32Array(0);
  /** The part of that memory that was or may be returned. */
  #used = 0;
  /** The last copy: these offsets in the ring, as found by the poll of that number. Each offset occurs once per poll. */
  #from = 0;
  #to = 0;
  #look = -1;
  /** From an offset in the ring to that of its copy. */
  #shift = 0;
  readonly #long = new Scratch();

  constructor(coder: Decoder<T>, ring: RingConsumer) {
    this.#ring = ring;
    this.#coder = coder;
    this.#verbatim = coder.verbatim === true;
  }
  /** The value of the last released record: `length` bytes at `offset`. */
  decode(offset: number, length: number): T {
    if (
      offset < this.#from ||
      offset + length > this.#to ||
      this.#ring.looks !== this.#look ||
      this.#memory.length === 0 // a user has transferred it
    ) {
      if (length > MAX_POOLED_BYTES || (this.#coder.shared && !this.#verbatim))
        return this.#decodeAlone(offset, length);
      this.#copy(offset, length);
    }
    const at = offset + this.#shift;
    if (this.#verbatim) return new Uint8Array(this.#buffer, at, length) as T;
    return this.#coder.decode(this.#memory, at, length);
  }
  #decodeAlone(offset: number, length: number): T {
    const { bytes } = this.#ring;
    if (this.#coder.shared) return this.#coder.decode(bytes, offset, length);
    const scratch = this.#long.room(length);
    scratch.set(bytes.subarray(offset, offset + length));
    return this.#coder.decode(scratch, 0, length);
  }
  #copy(offset: number, length: number): void {
    const ring = this.#ring;
    const size = (length + 7) & ~7;
    let count = Math.max(size, Math.min(size + ring.following, AHEAD_BYTES));
    if (!this.#verbatim) {
      this.#used = 0;
      if (this.#memory.length === 0) this.#renew(new ArrayBuffer(AHEAD_BYTES));
    } else {
      const room = this.#memory.length - this.#used;
      if (size > room) {
        this.#renew(poolBuffer());
        this.#used = 0;
      } else if (count > room) count = room;
    }
    const at = this.#used;
    this.#used = at + count;
    if (count <= MAX_LOOP_BYTES) copyOut(ring.words, offset >> 2, this.#words, count, at >> 2);
    else this.#memory.set(ring.bytes.subarray(offset, offset + count), at);
    this.#from = offset;
    this.#to = offset + count;
    this.#look = ring.looks;
    this.#shift = at - offset;
  }
  #renew(buffer: ArrayBuffer): void {
    this.#buffer = buffer;
    this.#memory = new Uint8Array(buffer);
    this.#words = new Int32Array(buffer);
  }
}
