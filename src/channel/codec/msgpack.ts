/** MessagePack, by msgpackr: the default codec. */
import { Packr, REUSE_BUFFER_MODE } from '#msgpackr';
import { invalidArgument } from '../../system/errors.js';
import type { Coder } from './coder.js';
import { LARGEST_KEPT, Views } from './scratch.js';

/** What msgpackr gives in that mode: the memory that it was told to use, or larger if that was too small. */
interface Packed extends Buffer<ArrayBuffer> {
  readonly start: number;
  readonly end: number;
}
const newMemory = () => Buffer.alloc(8192);
/** While a value is encoded, its getters and `toJSON` may encode others, with this coder or another one. */
let encoding = false;

/** JSON's values and `Uint8Array`, `Date`, `Map`, `Set`, `bigint` of 64 bits, `undefined`. Any MessagePack library reads it. */
export class MsgpackCoder implements Coder<unknown> {
  readonly name = 'msgpack';
  readonly shared = false;
  // No records: another process, or a program in another language, has not seen earlier messages. Bytes are copied, because the memory is used again.
  readonly #packr = new Packr({ useRecords: false, copyBuffers: true, int64AsType: 'auto', moreTypes: true } as never);
  #memory = newMemory();
  #views = new Views(this.#memory);
  readonly #range = { start: 0, end: 0 };

  /** Into memory that is used again: msgpackr of itself takes new memory for all, and makes a view for each. */
  encode(value: unknown): Uint8Array {
    // Which would be encoded as undefined, and be found out by the peer only.
    if (typeof value === 'function')
      throw invalidArgument('ERR_INVALID_ARG_TYPE', 'value', 'something that MessagePack has', value);
    if (encoding) return this.#packr.pack(value);
    encoding = true;
    try {
      this.#packr.useBuffer(this.#memory);
      const packed = this.#packr.pack(value, REUSE_BUFFER_MODE) as unknown as Packed;
      if (packed === this.#memory && packed.start === 0) return this.#views.of(packed.end);
      if (packed.length <= LARGEST_KEPT) this.#grow(packed);
      return packed.subarray(packed.start, packed.end);
    } finally {
      encoding = false;
    }
  }
  #grow(memory: Buffer<ArrayBuffer>): void {
    this.#memory = memory;
    this.#views = new Views(memory);
  }
  decode(memory: Uint8Array, offset: number, length: number): unknown {
    if (length === 0) throw new RangeError('no bytes'); // which msgpackr would take for all there are
    // Not a subarray: msgpackr keeps a DataView with each array that it is given, which is costly to make.
    this.#range.start = offset;
    this.#range.end = offset + length;
    return this.#packr.unpack(memory, this.#range);
  }
}
