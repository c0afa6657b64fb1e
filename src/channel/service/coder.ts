/** The codecs for calls: any that encodes arrays of values. */
import { Layout } from '../../memory/index.js';
import { invalidArgument } from '../../system/errors.js';
import { type Codec, type Coder, coderOf } from '../codec/index.js';

export function valueCoder(codec: Codec | undefined): Coder<unknown> {
  if (codec !== 'bytes' && codec !== 'text' && !(codec instanceof Layout)) return coderOf(codec);
  const expected = "'msgpack', 'structured', 'json' or a codec of your own: a service sends arrays of values";
  throw invalidArgument('ERR_INVALID_ARG_VALUE', 'options.codec', expected, codec);
}
