import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ArrayView,
  type AtomicInteger,
  type Layout,
  type LayoutFields,
  type LayoutValue,
  layout,
  type RecordOf,
  type ViewOf,
} from 'vecino/memory';

// The compiler is the test: this file builds only if every type is exact and every @ts-expect-error is an error.
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}

const point = layout({ x: 'f64', y: 'f32' });
const trade = layout({
  count: 'u32',
  id: 'u64',
  delta: 'i64',
  open: 'bool',
  name: { utf8: 32 },
  digest: { bytes: 4 },
  hits: { atomic: 'u32' },
  total: { atomic: 'i64' },
  tags: { array: 'u16', length: 3 },
  ids: { array: 'i64', length: 1 },
  matrix: { array: { array: 'f32', length: 2 }, length: 2 },
  at: point,
  path: { array: point, length: 2 },
});
const record = () => ({
  count: 1,
  id: 2n,
  delta: -3n,
  open: true,
  name: 'n',
  digest: new Uint8Array(4),
  hits: 4,
  total: 5n,
  tags: [1, 2, 3],
  ids: [6n],
  matrix: [
    [1, 2],
    [3, 4],
  ],
  at: { x: 1, y: 2 },
  path: [
    { x: 1, y: 2 },
    { x: 3, y: 4 },
  ],
});
const memory = () => new ArrayBuffer(trade.byteLength);

test('Layout: read() gives a record with the exact type of each field', () => {
  const value = trade.read(memory());
  same<
    typeof value,
    {
      count: number;
      id: bigint;
      delta: bigint;
      open: boolean;
      name: string;
      digest: Uint8Array;
      hits: number;
      total: bigint;
      tags: number[];
      ids: bigint[];
      matrix: number[][];
      at: { x: number; y: number };
      path: { x: number; y: number }[];
    }
  >(true);
  same<RecordOf<typeof trade>, typeof value>(true);
  same<RecordOf<typeof point>, { x: number; y: number }>(true);
  // @ts-expect-error there is no such field
  assert.equal(value.nothing, undefined);
  value.count = 5; // a copy may be changed
});

test('Layout: at() gives a view with the exact type of each field', () => {
  const view = trade.at(memory());
  same<ViewOf<typeof trade>, typeof view>(true);
  same<typeof view.count, number>(true);
  same<typeof view.id, bigint>(true);
  same<typeof view.hits, AtomicInteger<number>>(true);
  same<typeof view.total, AtomicInteger<bigint>>(true);
  same<ReturnType<typeof view.tags.get>, number>(true);
  same<ReturnType<typeof view.ids.toArray>, bigint[]>(true);
  same<ReturnType<ReturnType<typeof view.matrix.get>['get']>, number>(true);
  same<ReturnType<typeof view.matrix.toArray>, number[][]>(true);
  same<ReturnType<typeof view.path.get>, { x: number; y: number }>(true);
  const numbers: ArrayView<number> = view.tags;
  assert.equal([...numbers].length, 3);
  view.at = { x: 1, y: 2 };
  view.path.set(0, { x: 1, y: 2 });
  view.matrix.set(0, [1, 2]);
  view.matrix.set(0, new Float32Array(2));
  view.matrix.write([view.matrix.get(0), [1, 2]]);
  view.tags.write(new Uint16Array(3));
  view.tags = trade.at(memory()).tags;
  // @ts-expect-error a u32 is a number
  assert.throws(() => (view.count = 1n), TypeError);
  // @ts-expect-error a u64 is a bigint
  assert.throws(() => (view.id = 1), TypeError);
  // @ts-expect-error utf8 is a string
  assert.throws(() => (view.name = 1), TypeError);
  // @ts-expect-error the elements are numbers
  assert.throws(() => view.tags.set(0, '1'), TypeError);
  // @ts-expect-error both are numbers
  assert.throws(() => (view.at = { x: 1, y: '2' }), TypeError);
  // @ts-expect-error a bigint counter takes bigints
  assert.throws(() => view.total.add(1), TypeError);
});

test('Layout: write() takes what read() gives, any array-like, and a view; nothing else', () => {
  const to = memory();
  trade.write(to, 0, record());
  assert.deepEqual(trade.read(to), record());
  trade.write(to, 0, trade.read(to));
  trade.write(to, 0, trade.at(to));
  trade.write(to, 0, {
    ...record(),
    tags: new Uint16Array(3),
    ids: new BigInt64Array(1),
    path: [point.at(to), point.at(to)],
  });
  trade.write(to, 0, { ...record(), tags: [1, 2, 3] as const });
  const { name: _, ...nameless } = record();
  // @ts-expect-error a field is missing
  assert.throws(() => trade.write(to, 0, nameless), TypeError);
  // @ts-expect-error a u64 is a bigint
  assert.throws(() => trade.write(to, 0, { ...record(), id: 1 }), TypeError);
  // @ts-expect-error the elements are numbers
  assert.throws(() => trade.write(to, 0, { ...record(), tags: ['1', '2', '3'] }), TypeError);
  // @ts-expect-error there is no such field
  trade.write(to, 0, { ...record(), nothing: 1 });
});

test('Layout: layout() takes only types that exist', () => {
  // @ts-expect-error no such type
  assert.throws(() => layout({ a: 'u128' }), TypeError);
  // @ts-expect-error no such type
  assert.throws(() => layout({ a: { text: 3 } }), TypeError);
  // @ts-expect-error no such atomic
  assert.throws(() => layout({ a: { atomic: 'f64' } }), TypeError);
  // @ts-expect-error without its length
  assert.throws(() => layout({ a: { array: 'u8' } }), TypeError);
  // @ts-expect-error the size is a number
  assert.throws(() => layout({ a: { utf8: '3' } }), TypeError);
  // @ts-expect-error the memory is missing
  assert.throws(() => point.at(), TypeError);
  const fields = { a: 'u8', b: { utf8: 4 } } as const;
  same<RecordOf<ReturnType<typeof layout<typeof fields>>>, { a: number; b: string }>(true);
});

test('Layout: any layout can be passed where only its size or fields matter', () => {
  const size = (one: Layout): number => one.byteLength;
  assert.equal(size(point), 16);
  assert.ok(size(trade) > 100);
  // What a codec needs of a layout, for any record type.
  const roundTrip = <Fields extends LayoutFields>(one: Layout<Fields>, value: LayoutValue<Fields>) => {
    const bytes = new Uint8Array(one.byteLength);
    one.write(bytes, 0, value);
    return one.read(bytes, 0);
  };
  const copy = roundTrip(point, { x: 1, y: 2 });
  same<typeof copy, { x: number; y: number }>(true);
  assert.deepEqual(copy, { x: 1, y: 2 });
});
