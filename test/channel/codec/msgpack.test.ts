import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { Packr, Unpackr } from 'msgpackr';
import { MsgpackCoder } from '#src/channel/codec/msgpack/index.js';
import { anything, isSame } from './values.js';

const coder = new MsgpackCoder();
const decode = (...bytes: number[]) => coder.decode(Uint8Array.from(bytes), 0, bytes.length);
const encode = (value: unknown) => Uint8Array.from(coder.encode(value));

/** As JSON has them, and dates and bytes. No -0, of which that library makes 0. */
const common = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.integer(),
      fc.double({ noNaN: true }).map((x) => x || 0),
      fc.boolean(),
      fc.constant(null),
    ),
    fc.oneof(fc.uint8Array(), fc.date({ noInvalidDate: true }), fc.string({ minLength: 30, maxLength: 300 })),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 20, noNullPrototype: true }),
  ),
})).value;

test('MessagePack: another library reads what is sent, and what that writes is received', () => {
  const reader = new Unpackr({ useRecords: false, copyBuffers: true } as never);
  const writer = new Packr({ useRecords: false, variableMapSize: true });
  fc.assert(
    fc.property(common, (value) => {
      if (JSON.stringify(value)?.includes('__proto__')) return; // which that library renames
      assert.ok(isSame(value, reader.unpack(encode(value))));
      const packed = writer.pack(value);
      assert.deepEqual(coder.decode(packed, 0, packed.length), value);
    }),
    { numRuns: 500 },
  );
  const extended = { map: new Map([[1, 2]]), set: new Set(['a']), error: new Error('x'), after: 1 };
  const unknown = new Unpackr({ useRecords: false });
  assert.throws(() => unknown.unpack(encode(extended)), /nknown extension/); // which it could pass over
});
test('MessagePack: what other languages write: integers of 64 bits are bigints, a map whose keys are no strings is a Map', () => {
  assert.equal(decode(0xcf, 0, 0, 0, 1, 0, 0, 0, 0), 2n ** 32n);
  assert.equal(decode(0xd3, 255, 255, 255, 255, 255, 255, 255, 255), -1n);
  assert.equal(decode(0xca, 0x3f, 0x80, 0, 0), 1);
  assert.deepEqual(decode(0x82, 0xa1, 97, 1, 2, 0x81, 0xc0, 3), new Map<unknown, unknown>([['a', 1], [2, new Map([[null, 3]])]])); // biome-ignore format: short
  const object = decode(0x81, 0xa9, ...Buffer.from('__proto__'), 0x80) as object;
  assert.deepEqual(Object.keys(object), ['__proto__']);
  assert.equal(Object.getPrototypeOf(object), Object.prototype);
  assert.deepEqual(
    decode(0xd7, 0xff, ...Buffer.from((999_000_000 * 4).toString(16), 'hex'), 0, 0, 0, 1),
    new Date(1999),
  );
  assert.deepEqual(decode(0xde, 0, 1, 0xd9, 1, 97, 0xdc, 0, 1, 0xcc, 200), { a: [200] });
});
test('MessagePack: bytes that are no value are an error: none reads beyond its end, allocates for what is not there, or goes deeper than may be', () => {
  const nothing: number[][] = [
    [],
    [0xc1],
    [1, 2],
    [0x91],
    [0xa5, 97],
    [0xdd, 0xff, 0xff, 0xff, 0xff],
    [0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 97, 1],
    [0xdb, 0xff, 0xff, 0xff, 0xff],
    [0xc6, 0x7f, 0xff, 0xff, 0xff],
    [0xcb, 1, 2, 3],
    [0xcd, 1],
    [0xc7, 5, 109, 1],
    [0xd4, 33, 0],
    [0xd4, 116, 99],
    [0xc7, 0, 116],
    [0xc7, 3, 0xff, 1, 2, 3],
    [0xc7, 1, 109, 1], // a key without its value
    [0x92, 0xc7, 1, 115, 0x91, 1], // a set whose array goes on behind it
    [0xc7, 6, 120, 0xa1, 40, 0xa0, 0xa0, 0xa0, 0xa0],
    [0xc7, 2, 101, 1, 1],
    [0xc7, 4, 101, 0xa1, 69, 0xc0, 0x80],
    new Array(600).fill(0x91).concat([1]),
    new Array(600).fill(0).flatMap(() => [0xc9, 0, 0, 0xff, 0xff, 115]),
  ];
  for (const bytes of nothing) {
    const memory = Uint8Array.from([...bytes, ...new Array(64).fill(1)]);
    assert.throws(() => coder.decode(memory, 0, bytes.length), Error, Buffer.from(bytes.slice(0, 20)).toString('hex'));
  }
  const spoilt = fc.tuple(anything, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }));
  fc.assert(
    fc.property(spoilt, fc.boolean(), ([value, changes], cut) => {
      let bytes: Uint8Array;
      try {
        bytes = encode(value);
      } catch {
        return;
      }
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      try {
        coder.decode(bytes, 0, cut ? bytes.length >> 1 : bytes.length);
      } catch (error) {
        assert.ok(error instanceof Error);
      }
      assert.deepEqual(decode(0x91, 7), [7], 'the next one is whole');
    }),
    { numRuns: 1000 },
  );
});
test('MessagePack: objects of another realm are what they are there, and arrive as those of this one', () => {
  const foreign = runInNewContext(
    `({ list: [1, new Map([[1, new Set([2])]]), new Date(5), /x/g, new Uint8Array(2), new TypeError('t'), new DataView(new ArrayBuffer(1))] })`,
  );
  const bytes = encode(foreign);
  const { list } = coder.decode(bytes, 0, bytes.length) as { list: unknown[] };
  assert.deepEqual(
    list.slice(1).map((each) => Object.getPrototypeOf(each)),
    [Map, Date, RegExp, Uint8Array, TypeError, DataView].map((each) => each.prototype),
  );
  for (const source of [
    'new (class Own {})()',
    'new (class extends Map {})()',
    'new (class extends Array {})()',
    'Object.create({})',
  ]) {
    assert.throws(() => encode([runInNewContext(source)]), { path: 'value[0]' });
  }
  assert.throws(() => encode([runInNewContext('new (class Own extends TypeError {})()')]), { path: 'value[0]' });
});
test('MessagePack: properties that the prototype of all objects was given are none of a value', () => {
  Object.defineProperty(Object.prototype, 'spoilt', { value: 1, enumerable: true, configurable: true });
  try {
    const bytes = encode({ a: 1 });
    assert.deepEqual([...bytes], [0x81, 0xa1, 97, 1]);
  } finally {
    Reflect.deleteProperty(Object.prototype, 'spoilt');
  }
});
test('MessagePack: what was encoded for one long value is not kept', () => {
  const long = coder.encode('x'.repeat(2 ** 22));
  assert.ok(coder.encode(1).buffer.byteLength < 2 ** 20);
  assert.equal(long.length, 2 ** 22 + 5);
});

