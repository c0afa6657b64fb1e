import '../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root, temporaryFolder } from '../support/processes.js';

/** Compiles a program that uses the package as it is published, by that compiler. */
function compile(compiler: string, source: string, skipLibCheck: boolean): void {
  const folder = temporaryFolder();
  const packages = join(folder, 'node_modules');
  mkdirSync(packages);
  symlinkSync(root, join(packages, 'vecino'));
  symlinkSync(join(root, 'node_modules', '@types'), join(packages, '@types'));
  cpSync(join(root, 'test', 'types', 'consumer', source), join(folder, source));
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2022', 'esnext.disposable'],
    module: 'nodenext',
    moduleResolution: 'nodenext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [source] }));
  try {
    execFileSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' });
  } catch (error) {
    assert.fail(String((error as { stdout: string }).stdout));
  }
}
const current = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const oldest = join(root, 'test', 'types', 'typescript-5.2', 'node_modules', 'typescript', 'bin', 'tsc');

for (const skipLibCheck of [true, false]) {
  const how = skipLibCheck ? 'with skipLibCheck' : 'whose declarations are checked';
  test(`Types: a program ${how} infers values from codecs, and contradictions do not compile`, () =>
    compile(current, 'current.mts', skipLibCheck));
  test(`Types: a program ${how} compiles with TypeScript 5.2`, (t) => {
    if (!existsSync(oldest)) return t.skip('it is not installed: npm ci'); // a folder of node_modules from before
    const { version } = JSON.parse(readFileSync(join(oldest, '..', '..', 'package.json'), 'utf8'));
    assert.match(version, /^5\.2\./);
    compile(oldest, 'oldest.mts', skipLibCheck);
  });
}
