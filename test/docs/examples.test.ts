import '../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { after, test } from 'node:test';
import { root, start, temporaryFolder } from '../support/processes.js';

/** A piece of code that users will copy, from a page or a doc comment. */
interface Example {
  from: string;
  code: string;
}

/** The `ts` blocks of a text; in doc comments each line begins with ` * `. */
function blocks(path: string): Example[] {
  const text = readFileSync(path, 'utf8').replaceAll(/^[ \t]*\* ?/gm, path.endsWith('.ts') ? '' : '$&');
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => ({
    from: `${relative(root, path)}:${text.slice(0, match.index).split('\n').length}`,
    code: match[1]!,
  }));
}
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => join('docs', name))].filter((name) =>
  name.endsWith('.md'),
);
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join('src', name));
const examples = [...pages, ...sources]
  .map((name) => join(root, name))
  .filter(existsSync)
  .flatMap(blocks)
  .filter(({ code }) => code.includes("from 'vecino"));

// Inside the checkout, so that 'vecino' and the types of Node are found.
const folder = join(root, 'build', `examples-${process.pid}`);
mkdirSync(folder, { recursive: true });
after(() => rmSync(folder, { recursive: true, force: true }));
process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const name = (index: number) => `example-${index}`;
for (const [index, { code }] of examples.entries())
  writeFileSync(join(folder, `${name(index)}.mts`), `${code}\nexport {};\n`);
writeFileSync(
  join(folder, 'tsconfig.json'),
  JSON.stringify({
    extends: '../../tsconfig.base.json',
    compilerOptions: {
      composite: false,
      declaration: false,
      declarationMap: false,
      noUnusedLocals: false,
      rootDir: '.',
      outDir: 'out',
    },
    include: ['*.mts'],
  }),
);

test('Documents: the examples of the pages and doc comments compile', () => {
  try {
    execFileSync(join(root, 'node_modules', '.bin', 'tsc'), ['-p', folder], { encoding: 'utf8' });
  } catch (error) {
    const output = String((error as { stdout: string }).stdout).replaceAll(
      /example-(\d+)\.mts/g,
      (_, index) => examples[Number(index)]!.from,
    );
    assert.fail(output);
  }
});

for (const [index, { from, code }] of examples.entries()) {
  test(`Documents: the example at ${from} runs and prints what it says`, { timeout: 60_000 }, async () => {
    const {
      code: status,
      stdout,
      stderr,
    } = await start(process.execPath, [join(folder, 'out', `${name(index)}.mjs`)], { cwd: folder }).ended;
    assert.equal(status, 0, stderr);
    const lines = stdout.split('\n');
    for (const [, said] of code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)) {
      assert.ok(lines.includes(said!.trim()), `'${said}' was promised; printed was:\n${stdout}`);
    }
  });
}
