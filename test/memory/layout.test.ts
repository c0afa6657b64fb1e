import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import { AtomicInteger, Layout, type LayoutFields, type LayoutMemory, layout, SharedMemory } from 'vecino/memory';
import { ClosedError, CorruptError, ftruncate } from 'vecino/system';
import { uniqueName } from '../support/processes.js';

const point = layout({ x: 'f64', y: 'f64' });
const everything = layout({
  u8: 'u8',
  i8: 'i8',
  u16: 'u16',
  i16: 'i16',
  u32: 'u32',
  i32: 'i32',
  u64: 'u64',
  i64: 'i64',
  f32: 'f32',
  f64: 'f64',
  bool: 'bool',
  text: { utf8: 10 },
  bytes: { bytes: 3 },
  counter: { atomic: 'i64' },
  numbers: { array: 'u16', length: 3 },
  matrix: { array: { array: 'f32', length: 2 }, length: 2 },
  names: { array: { utf8: 4 }, length: 2 },
  point,
  points: { array: point, length: 2 },
});
const sample = () => ({
  u8: 255,
  i8: -128,
  u16: 65535,
  i16: -32768,
  u32: 4294967295,
  i32: -2147483648,
  u64: 18446744073709551615n,
  i64: -9223372036854775808n,
  f32: 0.5,
  f64: Number.MIN_VALUE,
  bool: true,
  text: 'Grüße 🐦'.slice(0, 6),
  bytes: new Uint8Array([1, 2, 3]),
  counter: -7n,
  numbers: [1, 2, 65535],
  matrix: [
    [1, 2],
    [3, -Infinity],
  ],
  names: ['ab', 'four'],
  point: { x: 1.25, y: -0 },
  points: [
    { x: 1, y: 2 },
    { x: 3, y: 4 },
  ],
});
const withCode = (code: string, pattern: RegExp, type: typeof TypeError | typeof RangeError) => (error: unknown) =>
  error instanceof type && 'code' in error && error.code === code && pattern.test(error.message);
const outOfRange = (pattern: RegExp) => withCode('ERR_OUT_OF_RANGE', pattern, RangeError);
const wrongType = (pattern: RegExp) => withCode('ERR_INVALID_ARG_TYPE', pattern, TypeError);
const wrongValue = (pattern: RegExp) => withCode('ERR_INVALID_ARG_VALUE', pattern, TypeError);

test('Layout: what is written is read back, whole and field by field', () => {
  const memory = new ArrayBuffer(everything.byteLength * 2);
  everything.write(memory, everything.byteLength, sample());
  assert.deepEqual(everything.read(memory, everything.byteLength), sample());
  const view = everything.at(memory, everything.byteLength);
  assert.equal(view.u8, 255);
  assert.equal(view.i64, -9223372036854775808n);
  assert.equal(view.f64, Number.MIN_VALUE);
  assert.equal(view.text, 'Grüße ');
  assert.deepEqual([...view.bytes], [1, 2, 3]);
  assert.equal(view.counter.load(), -7n);
  assert.deepEqual([...view.numbers], [1, 2, 65535]);
  assert.equal(view.matrix.get(1).get(1), -Infinity);
  assert.equal(view.names.get(1), 'four');
  assert.ok(Object.is(view.point.y, -0));
  assert.equal(view.points.get(1).x, 3);
  assert.ok(new Uint8Array(memory, 0, everything.byteLength).every((byte) => byte === 0));
});

