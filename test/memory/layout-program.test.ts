import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type FieldType, Layout, type LayoutFields, layout } from 'vecino/memory';
import { memoryOf } from '#src/memory/layout-memory.js';
import { compile } from '#src/memory/layout-program.js';
import { root, start, temporaryFolder, uniqueName } from '../support/processes.js';

/** A type and values that it takes. */
type Sample = { type: FieldType; value: fc.Arbitrary<unknown> };
const text = (size: number) =>
  fc
    .oneof(fc.constantFrom('', 'a', 'ab', 'one', 'two'), fc.string({ unit: 'grapheme', maxLength: size }))
    .filter((value) => Buffer.byteLength(value) <= size && !value.includes('\0'));
const leaf: fc.Arbitrary<Sample> = fc.oneof(
  fc.constantFrom(
    { type: 'u8' as const, value: fc.nat(255) },
    { type: 'i32' as const, value: fc.integer() },
    { type: 'u64' as const, value: fc.bigInt(0n, 2n ** 64n - 1n) },
    { type: 'f64' as const, value: fc.double({ noNaN: true }) },
    { type: 'bool' as const, value: fc.boolean() },
    { type: { atomic: 'i64' } as const, value: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) },
    { type: { bytes: 3 } as const, value: fc.uint8Array({ minLength: 3, maxLength: 3 }) },
  ),
  fc.integer({ min: 1, max: 40 }).map((size) => ({ type: { utf8: size }, value: text(size) })),
);
const sample: fc.Arbitrary<Sample> = fc.letrec<{ sample: Sample; record: Sample; array: Sample }>((tie) => ({
  sample: fc.oneof({ maxDepth: 2 }, leaf, tie('array'), tie('record')),
  array: fc.tuple(tie('sample'), fc.integer({ min: 1, max: 5 })).map(([{ type, value }, length]) => ({
    type: { array: type, length },
    value: fc.array(value, { minLength: length, maxLength: length }),
  })),
  record: fc.array(tie('sample'), { minLength: 1, maxLength: 4 }).map((samples) => ({
    type: layout(Object.fromEntries(samples.map(({ type }, i) => [`f${i}`, type]))),
    value: fc.record(Object.fromEntries(samples.map(({ value }, i) => [`f${i}`, value]))),
  })),
})).sample;
const records = fc.array(sample, { minLength: 1, maxLength: 6 }).chain((samples) => {
  const fields = Object.fromEntries(samples.map(({ type }, i) => [`f${i}`, type])) as LayoutFields;
  const value = fc.record(Object.fromEntries(samples.map(({ value: inner }, i) => [`f${i}`, inner])));
  return fc.tuple(fc.constant(fields), fc.array(value, { minLength: 1, maxLength: 5 }));
});

