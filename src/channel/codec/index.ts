/** The codecs by name, and custom ones. */

import { Layout, type RecordOf } from '../../memory/index.js';
import { checkBytes } from '../../system/arguments.js';
import type { Bytes } from '../../system/bytes.js';
import { invalidArgument } from '../../system/errors.js';
import type { Coder } from './coder.js';
import { MsgpackCoder } from './msgpack/index.js';
import { BytesCoder, JsonCoder, StructuredCoder, TextCoder } from './plain.js';
import { RecordCoder } from './record.js';

export type { Coder, Decoder } from './coder.js';

// biome-ignore lint/suspicious/noExplicitAny: whatever its fields are
type AnyLayout = Layout<any>;
/** The built-in codecs. */
export type CodecName = 'bytes' | 'text' | 'json' | 'structured' | 'msgpack';
/** A codec of your own. Its `name` is recorded in the channel, so that different codecs do not mix. Default: `'custom'`. */
export interface CustomCodec<T> {
  /** Recorded in the channel: a process that opens it with a codec of another name is refused. */
  readonly name?: string;
  /** Returns the bytes of a value. They are copied before the next call. */
  encode(value: T): Uint8Array;
  /** Returns the value of the bytes, which are yours to keep. */
  decode(bytes: Bytes): T;
}
/**
 * How the values of a channel become bytes: chosen once per channel and recorded in it. It must be able to carry values of type `T` (for
 * `unknown` and `any`, every codec is allowed).
 */
// biome-ignore lint/suspicious/noExplicitAny: as above
export type Codec<T = any> = AnyCodecName | CustomCodec<T> | (unknown extends T ? CodecName | AnyLayout : CodecFor<T>);
/** The codecs for values of many types. */
export type AnyCodecName = 'json' | 'structured' | 'msgpack';
type CodecFor<T> = [T] extends [string]
  ? 'text'
  : [T] extends [Uint8Array]
    ? [Bytes] extends [T]
      ? 'bytes'
      : never
    : AnyLayout & { read(memory: ArrayBuffer): T };
/** The type of received values, where it is narrower than that of sent ones. */
export type ReceivedOf<C> = C extends 'bytes' ? Bytes : ValueOf<C>;
/** The values that a codec carries. */
export type ValueOf<C> = C extends 'bytes'
  ? Uint8Array
  : C extends 'text'
    ? string
    : C extends Layout<infer _Fields>
      ? RecordOf<C>
      : C extends CustomCodec<infer T>
        ? T
        : unknown;

// biome-ignore lint/suspicious/noExplicitAny: each has its own type of values
const named: Record<CodecName, new () => Coder<any>> = {
  bytes: BytesCoder,
  text: TextCoder,
  json: JsonCoder,
  structured: StructuredCoder,
  msgpack: MsgpackCoder,
};

/** The coder of `options.codec`. */
export function coderOf<T, R = T>(codec: Codec = 'msgpack'): Coder<T, R> {
  if (typeof codec === 'string' && Object.hasOwn(named, codec)) return new named[codec]();
  if (codec instanceof Layout) return new RecordCoder(codec) as Coder<unknown> as Coder<unknown, R>;
  if (
    typeof codec === 'object' &&
    codec !== null &&
    typeof codec.encode === 'function' &&
    typeof codec.decode === 'function'
  ) {
    return new CustomCoder<T, R>(codec);
  }
  const expected = "'bytes', 'text', 'json', 'structured', 'msgpack', a layout, or an object with encode and decode";
  throw invalidArgument('ERR_INVALID_ARG_VALUE', 'options.codec', expected, codec);
}

class CustomCoder<T, R> implements Coder<T, R> {
  readonly name: string;
  readonly shared = false;
  readonly foreign = true;
  readonly #codec: CustomCodec<unknown>;
  constructor(codec: CustomCodec<unknown>) {
    const { name = 'custom' } = codec;
    if (typeof name !== 'string' || !/^[\x20-\x7e]{1,100}$/.test(name)) {
      throw invalidArgument('ERR_INVALID_ARG_VALUE', 'options.codec.name', '1 to 100 printable ASCII characters', name);
    }
    this.name = Object.hasOwn(named, name) ? `custom:${name}` : name;
    this.#codec = codec;
  }
  encode(value: T): Uint8Array {
    return checkBytes('the result of options.codec.encode()', this.#codec.encode(value));
  }
  decode(memory: Uint8Array, offset: number, length: number): R {
    return this.#codec.decode(memory.slice(offset, offset + length)) as R;
  }
}