test('Layout: a record that was read is a plain object and a copy', () => {
  const memory = new ArrayBuffer(everything.byteLength);
  everything.write(memory, 0, sample());
  const record = everything.read(memory);
  new Uint8Array(memory).fill(0);
  assert.deepEqual(record, sample());
  assert.equal(Object.getPrototypeOf(record), Object.prototype);
  assert.deepEqual(Object.keys(record), Object.keys(sample()));
  assert.match(inspect(record), /^\{\n/);
  assert.deepEqual(structuredClone(record), record);
});

test('Layout: a view reads and writes the memory itself, and so do the objects that it gives', () => {
  const memory = new ArrayBuffer(everything.byteLength);
  const one = everything.at(memory);
  const other = everything.at(new Uint8Array(memory));
  one.u32 = 7;
  one.text = 'seven';
  one.bool = true;
  one.bytes.set([9, 8], 1);
  one.numbers.set(2, 77);
  one.matrix.get(1).set(0, 1.5);
  one.names.set(0, 'é');
  one.point.x = 7.5;
  one.points.get(1).y = 8.5;
  one.counter.store(70n);
  assert.deepEqual([other.u32, other.text, other.bool, other.counter.load()], [7, 'seven', true, 70n]);
  assert.deepEqual([...other.bytes], [0, 9, 8]);
  assert.deepEqual(other.numbers.toArray(), [0, 0, 77]);
  assert.deepEqual(other.matrix.toArray(), [
    [0, 0],
    [1.5, 0],
  ]);
  assert.deepEqual([...other.names], ['é', '']);
  assert.deepEqual([other.point.x, other.points.get(1).y], [7.5, 8.5]);
  assert.equal(one.point, one.point, 'the object for a field is made once');
  assert.equal(one.bytes, one.bytes);
});

test('Layout: assigning to a field copies, and a view can be written whole', () => {
  const memory = new ArrayBuffer(everything.byteLength * 2);
  everything.write(memory, 0, sample());
  const from = everything.at(memory);
  const to = everything.at(memory, everything.byteLength);
  to.point = { x: 5, y: 6 };
  to.bytes = new Uint8Array([4, 5, 6]);
  to.numbers.write([4, 5, 6]);
  to.points = from.points;
  from.points.get(0).x = 99;
  assert.deepEqual(to.points.toArray(), sample().points);
  assert.deepEqual(to.point, everything.at(memory, everything.byteLength).point);
  assert.deepEqual(to.numbers.toArray(), [4, 5, 6]);
  from.points.get(0).x = 1;
  everything.write(memory, everything.byteLength, from);
  assert.deepEqual(everything.read(memory, everything.byteLength), sample());
});

test('Layout: a view shows its record when printed, and as JSON', () => {
  const small = layout({ id: 'u8', at: point, list: { array: 'i8', length: 2 }, hits: { atomic: 'u32' } });
  const view = small.at(new ArrayBuffer(small.byteLength));
  const expected = { id: 0, at: { x: 0, y: 0 }, list: [0, 0], hits: 0 };
  assert.equal(inspect(view), inspect(expected));
  assert.deepEqual(JSON.parse(JSON.stringify(view)), expected);
  assert.deepEqual(JSON.parse(JSON.stringify([view.hits, view.list])), [0, [0, 0]]);
  assert.equal(inspect(view.hits), '0');
});

test('Layout: a field may have a name that objects already use', () => {
  const names = ['constructor', 'toString', 'toJSON', 'hasOwnProperty', 'then', 'memory', 'length', 'valueOf'] as const;
  const fields = Object.fromEntries(names.map((name) => [name, 'u8'])) as Record<(typeof names)[number], 'u8'>;
  const odd = layout(fields);
  const memory = new ArrayBuffer(odd.byteLength);
  const values = Object.fromEntries(names.map((name, i) => [name, i])) as Record<(typeof names)[number], number>;
  odd.write(memory, 0, values);
  assert.deepEqual(odd.read(memory), values);
  for (const name of names) assert.equal(odd.at(memory)[name], values[name]);
});

test('Layout: fields tells where everything lies', () => {
  const trade = layout({ count: 'u32', price: 'f64', name: { utf8: 5 }, point, hits: { atomic: 'u32' } });
  assert.deepEqual(
    trade.fields.map(({ name, offset, size, alignment, kind }) => [name, offset, size, alignment, kind]),
    [
      ['count', 0, 4, 4, 'u32'],
      ['price', 8, 8, 8, 'f64'],
      ['name', 16, 5, 1, 'utf8'],
      ['point', 24, 16, 8, 'layout'],
      ['hits', 40, 4, 4, 'atomic'],
    ],
  );
  assert.deepEqual([trade.byteLength, trade.alignment], [48, 8]);
  assert.equal(trade.fields[3]!.type, point);
  assert.ok(Object.isFrozen(trade) && Object.isFrozen(trade.fields) && Object.isFrozen(trade.fields[0]));
});

test('Layout: a layout of hundreds of fields works like a small one', () => {
  const names = Array.from({ length: 999 }, (_, i) => `field${i}`);
  const wide = layout(Object.fromEntries(names.map((name, i) => [name, i % 2 ? 'u8' : 'f64'])) as LayoutFields);
  const values = Object.fromEntries(names.map((name, i) => [name, i % 200]));
  const memory = new ArrayBuffer(wide.byteLength);
  wide.write(memory, 0, values);
  assert.deepEqual(wide.read(memory), values);
});

test('Layout: memory may be a SharedMemory, a buffer, a SharedArrayBuffer or a part of one', () => {
  const memory = SharedMemory.anonymous(4096);
  point.at(memory, 4080).x = 1.5;
  assert.equal(point.read(memory.buffer, 4080).x, 1.5);
  assert.equal(point.read(new Uint8Array(memory.buffer, 4080)).x, 1.5);
  assert.equal(point.read(Buffer.from(memory.buffer, 4072, 24), 8).x, 1.5);
  const shared = new SharedArrayBuffer(64);
  everything.write(new SharedArrayBuffer(1024), 8, sample());
  point.at(shared).y = 2.5;
  assert.equal(point.read(new Uint8Array(shared)).y, 2.5);
  memory.close();
});

test('Layout: a buffer of another realm is a buffer', () => {
  const memory = runInNewContext('new ArrayBuffer(16)') as ArrayBuffer;
  point.at(memory).x = 1.5;
  assert.equal(point.read({ buffer: memory }).x, 1.5);
});

test('Layout: plain fields may lie anywhere in a Uint8Array, as a message from a socket does; atomic ones are aligned', () => {
  const memory = new ArrayBuffer(64);
  point.write(new Uint8Array(memory, 3), 8, { x: 1, y: 2 });
  assert.deepEqual(point.read(new Uint8Array(memory, 3), 8), { x: 1, y: 2 });
  const counters = layout({ a: { atomic: 'u32' }, b: { atomic: 'u32' } });
  assert.equal(counters.read(new Uint8Array(memory, 4), 4).a, 0);
  for (const use of [
    () => counters.at(new Uint8Array(memory, 2)),
    () => counters.read(new Uint8Array(memory, 1), 4),
    () => counters.write(new Uint8Array(memory, 3), 0, { a: 1, b: 2 }),
  ]) {
    assert.throws(use, outOfRange(/offset must be such that byteOffset \+ offset is a multiple of 4/));
  }
});

test('Layout: an atomic field counts, exchanges and wraps around like C', () => {
  const counters = layout({
    i32: { atomic: 'i32' },
    u32: { atomic: 'u32' },
    i64: { atomic: 'i64' },
    u64: { atomic: 'u64' },
  });
  const { i32, u32, i64, u64 } = counters.at(new ArrayBuffer(counters.byteLength));
  assert.ok(u32 instanceof AtomicInteger);
  u32.store(4294967295);
  assert.equal(u32.add(2), 4294967295);
  assert.equal(u32.load(), 1);
  assert.equal(u32.sub(2), 1);
  assert.equal(u32.load(), 4294967295);
  assert.equal(u32.and(0xf0), 4294967295);
  assert.equal(u32.or(0x0f), 0xf0);
  assert.equal(u32.xor(0xf0), 0xff);
  assert.equal(u32.exchange(5), 0x0f);
  assert.equal(u32.compareExchange(4, 9), 5);
  assert.equal(u32.load(), 5);
  assert.equal(u32.compareExchange(5, 9), 5);
  assert.equal(u32.load(), 9);
  i32.store(-2147483648);
  i32.sub(1);
  assert.equal(i32.load(), 2147483647);
  i64.store(-1n);
  assert.equal(i64.exchange(3n), -1n);
  u64.sub(1n);
  assert.equal(u64.load(), 18446744073709551615n);
  assert.throws(() => u32.store(-1), outOfRange(/field 'u32' must be a whole number from 0 to 4294967295; got -1/));
  assert.throws(() => i32.add(2147483648), outOfRange(/field 'i32'/));
  assert.throws(() => u32.add(Number.NaN), outOfRange(/field 'u32'/));
  assert.throws(() => u64.add(1n << 64n), outOfRange(/field 'u64'/));
  assert.throws(() => u64.compareExchange(0n, 5 as never), wrongType(/field 'u64' must be a bigint; got 5/));
  assert.equal(u64.load(), 18446744073709551615n, 'what was refused changed nothing');
});

test('Layout: the index of an array is checked', () => {
  const { numbers } = everything.at(new ArrayBuffer(everything.byteLength));
  assert.equal(numbers.length, 3);
  for (const index of [-1, 3, 0.5, Number.NaN, Infinity, 2 ** 53]) {
    assert.throws(() => numbers.get(index), outOfRange(/index of field 'numbers' must be a whole number from 0 to 2/));
    assert.throws(() => numbers.set(index, 1), outOfRange(/index of field 'numbers'/));
  }
  assert.throws(() => numbers.get('1' as never), wrongType(/index of field 'numbers' must be a number/));
  assert.throws(() => numbers.get(undefined as never), wrongType(/index/));
  assert.throws(() => numbers.write([1, 2]), outOfRange(/field 'numbers' must be exactly 3 elements; got 2/));
  assert.throws(() => numbers.write([1, 2, 65536]), outOfRange(/field 'numbers\[\]' must be a whole number/));
  assert.throws(() => numbers.write('123' as never), wrongType(/field 'numbers' must be an array/));
  assert.throws(() => numbers.write({} as never), wrongType(/field 'numbers' must be an array/));
  assert.throws(() => numbers.write(null as never), wrongType(/field 'numbers' must be an array/));
  numbers.write(new Uint16Array([7, 8, 9]));
  assert.deepEqual([...numbers], [7, 8, 9]);
});

test('Layout: text is NUL padded UTF-8 and reads back exactly, or is refused', () => {
  for (const size of [1, 5, 31, 32, 33, 40, 64, 300, 1000]) {
    const text = layout({ before: 'u8', text: { utf8: size }, after: 'u8' });
    const memory = new Uint8Array(text.byteLength).fill(0xee);
    const view = text.at(memory);
    const values = ['', 'x', 'é'.repeat(size >> 1), 'a'.repeat(size), '🐦'.repeat(size >> 2), '\ufeffab', '\x7f\x01'];
    values.push('abcdefghijklmnopqrstuvwxyz0123456789'.slice(0, size), `${'a'.repeat(size - 1)}!`);
    for (const value of values.filter((value) => Buffer.byteLength(value) <= size)) {
      view.text = value;
      assert.equal(view.text, value);
      assert.deepEqual(Buffer.from(memory.subarray(1, 1 + size)), Buffer.concat([Buffer.from(value)], size));
      assert.deepEqual([memory[0], memory[1 + size]], [0xee, 0xee]);
    }
    view.text = 'y';
    for (const value of ['b'.repeat(size + 1), `${'a'.repeat(size - 1)}é`, '🐦'.repeat((size >> 2) + 1)]) {
      assert.throws(
        () => {
          view.text = value;
        },
        outOfRange(new RegExp(`field 'text' must be text of at most ${size} bytes in UTF-8`)),
      );
    }
    assert.equal(view.text, 'y', 'what was refused changed nothing');
  }
  const name = layout({ name: { utf8: 8 } }).at(new ArrayBuffer(8));
  const assign = (value: unknown) => () => {
    name.name = value as string;
  };
  assert.throws(assign('a\0b'), wrongValue(/field 'name' must be text without NUL/));
  assert.throws(assign('a\ud800'), wrongValue(/field 'name' must be text without lone surrogates/));
  for (const value of [1, null, undefined, Buffer.from('x'), Object('x')]) {
    assert.throws(assign(value), wrongType(/field 'name' must be a string/));
  }
});

test('Layout: bytes of a peer that are no UTF-8 read as replacement characters, as TextDecoder has them', () => {
  for (const size of [8, 32, 50]) {
    const text = layout({ text: { utf8: size } });
    const memory = new Uint8Array(size);
    for (const bytes of [[0xff], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x90, 0x41], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
      memory.fill(0);
      memory.set(bytes, size - bytes.length);
      memory.fill(0x61, 0, size - bytes.length);
      assert.equal(text.read(memory).text, new TextDecoder('utf-8', { ignoreBOM: true }).decode(memory));
    }
    memory.fill(0xff);
    memory[3] = 0;
    assert.equal(text.read(memory).text, '\ufffd\ufffd\ufffd');
  }
});

test('Layout: every value that a field cannot hold is refused with its name, and changes nothing', () => {
  const memory = new ArrayBuffer(everything.byteLength);
  everything.write(memory, 0, sample());
  const view = everything.at(memory) as Record<string, unknown>;
  const assign = (name: string, value: unknown) => () => {
    view[name] = value;
  };
  const limits: Record<string, [number | bigint, number | bigint]> = {
    u8: [0, 255],
    i8: [-128, 127],
    u16: [0, 65535],
    i16: [-32768, 32767],
    u32: [0, 4294967295],
    i32: [-2147483648, 2147483647],
    u64: [0n, 18446744073709551615n],
    i64: [-9223372036854775808n, 9223372036854775807n],
  };
  for (const [name, [min, max]] of Object.entries(limits)) {
    const whole = typeof min === 'number';
    for (const value of [min, max, whole ? 1 : 1n]) {
      view[name] = value;
      assert.equal(view[name], value);
    }
    const beyond = typeof min === 'number' ? [min - 1, Number(max) + 1] : [min - 1n, BigInt(max) + 1n];
    const strange = whole ? [0.5, Number.NaN, Infinity, -Infinity, 2 ** 53, 1e300] : [1n << 70n, -(1n << 200n)];
    for (const value of [...beyond, ...strange]) {
      assert.throws(assign(name, value), outOfRange(new RegExp(`field '${name}' must be`)));
    }
    for (const value of ['1', null, undefined, true, {}, [1], Symbol('1'), whole ? 1n : 1, Object(1)]) {
      assert.throws(assign(name, value), wrongType(new RegExp(`field '${name}' must be a`)));
    }
    const trap = {
      valueOf() {
        throw new Error('must not be called');
      },
    };
    assert.throws(assign(name, trap), wrongType(new RegExp(`field '${name}'`)));
    assert.equal(view[name], whole ? 1 : 1n);
  }
  for (const name of ['f32', 'f64']) {
    for (const value of ['1', 1n, null, undefined, true, {}]) {
      assert.throws(assign(name, value), wrongType(new RegExp(`field '${name}' must be a number`)));
    }
    for (const value of [Number.NaN, Infinity, -Infinity, -0, 0.5]) {
      view[name] = value;
      assert.ok(Object.is(view[name], value));
    }
  }
  assert.throws(assign('f32', 1e39), outOfRange(/field 'f32' must be a number that a 32-bit float can hold/));
  for (const value of [0, 1, 'true', null, undefined]) {
    assert.throws(assign('bool', value), wrongType(/field 'bool' must be a boolean/));
  }
  for (const length of [0, 2, 4]) {
    assert.throws(assign('bytes', new Uint8Array(length)), outOfRange(/field 'bytes' must be exactly 3 bytes/));
  }
  for (const value of ['abc', [1, 2, 3], new ArrayBuffer(3), null]) {
    assert.throws(assign('bytes', value), wrongType(/field 'bytes' must be a Uint8Array/));
  }
  for (const value of [1, 'x', null, undefined]) {
    assert.throws(assign('point', value), wrongType(/field 'point' must be an object/));
    assert.throws(() => point.write(memory, 0, value as never), wrongType(/value must be an object/));
  }
  assert.throws(assign('point', { x: 1 }), wrongType(/field 'y' must be a number; got undefined/));
  assert.throws(
    () => everything.write(memory, 0, {} as never),
    wrongType(/field 'u8' must be a number; got undefined/),
  );
});

test('Layout: a bool that a peer made of another byte than 1 is true', () => {
  const flag = layout({ flag: 'bool' });
  assert.equal(flag.read(new Uint8Array([2])).flag, true);
  assert.equal(flag.read(new Uint8Array([0])).flag, false);
});

test('Layout: a record must lie in the memory, at a multiple of its alignment', () => {
  const memory = new ArrayBuffer(64);
  const uses = (at: LayoutMemory, offset: unknown) => [
    () => point.at(at, offset as number),
    () => point.read(at, offset as number),
    () => point.write(at, offset as number, { x: 1, y: 2 }),
  ];
  for (const offset of [-8, -1, 49, 56, 64, 2 ** 32, 2 ** 53, 0.5, Number.NaN, Infinity, -Infinity]) {
    for (const use of uses(memory, offset))
      assert.throws(use, outOfRange(/offset must be a whole number from 0 to 48/));
  }
  for (const offset of [1, 4, 47]) {
    for (const use of uses(memory, offset))
      assert.throws(use, outOfRange(/offset must be a multiple of the alignment, 8/));
  }
  for (const offset of ['8', null, 8n, {}]) {
    for (const use of uses(memory, offset)) assert.throws(use, wrongType(/offset must be a number/));
  }
  assert.throws(() => point.at(new Uint8Array(memory, 8, 24), 16), outOfRange(/from 0 to 8/));
  for (const small of [new ArrayBuffer(0), new ArrayBuffer(15), new Uint8Array(memory, 0, 15), new Uint8Array(0)]) {
    assert.throws(() => point.at(small), outOfRange(/memory must be at least 16 bytes/));
  }
  for (const wrong of [
    null,
    undefined,
    5,
    'memory',
    {},
    { buffer: 5 },
    [],
    new DataView(memory),
    new Float64Array(8),
  ]) {
    for (const use of uses(wrong as never, 0)) assert.throws(use, wrongType(/memory must be a SharedMemory/));
  }
});

test('Layout: after the memory is closed everything throws ClosedError, nothing reads as undefined', () => {
  const memory = SharedMemory.anonymous(4096);
  const view = everything.at(memory) as ReturnType<typeof everything.at> & Record<string, unknown>;
  const fresh = everything.at(memory, 1024) as unknown as Record<string, unknown>;
  const { counter, numbers, matrix, names, points } = view;
  const inner = view.point;
  const row = matrix.get(0);
  const { buffer } = memory;
  const part = new Uint8Array(buffer, 16, 64);
  void view.bytes;
  memory.close();
  const values: Record<string, unknown> = sample();
  for (const { name } of everything.fields) {
    for (const object of [view, fresh]) {
      assert.throws(() => object[name], ClosedError, `reading ${name}`);
      assert.throws(
        () => {
          object[name] = values[name];
        },
        ClosedError,
        `writing ${name}`,
      );
    }
  }
  for (const use of [
    () => counter.load(),
    () => counter.store(1n),
    () => counter.add(1n),
    () => counter.sub(1n),
    () => counter.and(1n),
    () => counter.or(1n),
    () => counter.xor(1n),
    () => counter.exchange(1n),
    () => counter.compareExchange(1n, 2n),
    () => numbers.get(0),
    () => numbers.set(0, 1),
    () => numbers.toArray(),
    () => numbers.write([1, 2, 3]),
    () => [...numbers],
    () => names.get(0),
    () => names.set(0, 'x'),
    () => points.get(0),
    () => row.get(0),
    () => inner.x,
    () => JSON.stringify(view),
    () => everything.at(memory),
    () => everything.read(memory),
    () => everything.write(memory, 0, sample()),
    () => point.at(buffer),
    () => point.read(part),
  ]) {
    assert.throws(use, ClosedError, String(use));
  }
  assert.equal(inspect(view), '[closed]');
  assert.equal(inspect(counter), '[closed]');
  assert.equal(inspect(numbers), '[closed]');
  assert.equal(new Layout({ a: 'u8' }).byteLength, 1, 'the layout itself lives on');
});

test('Layout: a segment that was truncated under a view reads as zeros, and no new view of it is given', () => {
  const memory = SharedMemory.create(uniqueName('layout'), 8192);
  const view = everything.at(memory, 4096);
  view.u32 = 5;
  view.text = 'text';
  ftruncate(memory.fd, 0);
  assert.deepEqual([view.u32, view.text, view.counter.load()], [0, '', 0n]);
  assert.throws(() => everything.at(memory), CorruptError);
  assert.throws(() => everything.read(memory), CorruptError);
  assert.throws(() => everything.write(memory, 0, sample()), CorruptError);
  memory.close();
  memory.unlink();
});

test('Layout: memory that was transferred away counts as closed, also the first time it is seen', () => {
  const memory = new ArrayBuffer(64);
  const view = point.at(memory);
  structuredClone(memory, { transfer: [memory] });
  assert.throws(() => view.x, ClosedError);
  const other = new ArrayBuffer(64);
  const part = new Uint8Array(other);
  structuredClone(other, { transfer: [other] });
  assert.throws(() => point.at(other), ClosedError);
  assert.throws(() => point.read(part), ClosedError);
});

test('Layout: a value whose getter closes the memory is not written anywhere', () => {
  for (const late of ['f64', 'text', 'bytes', 'numbers', 'counter', 'point']) {
    const memory = SharedMemory.anonymous(4096);
    const value = sample() as Record<string, unknown>;
    const good = value[late];
    Object.defineProperty(value, late, {
      get() {
        memory.close();
        return good;
      },
    });
    assert.throws(() => everything.write(memory, 0, value as never), ClosedError);
  }
});

test('Layout: fields that make no layout are refused', () => {
  const refused = (fields: unknown, expected: (error: unknown) => boolean) =>
    assert.throws(() => layout(fields as LayoutFields), expected, inspect(fields));
  for (const fields of [null, undefined, 5, 'u8', ['u8']]) refused(fields, wrongType(/fields must be an object/));
  for (const fields of [{}, new Map([['a', 'u8']])]) refused(fields, wrongValue(/fields must be at least one field/));
  for (const name of ['', '1', 'a-b', 'a b', 'a.b', 'é', '$a', 'a;', 'a\n', '*p', '__proto__']) {
    refused({ [name]: 'u8' }, wrongValue(/names of fields must be C identifiers/));
  }
  const types = ['u128', 'U8', '', 'toString', 'constructor', null, undefined, 5, true, {}, [], ['u8'], () => 'u8'];
  const mixed = [{ utf8: 5, bytes: 5 }, { array: 'u8' }, { length: 3 }, { text: 4 }, { utf8: 4, size: 4 }];
  for (const type of [...types, ...mixed]) refused({ a: type }, wrongValue(/field 'a' must be one of u8, i8/));
  refused({ a: { array: 'u128', length: 2 } }, wrongValue(/field 'a\[\]' must be one of/));
  for (const size of [0, -1, 0.5, Number.NaN, Infinity, 2 ** 31, 2 ** 53]) {
    refused({ a: { utf8: size } }, outOfRange(/utf8 of field 'a' must be a whole number from 1/));
    refused({ a: { bytes: size } }, outOfRange(/bytes of field 'a' must be a whole number from 1/));
    refused({ a: { array: 'u8', length: size } }, outOfRange(/length of field 'a' must be a whole number from 1/));
  }
  for (const size of ['5', null, undefined, 5n, {}]) {
    refused({ a: { utf8: size } }, wrongType(/utf8 of field 'a' must be a number/));
    refused({ a: { array: 'u8', length: size } }, wrongType(/length of field 'a' must be a number/));
  }
  for (const kind of ['u8', 'f64', 'bool', null, undefined, 4, 'load']) {
    refused({ a: { atomic: kind } }, wrongValue(/atomic of field 'a' must be one of i32, u32, i64, u64/));
  }
  refused({ a: { array: 'u64', length: 2 ** 30 } }, outOfRange(/the size of field 'a' must be at most 2147483647/));
  refused({ a: { bytes: 2 ** 30 }, b: { bytes: 2 ** 30 } }, outOfRange(/the size of a layout must be at most/));
  const huge = { array: { array: { array: 'u8', length: 2 ** 30 }, length: 2 ** 30 }, length: 2 ** 30 };
  refused({ a: huge }, outOfRange(/the size of field/));
  const cyclic: Record<string, unknown> = { length: 2 };
  cyclic['array'] = cyclic;
  refused({ a: cyclic }, (error) => error instanceof RangeError);
});

test('Layout: a buffer that grows or shrinks between two accesses is followed, by atomic fields too', () => {
  const counters = layout({ first: { atomic: 'i32' }, wide: { atomic: 'u64' } });
  const buffer = new (ArrayBuffer as unknown as new (size: number, options: object) => ArrayBuffer)(18, {
    maxByteLength: 64,
  });
  const resize = (size: number) => (buffer as unknown as { resize(size: number): void }).resize(size);
  const low = counters.at(buffer);
  low.first.store(1);
  low.wide.store(2n);
  resize(64);
  const high = counters.at(buffer, 48);
  high.first.store(3);
  high.wide.store(4n);
  assert.deepEqual([low.first.load(), low.wide.load(), high.first.load(), high.wide.load()], [1, 2n, 3, 4n]);
  resize(16);
  assert.deepEqual([counters.at(buffer).first.load(), counters.at(buffer).wide.load()], [1, 2n]);
  assert.throws(() => high.first.load(), Error);
  assert.throws(() => high.first.store(1), Error);
  assert.throws(() => counters.at(buffer, 48), { code: 'ERR_OUT_OF_RANGE' });
});
