import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { IpcError, NotEncodableError } from 'vecino';
import { layout } from 'vecino/memory';
import { type Codec, coderOf } from '#src/channel/codec/index.js';
import { anything, isSame, leaf, Point, sparse } from './values.js';

/** What arrives, or the error of the sender. */
function carry(codec: Codec, value: unknown): { arrived: unknown } | { refused: NotEncodableError } {
  const coder = coderOf<unknown>(codec);
  let bytes: Uint8Array;
  try {
    bytes = coder.encode(value);
  } catch (error) {
    if (error instanceof NotEncodableError) return { refused: error };
    throw error;
  }
  const memory = new Uint8Array(bytes.length + 12).fill(0x91);
  memory.set(bytes, 8);
  const arrived = coder.decode(memory, 8, bytes.length);
  memory.fill(0xee); // which nothing that has arrived may be a view of
  return { arrived };
}
function path(codec: Codec, value: unknown): string {
  const result = carry(codec, value);
  assert.ok('refused' in result, `${String(codec)} takes ${inspect(value)}`);
  const { refused } = result;
  assert.ok(refused instanceof IpcError);
  assert.equal(refused.code, 'ERR_VECINO_NOT_ENCODABLE');
  assert.ok(refused.message.startsWith(refused.path), refused.message);
  return refused.path;
}
const record = layout({
  id: 'u32',
  small: 'i8',
  big: 'u64',
  price: 'f64',
  ok: 'bool',
  name: { utf8: 8 },
  raw: { bytes: 2 },
});

for (const codec of ['bytes', 'text', 'json', 'structured', 'msgpack', record] as const) {
  const name = typeof codec === 'string' ? codec : 'layout';
  test(`Codec ${name}: any value arrives equal, or is refused with the path of the culprit`, () => {
    fc.assert(
      fc.property(anything, (value) => {
        const result = carry(codec, value);
        if ('refused' in result) assert.match(result.refused.path, /^value/);
        else {
          // Of whatever class they are, `bytes` carries bytes.
          const sent = codec === 'bytes' && value instanceof Uint8Array ? new Uint8Array(value) : value;
          assert.ok(isSame(sent, result.arrived), `${inspect(value)} has become ${inspect(result.arrived)}`);
        }
      }),
      { numRuns: 1500 },
    );
  });
}
test('Codec msgpack: what it takes is what structuredClone makes of it', () => {
  fc.assert(
    fc.property(anything, (value) => {
      const result = carry('msgpack', value);
      if ('refused' in result) return;
      let clone: unknown;
      try {
        clone = structuredClone(value);
      } catch {
        return; // a proxy, the arguments of a function
      }
      if (!hasError(value)) assert.ok(isSame(clone, result.arrived));
    }),
    { numRuns: 1500 },
  );
});
/** Of which structuredClone leaves out what they were caused by, on some versions of Node. */
function hasError(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (value instanceof Error) return true;
  const parts = value instanceof Map ? [...value].flat() : value instanceof Set ? [...value] : Object.values(value);
  return parts.some(hasError);
}

// biome-ignore lint/suspicious/noExplicitAny: many types
const carried: Record<string, any[]> = {
  bytes: [new Uint8Array(0), Uint8Array.of(1, 2), Buffer.from('x')],
  text: ['', 'ñandú', '\u{1f980}', '\0'],
  json: [null, true, 0, -1.5, 'x', 'half \ud800', [], {}, { a: [{ b: 'c' }] }, JSON.parse('{"__proto__": 1}')],
  structured: [undefined, -0, 5n, new Map([[{}, [1]]]), new Date(Number.NaN), sparse, Object(1n), /x/g],
  msgpack: [
    ...[
      undefined,
      null,
      true,
      -0,
      Number.NaN,
      Number.NEGATIVE_INFINITY,
      2 ** 40,
      0.1,
      Math.fround(0.1),
      'ñ',
      5n,
      2n ** 60n,
    ],
    ...[
      2n ** 64n - 1n,
      2n ** 64n,
      -(2n ** 100n),
      [undefined],
      { a: undefined },
      new Date(Number.NaN),
      new Date(-1),
      /x/gi,
    ],
    new Map<unknown, unknown>([[1, 'a'], ['1', 'b'], [{ key: true }, new Map()]]), // biome-ignore format: short
    new Set([1, '1', new Set()]),
    JSON.parse('{"__proto__": {"a": 1}, "constructor": 2, "hasOwnProperty": 3}'),
    Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`key ${i}`, i])),
    ...[
      new Float64Array([1.5, -0]),
      new BigInt64Array([-1n]),
      new Uint8ClampedArray([300]),
      new DataView(new ArrayBuffer(3)),
    ],
    ...[
      new ArrayBuffer(5),
      Uint8Array.of(1),
      Buffer.from('bytes'),
      Buffer.alloc(70_000, 1),
      new Uint16Array(40_000).fill(7),
    ],
    Object.assign(new TypeError('wrong', { cause: new Error('inner') }), { code: 'ERR_X' }),
    new AggregateError([new RangeError('one')], 'all'),
    ...[
      'x'.repeat(31),
      'x'.repeat(32),
      'ñ'.repeat(16),
      'ñ'.repeat(130),
      'ñ'.repeat(33_000),
      '€'.repeat(22_000),
      'x'.repeat(255),
      'x'.repeat(65_536),
    ],
  ],
};
for (const [codec, values] of Object.entries(carried)) {
  test(`Codec ${codec}: carries ${values
    .map((value) => inspect(value, { depth: 1, breakLength: 1e6 }).slice(0, 20))
    .join(', ')
    .slice(0, 120)}`, () => {
    for (const value of values) {
      const result = carry(codec as Codec, value);
      assert.ok('arrived' in result, `${inspect(value)}: ${'refused' in result && result.refused.message}`);
      assert.ok(isSame(value, result.arrived), `${inspect(value)} has become ${inspect(result.arrived)}`);
    }
  });
}
test('Codec structured: what is met again, also within itself, is the same object there', () => {
  const cycle: { self?: unknown; twice: unknown[] } = { twice: [] };
  cycle.self = cycle;
  cycle.twice.push(cycle.twice, new Map([['cycle', cycle]]));
  const result = carry('structured', cycle);
  assert.ok('arrived' in result);
  const arrived = result.arrived as typeof cycle;
  assert.equal(arrived.self, arrived);
  assert.equal(arrived.twice[0], arrived.twice);
});

