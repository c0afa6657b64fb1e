// Packs the package, installs the tarball into an empty project with scripts off, and uses it there as a stranger would:
// as ESM, through require, with its types, and as a command.
//   node scripts/check-package.mjs [TARBALL] [--offline]
// With TARBALL that one is checked instead of a new one. With --offline the one dependency comes from this checkout, not from the registry.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const offline = process.argv.includes('--offline');
const given = process.argv.slice(2).find((word) => word !== '--offline');
/** What a user looks for in the package, beside the code. */
const NEEDED = ['README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'docs/install.md', 'docs/images/overview.svg'];
const folder = mkdtempSync(join(tmpdir(), 'vecino-package-'));
const run = (command, args, cwd = folder) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
try {
  const { name, version, exports: paths } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  if (given === undefined) run('npm', ['pack', '--silent', '--pack-destination', folder], root);
  const tarball = given === undefined ? join(folder, `${name}-${version}.tgz`) : resolve(given);
  const files = run('tar', ['-tzf', tarball]).split('\n');
  assert.ok(files.includes(`package/prebuilds/linux-${process.arch}/vecino.node`), 'the tarball has no prebuilt addon');
  for (const file of NEEDED) assert.ok(files.includes(`package/${file}`), `the tarball has no ${file}`);
  for (const file of files)
    assert.doesNotMatch(
      file,
      /^package\/(test|bench|build|node_modules|src|examples|reference|site|api|\.)/,
      'the tarball holds what users do not need',
    );
  for (const file of files.filter((file) => file.startsWith('package/dist/') && !file.endsWith('/'))) {
    const source = file.replace('package/dist/', 'src/').replace(/(\.d)?\.[jt]s(\.map)?$/, '.ts');
    assert.ok(existsSync(join(root, source)), `the tarball has ${file}, whose source is gone`);
  }

  writeFileSync(join(folder, 'package.json'), '{ "name": "stranger", "private": true }');
  const source = offline ? ['--offline', join(root, 'node_modules', 'commander')] : [];
  run('npm', ['install', '--silent', '--ignore-scripts', '--no-audit', '--no-fund', ...source, tarball]);
  const installed = JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8'));
  assert.equal(installed.version, version, 'the tarball is of another version');
  const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'));
  for (const [path, entry] of Object.entries(lock.packages))
    assert.ok(!entry.hasInstallScript, `${path} has an install script`);

  const subpaths = Object.keys(paths)
    .filter((path) => path !== './package.json')
    .map((path) => name + path.slice(1));
  const use = `const memory = vecino.SharedMemory.anonymous(4096); new Uint8Array(memory.buffer)[0] = 7; memory.close(); console.log('works');`;
  writeFileSync(
    join(folder, 'esm.mjs'),
    `import * as vecino from '${name}';\n${subpaths.map((path) => `await import('${path}');`).join('\n')}\n${use}\n`,
  );
  writeFileSync(
    join(folder, 'common.cjs'),
    `const vecino = require('${name}');\n${subpaths.map((path) => `require('${path}');`).join('\n')}\n${use}\n`,
  );
  assert.equal(run(process.execPath, ['esm.mjs']), 'works\n');
  assert.equal(run(process.execPath, ['--no-warnings', 'common.cjs']), 'works\n');

  writeFileSync(
    join(folder, 'typed.mts'),
    `import { SharedMemory } from '${name}';\nusing memory: SharedMemory = SharedMemory.anonymous(1);\nexport const size: number = memory.size;\n`,
  );
  const tsc = join(root, 'node_modules', '.bin', 'tsc');
  const types = ['--typeRoots', join(root, 'node_modules', '@types'), '--types', 'node'];
  run(tsc, [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--lib',
    'es2023,esnext.disposable',
    ...types,
    'typed.mts',
  ]);

  const result = JSON.parse(run('npx', ['--no-install', 'vecino', 'copy', 'package.json', 'copy.json', '--json']));
  assert.equal(result.copiesPerByte, 2);
  console.log(
    `package check: ${name}-${version}.tgz (${files.length - 1} files) installs without scripts and works as ESM, through require, typed, and as a command`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
