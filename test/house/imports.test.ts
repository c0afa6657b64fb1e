import '../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/processes.js';

/** The rooms from the ground up: each may import from those below it, and from none beside it. */
const STOREYS = [
  ['system'],
  ['memory', 'lock-free'],
  ['sync', 'pipe', 'mailbox', 'socket', 'signal'],
  ['channel'],
  ['lab'],
  ['cli'],
  ['index.ts'],
];
/** The same within src/channel. */
const CHANNEL_STOREYS = [
  ['full-error.ts', 'loop.ts'],
  ['codec'],
  ['directory'],
  ['connection'],
  ['topic', 'queue', 'service'],
  ['discovery.ts'],
  ['index.ts'],
];
/** Who may go past a room's index.ts, and why. */
const DOORS = [
  // A message that is a layout is encoded by the layout's own generated code, which is nobody else's business.
  { from: 'channel/codec/record.ts', to: /^memory\/layout-/ },
  // connect() decides itself what keeps the program running, which the public unix.connect() does not offer.
  { from: 'channel/connection/connect.ts', to: /^socket\/unix\.ts$/ },
];

const source = join(root, 'src');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const imports = new Map(files.map((file) => [file, importsOf(file)]));

function importsOf(file: string): string[] {
  const text = readFileSync(join(source, file), 'utf8').replace(/\/\*.*?\*\//gs, '');
  const found = text.matchAll(/(?:from |import\(|^import )'(\.[^']+)'/gm);
  return [...found].map(([, path]) => relative(source, join(source, dirname(file), path!)).replace(/\.js$/, '.ts'));
}
function* arrows(): Iterable<[from: string, to: string]> {
  for (const [from, all] of imports) for (const to of all) yield [from, to];
}
const room = (file: string, depth = 0): string => file.split('/')[depth]!;
const storey = (storeys: string[][], name: string): number => {
  const found = storeys.findIndex((rooms) => rooms.includes(name));
  assert.notEqual(found, -1, `${name} stands on no storey: say in this test where`);
  return found;
};

test('Imports: every file that is imported is there', () => {
  for (const [from, to] of arrows()) assert.ok(imports.has(to), `${from} imports ${to}`);
  assert.ok([...arrows()].length > 500);
});

test('Imports: they point downwards only, from room to room', () => {
  const upwards = [...arrows()].filter(([from, to]) => {
    if (room(from) === room(to)) return false;
    return storey(STOREYS, room(from)) <= storey(STOREYS, room(to));
  });
  assert.deepEqual(upwards, []);
});

test('Imports: they point downwards only within the channels', () => {
  const upwards = [...arrows()].filter(([from, to]) => {
    if (room(from) !== 'channel' || room(to) !== 'channel' || room(from, 1) === room(to, 1)) return false;
    return storey(CHANNEL_STOREYS, room(from, 1)) <= storey(CHANNEL_STOREYS, room(to, 1));
  });
  assert.deepEqual(upwards, []);
});

test('Imports: no files form a circle, types included', () => {
  const done = new Set<string>();
  const visit = (file: string, path: string[]): void => {
    const seen = path.indexOf(file);
    if (seen >= 0) assert.fail([...path.slice(seen), file].join(' → '));
    if (done.has(file)) return;
    for (const next of imports.get(file)!) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
});

test('Imports: the algorithms in lock-free know neither promises, timers, descriptors nor Node', () => {
  const impure = files
    .filter((file) => room(file) === 'lock-free')
    .filter((file) => {
      const text = readFileSync(join(source, file), 'utf8').replace(/\/\*.*?\*\/|\/\/[^\n]*/gs, '');
      return /node:|\b(async|await|Promise|setTimeout|setImmediate|native)\b/.test(text);
    });
  assert.deepEqual(impure, []);
});

test('Imports: whoever comes from another room enters by its index.ts; the system and the algorithms are open to all', () => {
  const past = [...arrows()].filter(([from, to]) => {
    if (room(from) === room(to) || ['system', 'lock-free'].includes(room(to)) || to.endsWith('/index.ts')) return false;
    return !DOORS.some((door) => door.from === from && door.to.test(to));
  });
  assert.deepEqual(past, []);
});
