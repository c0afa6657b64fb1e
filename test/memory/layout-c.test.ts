import '../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type FieldType, Layout, type LayoutFields, layout } from 'vecino/memory';
import { close, ftruncate, memfdCreate, mmap } from 'vecino/system';
import { memberNames } from '#src/memory/layout-c.js';
import { compile, root, runScript, start, temporaryFolder } from '../support/processes.js';

// Random layouts and values. A layout's types are kept beside it, to walk them.
type Values = Record<string, unknown>;
type Plan = { fields: LayoutFields; layout: Layout };
const plans = new WeakMap<Layout, Plan>();
function plan(fields: LayoutFields): Plan {
  const made = { fields, layout: layout(fields) as Layout };
  plans.set(made.layout, made);
  return made;
}
const names = fc.constantFrom(
  ...['a', 'b', 'c', 'd', 'e', 'f', 'count', 'price', 'id', 'value_', 'Point', '_x', 'inner'],
  ...[
    'int',
    'int_',
    'long',
    'class',
    'unix',
    'bool',
    'true',
    'NULL',
    '__LINE__',
    '_Bool',
    'INT32_MAX',
    'uint8_t',
    'name',
  ],
);
const { plan: anyPlan } = fc.letrec<{ type: FieldType; plan: Plan }>((tie) => ({
  type: fc.oneof(
    { depthSize: 'small', withCrossShrink: true, maxDepth: 3 },
    fc.constantFrom<FieldType>('u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'u64', 'i64', 'f32', 'f64', 'bool'),
    fc.record({ utf8: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ bytes: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ atomic: fc.constantFrom('i32', 'u32', 'i64', 'u64') }),
    fc.record({ array: tie('type'), length: fc.integer({ min: 1, max: 3 }) }),
    tie('plan').map((made) => made.layout),
  ),
  plan: fc
    .uniqueArray(fc.tuple(names, tie('type')), { minLength: 1, maxLength: 6, selector: ([name]) => name })
    .map((entries) => plan(Object.fromEntries(entries))),
}));

const numbers: Record<string, fc.Arbitrary<unknown>> = {
  u8: fc.nat(255),
  i8: fc.integer({ min: -128, max: 127 }),
  u16: fc.nat(65535),
  i16: fc.integer({ min: -32768, max: 32767 }),
  u32: fc.nat(4294967295),
  i32: fc.integer(),
  u64: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  i64: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  f32: fc.float(),
  f64: fc.double(),
  bool: fc.boolean(),
};
function fieldValue(type: FieldType): fc.Arbitrary<unknown> {
  if (typeof type === 'string') return numbers[type]!;
  if (type instanceof Layout) return recordValue(plans.get(type)!.fields);
  if ('atomic' in type) return numbers[type.atomic]!;
  if ('bytes' in type) return fc.uint8Array({ minLength: type.bytes, maxLength: type.bytes });
  if ('array' in type) return fc.array(fieldValue(type.array), { minLength: type.length, maxLength: type.length });
  return fc
    .string({ unit: 'grapheme', maxLength: type.utf8 })
    .map((text) => text.replaceAll('\0', '0'))
    .map((text) => {
      while (Buffer.byteLength(text) > type.utf8) text = [...text].slice(0, -1).join('');
      return text;
    });
}
function recordValue(fields: LayoutFields): fc.Arbitrary<Values> {
  const values = Object.entries(fields).map(([name, type]) => [name, fieldValue(type)]);
  return fc.record(Object.fromEntries(values), { noNullPrototype: true });
}
interface Case {
  plan: Plan;
  fromTypeScript: Values;
  fromC: Values;
}
const cases: fc.Arbitrary<Case> = anyPlan.chain((made) =>
  fc.record({ plan: fc.constant(made), fromTypeScript: recordValue(made.fields), fromC: recordValue(made.fields) }),
);

// The C side knows names and types only; every offset it uses is the compiler's.
interface Leaf {
  /** In C. */
  member: string;
  kind: string;
  value: unknown;
}
function leaves(type: FieldType, value: unknown, member: string): Leaf[] {
  if (typeof type === 'string') return [{ member, kind: type, value }];
  if (type instanceof Layout) return recordLeaves(plans.get(type)!.fields, value as Values, `${member}.`);
  if ('atomic' in type) return [{ member, kind: type.atomic, value }];
  if ('array' in type)
    return (value as unknown[]).flatMap((element, i) => leaves(type.array, element, `${member}[${i}]`));
  return [{ member, kind: 'utf8' in type ? 'utf8' : 'bytes', value }];
}
function recordLeaves(fields: LayoutFields, values: Values, prefix: string): Leaf[] {
  const entries = Object.entries(fields);
  const inC = memberNames(entries.map(([name]) => ({ name })));
  return entries.flatMap(([name, type], i) => leaves(type, values[name], prefix + inC[i]!));
}
const float = (size: 4 | 8, value: unknown): string => {
  const view = new DataView(new ArrayBuffer(size));
  if (size === 4) view.setFloat32(0, value as number);
  else view.setFloat64(0, value as number);
  return Buffer.from(view.buffer).toString('hex');
};
/** The line that C prints for a leaf. */
function printed({ kind, value }: Leaf): string {
  if (kind === 'f32' || kind === 'f64') return Number.isNaN(value) ? 'nan' : float(kind === 'f32' ? 4 : 8, value);
  if (kind === 'utf8' || kind === 'bytes') return `'${Buffer.from(value as string).toString('hex')}'`;
  return String(kind === 'bool' ? Number(value) : value);
}
function printing({ member, kind }: Leaf): string {
  if (kind === 'f32' || kind === 'f64') return `print_${kind}(p->${member});`;
  if (kind === 'utf8') return `print_bytes(p->${member}, strnlen(p->${member}, sizeof p->${member}));`;
  if (kind === 'bytes') return `print_bytes(p->${member}, sizeof p->${member});`;
  return kind.startsWith('i')
    ? `printf("%" PRId64 "\\n", (int64_t)p->${member});`
    : `printf("%" PRIu64 "\\n", (uint64_t)p->${member});`;
}
function assigning({ member, kind, value }: Leaf): string {
  if (kind === 'f32' || kind === 'f64') return `q->${member} = ${kind}_of(0x${float(kind === 'f32' ? 4 : 8, value)}u);`;
  if (kind === 'utf8' || kind === 'bytes') {
    const bytes = [...Buffer.from(value as string)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`);
    return `memcpy(q->${member}, "${bytes.join('')}", ${bytes.length});`;
  }
  if (kind === 'bool') return `q->${member} = ${value};`;
  return `q->${member} = (${kind.replace(/^u/, 'uint').replace(/^i(?=\d)/, 'int')}_t)UINT64_C(${BigInt.asUintN(64, BigInt(value as number))});`;
}
const HEAD = `#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
static float f32_of(uint32_t bits) { float value; memcpy(&value, &bits, 4); return value; }
static double f64_of(uint64_t bits) { double value; memcpy(&value, &bits, 8); return value; }
static void print_f32(float value) { uint32_t bits; memcpy(&bits, &value, 4); if (isnan(value)) puts("nan"); else printf("%08" PRIx32 "\\n", bits); }
static void print_f64(double value) { uint64_t bits; memcpy(&bits, &value, 8); if (isnan(value)) puts("nan"); else printf("%016" PRIx64 "\\n", bits); }
static void print_bytes(const void *start, size_t length) {
  putchar('\\'');
  for (size_t i = 0; i < length; i++) printf("%02x", ((const unsigned char *)start)[i]);
  puts("'");
}
`;
/** Prints what it finds in the first half of each record's place, and writes the second. */
function program(all: readonly Case[], places: readonly number[], size: number): string {
  const structs = all.map(({ plan }, i) => plan.layout.toC(`s${i}`, { includes: false }));
  const blocks = all.map(({ plan, fromTypeScript, fromC }, i) => {
    const inC = memberNames(Object.keys(plan.fields).map((name) => ({ name })));
    return `static void f${i}(struct s${i} *p, struct s${i} *q) {
  printf("%zu %zu", sizeof(struct s${i}), _Alignof(struct s${i}));
  ${inC.map((name) => `printf(" %zu", offsetof(struct s${i}, ${name}));`).join('\n  ')}
  puts("");
  ${recordLeaves(plan.fields, fromTypeScript, '').map(printing).join('\n  ')}
  ${recordLeaves(plan.fields, fromC, '').map(assigning).join('\n  ')}
}`;
  });
  const calls = all.map(
    (_, i) => `f${i}((void *)(memory + ${places[i]}), (void *)(memory + ${places[i]! + size / 2}));`,
  );
  return `${HEAD}${structs.join('\n')}\n${blocks.join('\n')}
int main(void) {
  unsigned char *memory = mmap(NULL, ${size}, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
  if (memory == MAP_FAILED) return 1;
  ${calls.join('\n  ')}
  return 0;
}
`;
}

test('Layout: C and TypeScript agree on every offset, and each reads what the other wrote, for random layouts', {
  timeout: 300_000,
}, async () => {
  const folder = temporaryFolder();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(cases, { minLength: 40, maxLength: 40 }), async (all) => {
      let end = 0;
      const places = all.map(({ plan }) => {
        const place = end;
        end += Math.ceil(plan.layout.byteLength / 8) * 8;
        return place;
      });
      const size = Math.ceil((end * 2) / 8192) * 8192;
      const fd = memfdCreate('layout-c');
      ftruncate(fd, size);
      const memory = mmap(fd, size);
      try {
        for (const [i, { plan, fromTypeScript }] of all.entries()) {
          plan.layout.write(memory, places[i]!, fromTypeScript as never);
        }
        const path = compile(folder, `layouts${run++}`, program(all, places, size), ['-Wno-unused-function']);
        const outcome = await start(path, [], { stdio: ['ignore', 'pipe', 'pipe', fd] }).ended;
        assert.equal(outcome.code, 0, outcome.stderr);
        const expected = all.flatMap(({ plan, fromTypeScript }) => [
          [plan.layout.byteLength, plan.layout.alignment, ...plan.layout.fields.map(({ offset }) => offset)].join(' '),
          ...recordLeaves(plan.fields, fromTypeScript, '').map(printed),
        ]);
        assert.deepEqual(outcome.stdout.trimEnd().split('\n'), expected);
        for (const [i, { plan, fromC }] of all.entries()) {
          const place = places[i]! + size / 2;
          assert.deepEqual(plan.layout.read(memory, place), fromC);
          const copy = new Uint8Array(plan.layout.byteLength);
          plan.layout.write(copy, 0, plan.layout.at(memory, place) as never);
          assert.deepEqual(Buffer.from(memory.buffer, place, copy.length), Buffer.from(copy.buffer), 'bytes');
        }
      } finally {
        memory.unmap();
        close(fd);
      }
    }),
    { numRuns: 4, endOnFailure: process.env['CI'] !== undefined },
  );
});

test('Layout: toC() gives a piece of a header that compiles alone, without a warning, as C11 and C++23', () => {
  const folder = temporaryFolder();
  const strict = ['-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fsyntax-only'];
  const compilers = [
    ['cc', '-std=c11', '-xc'],
    ['cc', '-std=gnu11', '-xc'],
    ['c++', '-std=c++23', '-xc++'],
  ] as const;
  // Every macro that the compiler or our includes define, and every keyword, as the name of a field.
  const headers = join(folder, 'headers.h');
  writeFileSync(headers, layout({ a: 'bool', b: { atomic: 'u32' } }).toC('all'));
  const macros = execFileSync('cc', ['-std=gnu11', '-dM', '-E', headers], { encoding: 'utf8' });
  const found = [...macros.matchAll(/^#define (\w+) /gm)].map((match) => match[1]!);
  assert.ok(found.includes('linux') && found.includes('INT32_MAX'));
  const keywords =
    'int double register restrict auto _Atomic _Bool alignas nullptr typeof class new this template xor'.split(' ');
  const odd = layout(Object.fromEntries([...found, ...keywords].map((name) => [name, 'u8'])));
  const point = layout({ x: 'f64', y: 'f64', class: 'u8' });
  const line = layout({ from: point, to: point, via: { array: { array: point, length: 2 }, length: 3 } });
  const everything = layout({
    flag: 'bool',
    text: { utf8: 3 },
    data: { bytes: 3 },
    hits: { array: { atomic: 'i64' }, length: 2 },
    line,
    lines: { array: line, length: 2 },
  });
  for (const [i, one] of [odd, point, line, everything].entries()) {
    const header = join(folder, `header${i}.h`);
    writeFileSync(header, (one as Layout).toC('record'));
    for (const [compiler, ...flags] of compilers) {
      if (spawnSync(compiler, ['--version']).error) continue; // C++ is not on every machine that has C
      const { status, stderr } = spawnSync(compiler, [...flags, ...strict, header], { encoding: 'utf8' });
      assert.equal(status, 0, `${compiler} ${flags.join(' ')}\n${stderr}`);
    }
  }
});

test('Layout: toC() names structs after where they are first used, and never uses a name twice', () => {
  const point = layout({ x: 'u8' });
  const other = layout({ x: 'u16' });
  const nested = layout({ b: layout({ c: point }), b_c: other, again: point });
  assert.deepEqual(nested.toC('a', { includes: false }).match(/struct \w+ \{/g), [
    'struct a_b_c {',
    'struct a_b {',
    'struct a_b_c_ {',
    'struct a {',
  ]);
  assert.match(nested.toC('a'), /struct a_b_c again;/);
  assert.match(layout({ int: 'u8', int_: 'u8' }).toC('a'), /uint8_t int__; .*"int" in TypeScript.*\n {2}uint8_t int_;/);
});

test('Layout: toC() refuses a name that no struct can have', () => {
  const one = layout({ a: 'u8' });
  for (const name of [
    '',
    '1a',
    'a-b',
    'a b',
    'int',
    'class',
    'linux',
    '__a',
    '_Atomic',
    'a;',
    'a\n',
    'é',
    'INT8_MAX',
  ]) {
    assert.throws(() => one.toC(name), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }, name);
  }
  for (const name of [undefined, null, 5, {}]) {
    assert.throws(() => one.toC(name as never), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
});

test('Layout: an atomic field and C count together without losing one', { timeout: 60_000 }, async () => {
  const shared = layout({ start: { atomic: 'u32' }, hits: { atomic: 'u64' } });
  const path = compile(
    temporaryFolder(),
    'count',
    `${shared.toC('shared')}
#include <stddef.h>
#include <sys/mman.h>
int main(void) {
  struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
  if (s == MAP_FAILED) return 1;
  s->start = 1;
  for (int i = 0; i < 300000; i++) s->hits++;
  return 0;
}
`,
  );
  const fd = memfdCreate('layout-atomic');
  ftruncate(fd, 4096);
  const memory = mmap(fd, 4096);
  const { start: started, hits } = shared.at(memory);
  const peer = start(path, [], { stdio: ['ignore', 'pipe', 'pipe', fd] });
  while (started.load() === 0) await new Promise(setImmediate);
  for (let i = 0; i < 300_000; i++) hits.add(1n);
  assert.equal((await peer.ended).code, 0);
  assert.equal(hits.load(), 600_000n);
  memory.unmap();
  close(fd);
});

test('Layout: the page shows what toC() prints', async () => {
  const page = readFileSync(join(root, 'docs', 'layout.md'), 'utf8');
  const source = [...page.matchAll(/^```ts\n(.*?)^```/gms)]
    .map((match) => match[1]!)
    .find((one) => one.includes('toC('))!;
  const shown = page.match(/^```c\n(.*?)^```/ms)![1]!;
  assert.equal(await runScript(source), shown);
});
