/** Values of all kinds, for the tests of codecs, and when two of them are the same. */
import { types } from 'node:util';
import fc from 'fast-check';

/** Without an element 1. */
export const sparse: unknown[] = Object.assign(new Array(3), { 0: 1, 2: 3 });
export class Point {
  x = 1;
}
const views = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array].concat(
  // biome-ignore lint/suspicious/noExplicitAny: constructors of many types
  [Float32Array, Float64Array, BigInt64Array, BigUint64Array] as any,
);
const bytes = fc.uint8Array({ maxLength: 64 });
const view = fc
  .tuple(fc.constantFrom(...views, DataView), fc.nat(4), fc.nat(2), bytes)
  .map(([Class, count, first, content]) => {
    const size = (Class as typeof Uint8Array).BYTES_PER_ELEMENT ?? 1;
    const { buffer } = new Uint8Array((count + first) * size);
    new Uint8Array(buffer).set(content.subarray(0, buffer.byteLength));
    return new (Class as typeof Uint8Array)(buffer, first * size, count);
  });
const anyString = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.array(fc.nat(0xffff), { maxLength: 40 }).map((codes) => String.fromCharCode(...codes)),
  fc.string({ minLength: 200, maxLength: 300 }),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'length', '', 'é'.repeat(20), 'ñ'.repeat(70_000)),
);
const number = fc.oneof(
  fc.double(),
  fc.float(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(
    0,
    -0,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    2 ** 32,
    -(2 ** 31) - 1,
    2 ** 53,
  ),
  fc.constantFrom(
    ...[7, 8, 15, 16, 31, 32].flatMap((bits) => [2 ** bits - 1, 2 ** bits, -(2 ** bits), -(2 ** bits) - 1]),
  ),
);
const bigint = fc.oneof(
  fc.bigInt(-(2n ** 70n), 2n ** 70n),
  fc.bigInt(),
  fc.constantFrom(
    5n,
    0n,
    -1n,
    2n ** 63n,
    2n ** 64n - 1n,
    2n ** 64n,
    -(2n ** 63n),
    -(2n ** 63n) - 1n,
    -(2n ** 64n),
    2n ** 5000n,
  ),
);
const date = fc.oneof(
  fc.date({ noInvalidDate: false }),
  fc
    .constantFrom(0, -1, -1000, 8.64e15, -8.64e15, 2 ** 32 * 1000, 2 ** 32 * 1000 + 1, 1.5e12)
    .map((time) => new Date(time)),
);
const error = fc
  .tuple(fc.constantFrom(Error, TypeError, RangeError), anyString, fc.boolean(), fc.boolean())
  .map(([Class, message, cause, extra]) => {
    const made = message === '' ? new Class() : new Class(message, cause ? { cause: message } : undefined);
    return extra ? Object.assign(made, { code: message }) : made;
  });
const regexp = fc.constantFrom('a', '[/]', 'ñ', '(?:)').map((source) => new RegExp(source, 'gi'));
export const leaf: fc.Arbitrary<unknown> = fc.oneof(
  anyString,
  number,
  bigint,
  date,
  view,
  error,
  regexp,
  bytes,
  bytes.map((each) => Buffer.from(each)),
  bytes.map((each) => new Uint8Array(each).buffer),
  fc.constantFrom(null, undefined, true, false),
);
const odd: fc.Arbitrary<unknown> = fc.oneof(
  fc.constant(() => 1),
  fc.constant(Symbol('odd')),
  fc.constant(Object(1)),
  fc.constant(Object('boxed')),
  fc.constant(Object(1n)),
  fc.constant({ [Symbol('key')]: 1 }),
  fc.constant({ toJSON: () => 1 }),
  fc.constant(Object.defineProperty({ x: 1 }, 'toJSON', { value: () => 1 })),
  fc.constant(sparse),
  fc.constant(Promise.resolve(1)),
  fc.constant(new WeakMap()),
  fc.constant(new SharedArrayBuffer(4)),
  fc.constant(new Point()),
  fc.constant(new (class extends Map {})()),
  fc.constant(new (class extends Array {})()),
  fc.constant(new (class extends Error {})('own')),
  fc.constant(new (class extends Date {})(0)),
  fc.constant(new (class extends Uint8Array {})(1)),
  fc.constant(new URL('http://localhost')),
  fc.constant(Object.create(new Point())),
  fc.constant(Object.create(Map.prototype)),
  fc.constant(Object.create(Array.prototype)),
  fc.constant(new Proxy({ x: 1 }, {})),
  fc.constant(Object.assign(new Map(), { extra: 1 })),
  fc.constant(Object.assign(new Date(0), { extra: 1 })),
  fc.constant(Object.assign(/a/g, { lastIndex: 1 })),
  fc.constant(new AggregateError([new Error('one')], 'all')),
  fc.constant(detached()),
  fc.constant(detached().buffer),
  fc.constant(
    (function () {
      // biome-ignore lint/complexity/noArguments: it is what is sent
      return arguments;
    })(),
  ),
);
function detached(): Uint8Array {
  const array = new Uint8Array(8);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}
const tree = (leaves: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.letrec<{ value: unknown }>((tie) => {
    const inner = tie('value');
    return {
      value: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        leaves,
        fc.array(inner, { maxLength: 20 }),
        fc.dictionary(anyString, inner, { maxKeys: 20 }),
        fc.dictionary(fc.string({ maxLength: 5 }), inner, { noNullPrototype: true }).map((each) => ({
          ...each,
          get got() {
            return each;
          },
        })),
        fc.array(fc.tuple(inner, inner), { maxLength: 5 }).map((entries) => new Map(entries)),
        fc.array(inner, { maxLength: 5 }).map((values) => new Set(values)),
      ),
    };
  }).value;
/** What a value may be made of, and a good deal of what it may not. */
export const anything: fc.Arbitrary<unknown> = fc.oneof(
  tree(leaf),
  tree(fc.oneof({ arbitrary: leaf, weight: 20 }, { arbitrary: odd, weight: 1 })),
  fc.anything({
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withObjectString: true,
    withSparseArray: true,
    withTypedArray: true,
  }),
);

/**
 * Whether `b`, which has arrived, is `a`, which was sent: what can be told from the one can be told from the other. Two things are as
 * `structuredClone` has them: an object without prototype arrives as a plain one, and a Buffer as a Uint8Array.
 */
export function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return Object.is(a, b);
  const prototype =
    Buffer.isBuffer(a) && !Buffer.isBuffer(b) ? Uint8Array.prototype : (Object.getPrototypeOf(a) ?? Object.prototype);
  if (Object.getPrototypeOf(b) !== prototype) return false;
  if (types.isBoxedPrimitive(a)) return Object.is(a.valueOf(), b.valueOf());
  if (types.isDate(a)) return Object.is(a.getTime(), (b as Date).getTime());
  if (types.isRegExp(a)) return String(a) === String(b) && a.lastIndex === (b as RegExp).lastIndex;
  if (ArrayBuffer.isView(a)) return Buffer.from(contents(a)).equals(contents(b as DataView));
  if (types.isAnyArrayBuffer(a)) {
    return types.isArrayBuffer(b) && Buffer.from(a).equals(Buffer.from(b));
  }
  if (types.isMap(a) && types.isMap(b)) {
    if (!isSame([...a], [...b])) return false;
  } else if (types.isSet(a) && types.isSet(b)) {
    if (!isSame([...a], [...b])) return false;
  } else if (types.isNativeError(a)) {
    const e = b as Error;
    if (a.name !== e.name || a.message !== e.message || !isSame(a.cause, e.cause) || a.stack !== e.stack) return false;
    if (!isSame((a as AggregateError).errors, (b as AggregateError).errors)) return false;
  }
  if (Array.isArray(a) && a.length !== (b as unknown[]).length) return false;
  const keys = enumerable(a);
  return (
    keys.length === enumerable(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isSame(a[key as keyof object], b[key as keyof object]))
  );
}
function enumerable(value: object): (string | symbol)[] {
  return Reflect.ownKeys(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
}
function contents(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