test('Codec: a function, a symbol or an instance of a class is refused by every codec, wherever it stands', () => {
  const wrong = [
    () => 1,
    Symbol('s'),
    new Point(),
    Promise.resolve(1),
    new WeakSet(),
    new SharedArrayBuffer(1),
    class {},
  ];
  for (const value of wrong) {
    for (const codec of ['bytes', 'text', 'json', 'structured', 'msgpack'] as const)
      assert.equal(path(codec, value), 'value');
    assert.match(path(record, value), /^value(\.id)?$/);
    for (const codec of ['json', 'structured', 'msgpack'] as const) {
      assert.equal(path(codec, { items: [1, 2, 3, { when: value }] }), 'value.items[3].when');
      assert.equal(path(codec, { 'a-b': { ñ1: value } }), 'value["a-b"].ñ1');
      assert.equal(path(codec, [[value]]), 'value[0][0]');
      assert.equal(path(codec, Object.assign(Object.create(null), { x: value })), 'value.x');
    }
    for (const codec of ['structured', 'msgpack'] as const) {
      assert.equal(path(codec, new Map([['key', { a: value }]])), "value.get('key').a");
      assert.equal(path(codec, new Map([[1, 1], [value, 2]] as never)), 'value.keys()[1]'); // biome-ignore format: short
      assert.equal(path(codec, { set: new Set([0, value]) }), 'value.set.values()[1]');
    }
  }
});
test('Codec: a circular value is refused where it cannot be carried, with where it begins anew', () => {
  const circle: Record<string, unknown> = { list: [1] };
  (circle.list as unknown[]).push({ back: circle.list });
  const self: unknown[] = [];
  self.push(self);
  for (const codec of ['json', 'msgpack'] as const) {
    assert.equal(path(codec, circle), 'value.list[1].back');
    assert.equal(path(codec, self), 'value[0]');
  }
  const map = new Map<string, unknown>();
  map.set('me', new Set([map]));
  assert.equal(path('msgpack', map), "value.get('me').values()[0]");
  const { refused } = carry('msgpack', circle) as { refused: NotEncodableError };
  assert.match(refused.message, /it refers back to value\.list, so the value is circular/);
});
test('Codec: values as deep as may be arrive, deeper ones are refused by the sender', () => {
  const wraps: [Codec[], (inner: unknown) => unknown][] = [
    [['json', 'structured', 'msgpack'], (inner) => [inner]],
    [['json', 'structured', 'msgpack'], (inner) => ({ inner })],
    [['structured', 'msgpack'], (inner) => new Map([[inner, 1]])],
    [['structured', 'msgpack'], (inner) => new Set([inner])],
  ];
  for (const [codecs, wrap] of wraps) {
    const nested = (depth: number) => {
      let value: unknown = 1;
      for (let i = 0; i < depth; i++) value = wrap(value);
      return value;
    };
    for (const codec of codecs) {
      assert.ok('arrived' in carry(codec, nested(500)));
      assert.match(path(codec, nested(501)), /^value.{50,}…/);
    }
  }
  // Each level holds the next one twice: whoever looks at all of it is not done in a lifetime.
  let twice: unknown = 1;
  for (let i = 0; i < 501; i++) twice = [twice, twice];
  for (const codec of ['json', 'structured', 'msgpack'] as const) path(codec, twice);
});
test('Codec: what only some codecs have is refused by the others, with its place', () => {
  for (const value of [
    undefined,
    -0,
    Number.NaN,
    1n,
    new Date(0),
    new Map(),
    new Uint8Array(1),
    Buffer.alloc(1),
    /x/,
  ]) {
    assert.equal(path('json', { value }), 'value.value');
  }
  assert.equal(path('json', { a: { toJSON: () => 1 } }), 'value.a');
  assert.equal(path('json', Object.assign([1], { x: 2 })), 'value.x');
  for (const codec of ['json', 'msgpack'] as const) {
    assert.equal(path(codec, { a: sparse }), 'value.a[1]');
    assert.equal(path(codec, [Object('boxed')]), 'value[0]');
    assert.equal(path(codec, { a: { [Symbol('s')]: 1 } }), 'value.a[Symbol(s)]');
  }
  assert.equal(path('msgpack', ['half \ud800']), 'value[0]');
  assert.equal(path('msgpack', { 'half \udc00': 1 }), 'value["half \\udc00"]');
  assert.equal(path('text', 'half \ud800'), 'value');
  assert.equal(path('structured', { a: [1, { b: new Proxy({}, {}) }] }), 'value.a[1].b');
  assert.equal(path('structured', { error: Object.assign(new Error('x'), { code: 1 }) }), 'value.error.code');
});
describe('Codec layout', () => {
  const inner = layout({ x: 'f32', y: 'u8' });
  const plan = layout({ id: 'u32', at: inner, all: { array: inner, length: 2 }, name: { utf8: 4 } });
  const good = { id: 1, at: { x: 0.5, y: 1 }, all: [{ x: 1, y: 2 }, { x: 3, y: 4 }], name: 'ab' }; // biome-ignore format: short

  test('Codec layout: fields of any value arrive equal, or the path of one that does not fit is told', () => {
    const plan = layout({ n: 'u8', i: 'i32', u: 'u64', d: 'f64', b: 'bool', t: { utf8: 6 }, r: { bytes: 2 } });
    const fitting = fc.record({
      n: fc.nat(255),
      i: fc.integer(),
      u: fc.bigInt(0n, 2n ** 64n - 1n),
      d: fc.double(),
      b: fc.boolean(),
      t: fc.string({ maxLength: 6 }),
      r: fc.uint8Array({ minLength: 2, maxLength: 2 }),
    });
    const field = fc.constantFrom('n', 'i', 'u', 'd', 'b', 't', 'r');
    fc.assert(
      fc.property(fitting, field, fc.option(leaf, { nil: 1, freq: 3 }), (base, name, other) => {
        const value = { ...base, [name]: other };
        const result = carry(plan, value);
        // C's whole numbers have no -0.
        const sent = Object.is(other, -0) && name !== 'd' ? { ...value, [name]: 0 } : value;
        if ('arrived' in result) assert.ok(isSame(sent, result.arrived), inspect([value, result.arrived]));
        else assert.ok(result.refused.path === `value.${name}` || base.t.includes('\0'), result.refused.message);
      }),
      { numRuns: 1500 },
    );
    const { arrived } = carry(layout({ x: 'f32' }), { x: 0.1 }) as { arrived: unknown };
    assert.deepEqual(arrived, { x: Math.fround(0.1) });
  });
  test('Codec layout: the path of the field that a value does not fit', () => {
    assert.ok('arrived' in carry(plan, good));
    assert.equal(path(plan, { ...good, id: -1 }), 'value.id');
    assert.equal(path(plan, { ...good, name: 'too long' }), 'value.name');
    assert.equal(path(plan, { ...good, at: { x: 0, y: 256 } }), 'value.at.y');
    assert.equal(path(plan, { ...good, all: [good.at, { x: '1', y: 1 }] }), 'value.all[1].x');
    assert.equal(path(plan, { ...good, all: [] }), 'value.all');
    assert.equal(path(plan, { id: 1 }), 'value.at');
    assert.equal(path(plan, null), 'value');
  });
});

test('Codec msgpack: a getter that encodes, and one that throws, spoil nothing', () => {
  const coder = coderOf<unknown>('msgpack');
  const inner = { text: 'x'.repeat(10_000) };
  const value = {
    before: 1,
    get got() {
      return Buffer.from(coder.encode(inner)).length;
    },
    after: 'y'.repeat(9000),
  };
  const bytes = coder.encode(value).slice();
  assert.deepEqual(coder.decode(bytes, 0, bytes.length), { before: 1, got: 10_009, after: value.after });
  const nasty = {
    a: [
      {
        get b(): never {
          throw new RangeError('mine');
        },
      },
    ],
  };
  for (const codec of ['msgpack', 'json', 'structured'] as const) {
    assert.throws(() => coderOf(codec).encode(nasty), { name: 'RangeError', message: 'mine' });
  }
});