/** Decodes `bytes` of a peer in a thread that has 100 MB. */
async function decodeInLittle(bytes: Uint8Array): Promise<string> {
  const program = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.module).then(({ MsgpackCoder }) => {
      let told = 'decoded';
      try { globalThis.kept = new MsgpackCoder().decode(workerData.bytes, 0, workerData.bytes.length); }
      catch (error) { told = error.message; }
      parentPort.postMessage(told);
    });`;
  const workerData = { bytes, module: import.meta.resolve('#src/channel/codec/msgpack/index.js') };
  const worker = new Worker(program, { eval: true, workerData, resourceLimits: { maxOldGenerationSizeMb: 100 } });
  try {
    return await new Promise<string>((resolve, reject) => worker.on('message', resolve).on('error', reject));
  } finally {
    await worker.terminate();
  }
}
test('MessagePack: arrays within arrays that each claim all that is left are refused before they have memory', async () => {
  const bytes = Buffer.alloc(1 << 20, 0xc0);
  for (let at = 0; at < 5 * 400; at += 5) {
    bytes[at] = 0xdd;
    bytes.writeUInt32BE(bytes.length - at - 5, at + 1);
  }
  assert.equal(await decodeInLittle(bytes), 'the message ends in the middle of a value');
});
for (const [kind, one] of [
  ['objects', [0x81, 0xa4, 0x31, 0x30, 0x32, 0x33, 0xc0]],
  ['errors', [0xc7, 0x0e, 0x65, 0xa5, 0x45, 0x72, 0x72, 0x6f, 0x72, 0x80, 0x81, 0xa4, 0x31, 0x30, 0x32, 0x33, 0xc0]],
] as const) {
  test(`MessagePack: ${kind} whose only property is a large index do not have memory for those below`, async () => {
    const count = 20_000;
    const bytes = Buffer.concat([
      Buffer.from([0xdc, count >> 8, count & 0xff]),
      ...Array(count).fill(Buffer.from(one)),
    ]);
    assert.equal(await decodeInLittle(bytes), 'decoded');
    const value = coder.decode(Buffer.from(one), 0, one.length) as Record<number, unknown>;
    assert.deepEqual(Object.entries(value), [['1023', null]]);
  });
}

test('MessagePack: texts and keys that differ in one byte anywhere are told apart, however often they come', () => {
  const texts = ['', '__proto__', 'ñ', '€', '\u{1f980}', '0', '00', '007', '4294967294'];
  for (let length = 1; length <= 40; length++) {
    const text = 'abcdefgh'.repeat(5).slice(0, length);
    texts.push(text, `${text.slice(0, -1)}é`);
    for (let i = 0; i < length; i++) {
      for (const other of ['x', '\0', '\x7f']) texts.push(text.slice(0, i) + other + text.slice(i + 1));
    }
  }
  const arrives = (text: string) => {
    const value = { [text]: text, list: [text] };
    const bytes = coder.encode(value).slice();
    const copy = coder.decode(bytes, 0, bytes.length) as typeof value;
    assert.deepEqual(Object.entries(copy), Object.entries(value));
  };
  for (let round = 0; round < 3; round++) {
    for (const text of texts) {
      arrives(text);
      if (round === 1) for (let again = 0; again < 3; again++) arrives(text);
    }
  }
});
