/**
 * MessagePack as used here. It follows the specification, so any library can read it:
 *
 *     null, booleans, strings (UTF-8), arrays    as specified
 *     numbers                                    integers of 32 bits as integers, all others, and -0, as float 64
 *     bigint                                     int 64 or uint 64, used for nothing else; longer ones extension 66
 *     Uint8Array                                 bin
 *     objects                                    map; a map with a key that is not a string arrives as a Map
 *     Date                                       extension -1, the timestamp
 *
 * Types that it does not have are extensions, whose content is MessagePack again where it holds values:
 *
 *     0    one byte, 0                           undefined
 *     66   two's complement, big-endian          a bigint beyond 64 bits
 *     101  class hidden properties               an Error: its class's name, then two maps of its properties
 *     109  key value key value ...               a Map
 *     115  value value ...                       a Set
 *     116  element type, one byte, then bytes    a typed array, an ArrayBuffer or a DataView, in the machine's byte order
 *     120  source flags                          a RegExp
 */
export const UNDEFINED = 0;
export const BIGINT = 66;
export const ERROR = 101;
export const MAP = 109;
export const SET = 115;
export const VIEW = 116;
export const REGEXP = 120;
export const TIMESTAMP = 0xff;

interface ViewClass {
  new (buffer: ArrayBuffer): ArrayBufferView;
  readonly prototype: object;
  readonly name: string;
  readonly BYTES_PER_ELEMENT?: number;
}
const names = [
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
].concat(['Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array', 'Float16Array']);
/** By the number of their element type; Float16Array where Node has it. */
export const viewClasses: readonly (ViewClass | undefined)[] = names.map(
  (name) => (globalThis as unknown as Record<string, ViewClass | undefined>)[name],
);
export const ARRAY_BUFFER = 16;
export const DATA_VIEW = 17;
export const viewNumber: (name: string) => number = (name) => (name === 'DataView' ? DATA_VIEW : names.indexOf(name));