test('Layout: reads and writes what the fields one by one do, byte for byte, whatever the record', () => {
  let made = 0;
  fc.assert(
    fc.property(records, ([fields, values]) => {
      const plan = new Layout(fields);
      const program = compile(Layout.recordOf(plan));
      if (program === undefined) return;
      made++;
      const there = new Uint8Array(plan.byteLength + 16);
      const here = new Uint8Array(plan.byteLength + 16);
      // Twice: the second time texts are found.
      for (const value of [...values, ...values]) {
        program.write(memoryOf(there), 8, value);
        plan.write(here, 8, value as never);
        assert.deepEqual(there, here);
        assert.deepStrictEqual(program.read(memoryOf(there), 8), plan.read(here, 8));
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(made > 400, `${made} programs`);
});

test('Layout: random bytes read as the fields one by one read them', () => {
  const plan = layout({ a: { utf8: 4 }, b: { utf8: 32 }, c: { array: { utf8: 12 }, length: 2 }, d: 'bool', e: 'f32' });
  const program = compile(Layout.recordOf(plan))!;
  const bytes = fc.uint8Array({ minLength: plan.byteLength, maxLength: plan.byteLength });
  fc.assert(
    fc.property(
      fc.oneof(
        bytes,
        bytes.map((all) => all.map((byte) => (byte & 3 ? byte & 0x7f : 0))),
      ),
      (memory) => {
        for (let i = 0; i < 2; i++) assert.deepStrictEqual(program.read(memoryOf(memory), 0), plan.read(memory));
      },
    ),
    { numRuns: 2000 },
  );
});

test('Layout: many different texts, more than are kept, are each themselves', () => {
  const plan = layout({ name: { utf8: 16 }, tags: { array: { utf8: 8 }, length: 3 } });
  const program = compile(Layout.recordOf(plan))!;
  const memory = memoryOf(new ArrayBuffer(plan.byteLength));
  for (let i = 0; i < 20_000; i++) {
    const value = { name: `name ${i % 3000}`, tags: [`${i}`, `t${i % 300}`, i % 2 ? 'é' : ''] };
    program.write(memory, 0, value);
    assert.deepStrictEqual(program.read(memory, 0), value);
  }
});

test('Layout: values that a field refuses are the errors of the fields, also when a text was kept before', () => {
  const plan = layout({
    id: 'u32',
    name: { utf8: 8 },
    tags: { array: { utf8: 4 }, length: 2 },
    at: layout({ x: 'f64' }),
  });
  const program = compile(Layout.recordOf(plan))!;
  const memory = memoryOf(new ArrayBuffer(plan.byteLength));
  const good = { id: 1, name: 'name', tags: ['a', 'b'], at: { x: 1 } };
  program.write(memory, 0, good);
  const bad: [unknown, RegExp, string][] = [
    [null, /value/, 'ERR_INVALID_ARG_TYPE'],
    [5, /value/, 'ERR_INVALID_ARG_TYPE'],
    [{ ...good, id: -1 }, /'id'/, 'ERR_OUT_OF_RANGE'],
    [{ ...good, name: 'much too long' }, /'name'/, 'ERR_OUT_OF_RANGE'],
    [{ ...good, name: new String('name') }, /'name'/, 'ERR_INVALID_ARG_TYPE'],
    [{ ...good, name: 'a\0' }, /'name'/, 'ERR_INVALID_ARG_VALUE'],
    [{ ...good, tags: 'ab' }, /'tags'/, 'ERR_INVALID_ARG_TYPE'],
    [{ ...good, tags: ['a'] }, /'tags'/, 'ERR_OUT_OF_RANGE'],
    [{ ...good, tags: ['a', undefined] }, /'tags\[\]'/, 'ERR_INVALID_ARG_TYPE'],
    [{ ...good, at: undefined }, /'at'/, 'ERR_INVALID_ARG_TYPE'],
    [{ ...good, at: {} }, /'x'/, 'ERR_INVALID_ARG_TYPE'],
  ];
  for (const [value, message, code] of bad) {
    assert.throws(() => program.write(memory, 0, value), { message, code });
    assert.throws(() => plan.write(new ArrayBuffer(plan.byteLength), 0, value as never), { message, code });
  }
  program.write(memory, 0, good);
  assert.deepStrictEqual(program.read(memory, 0), good);
});

test('Layout: where no code may be made from strings there is none, and a channel carries records all the same', async () => {
  const program = `
    import { connect, layout, listen } from 'vecino';
    const point = layout({ x: 'f64', name: { utf8: 8 } });
    try { new Function(''); console.log('allowed'); } catch { console.log('forbidden'); }
    const name = process.argv.at(-1);
    const listener = await listen(name, { codec: point });
    const [a, b] = await Promise.all([listener.accept(), connect(name, { codec: point })]);
    await a.send({ x: 1.5, name: 'one' });
    console.log(JSON.stringify(await b.receive()));
    a.close();
    b.close();
    listener.close();`;
  const options = ['--disallow-code-generation-from-strings', '--input-type=module', '--eval', program, '--'];
  const { stdout, stderr } = await start(process.execPath, [...options, uniqueName()], {
    cwd: root,
    env: { ...process.env, VECINO_RUNTIME_DIR: temporaryFolder() },
  }).ended;
  assert.deepEqual([stdout, stderr], ['forbidden\n{"x":1.5,"name":"one"}\n', '']);
});
