import '../support/leaks.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root, runScript } from '../support/processes.js';

for (const [page, outputs] of [
  ['unix-socket.md', [/^hello \d+: first message\n$/, /^42\n$/, /^noon\n$/]],
  ['tcp.md', [/^ping\n$/]],
] as const) {
  test(`the examples of docs/${page} run`, async () => {
    const text = readFileSync(join(root, 'docs', page), 'utf8');
    const examples = [...text.matchAll(/```js\n(.*?)```/gs)].map((match) => match[1]!);
    assert.equal(examples.length, outputs.length);
    for (const [index, example] of examples.entries()) assert.match(await runScript(example), outputs[index]!);
  });
}
for (const [file, output] of [
  ['unix.ts', 'hello true\n'],
  ['tcp.ts', 'hello 127.0.0.1\n'],
] as const) {
  test(`the example in src/socket/${file} runs`, async () => {
    const text = readFileSync(join(root, 'src', 'socket', file), 'utf8');
    const example = /@example\n(.*?)\*\//s.exec(text)![1]!.replace(/^ \* ?/gm, '');
    assert.equal(await runScript(example), output);
  });
}
