// Packs the package, installs the tarball into an empty project with scripts off, and uses it there as a stranger would:
// as ESM, through require, with its types, and as a command.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'vecino-package-'));
const run = (command, args, cwd = folder) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
try {
  const { name, version, exports: paths } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  run('npm', ['pack', '--silent', '--pack-destination', folder], root);
  const tarball = join(folder, `${name}-${version}.tgz`);
  const files = run('tar', ['-tzf', tarball]).split('\n');
  assert.ok(files.includes(`package/prebuilds/linux-${process.arch}/vecino.node`), 'the tarball has no prebuilt addon');
  for (const file of files)
    assert.doesNotMatch(
      file,
      /^package\/(test|bench|build|node_modules|src)\//,
      'the tarball holds what users do not need',
    );

  writeFileSync(join(folder, 'package.json'), '{ "name": "stranger", "private": true }');
  run('npm', ['install', '--silent', '--ignore-scripts', '--no-audit', '--no-fund', tarball]);
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
    `package check: ${name}-${version}.tgz installs without scripts and works as ESM, through require, typed, and as a command`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
