/** MessagePack, by msgpackr: the default codec. */
import { Packr } from '#msgpackr';
import { invalidArgument } from '../../system/errors.js';
import type { Coder } from './coder.js';

/** JSON's values and `Uint8Array`, `Date`, `Map`, `Set`, `bigint` of 64 bits, `undefined`. Any MessagePack library reads it. */
export class MsgpackCoder implements Coder<unknown> {
  readonly name = 'msgpack';
  readonly shared = false;
  // No records: another process, or a program in another language, has not seen earlier messages. Bytes are copied, because the memory is used again.
  readonly #packr = new Packr({ useRecords: false, copyBuffers: true, int64AsType: 'auto', moreTypes: true } as never);
  encode(value: unknown): Uint8Array {
    // Which would be encoded as undefined, and be found out by the peer only.
    if (typeof value === 'function')
      throw invalidArgument('ERR_INVALID_ARG_TYPE', 'value', 'something that MessagePack has', value);
    return this.#packr.pack(value); // its own memory, valid until it packs again
  }
  decode(memory: Uint8Array, offset: number, length: number): unknown {
    if (length === 0) throw new RangeError('no bytes'); // which msgpackr would take for all there are
    // Not a subarray: msgpackr keeps a DataView with each array that it is given, which is costly to make.
    return this.#packr.unpack(memory, { start: offset, end: offset + length });
  }
}
