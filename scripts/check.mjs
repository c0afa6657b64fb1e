// Everything that must hold before a change lands, short of other machines and other versions of Node. CI runs this too.
//   npm run check                    all steps, also behind one that fails
//   npm run check -- lint types      these steps alone
//   npm run check -- --list          their names
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const npm = (...args) => ['npm', ...args];
/** The site and the API reports come before the tests, which look at them; the package comes last because it is made of all. */
const STEPS = {
  build: npm('run', '--silent', 'build'),
  api: npm('run', '--silent', 'api', '--', '--check'),
  site: npm('run', '--silent', 'site'),
  test: npm('test'),
  lint: npm('run', '--silent', 'lint'),
  types: npm('run', '--silent', 'types'),
  package: [process.execPath, join(root, 'scripts', 'check-package.mjs')],
};

const args = process.argv.slice(2);
if (args.includes('--list')) {
  console.log(Object.keys(STEPS).join('\n'));
  process.exit(0);
}
const unknown = args.filter((name) => !Object.hasOwn(STEPS, name));
if (unknown.length > 0) {
  console.error(`check: there is no step '${unknown[0]}'; the steps are ${Object.keys(STEPS).join(', ')}`);
  process.exit(2);
}

const seconds = (from) => `${((performance.now() - from) / 1000).toFixed(1)} s`;
const results = [];
for (const [name, [command, ...rest]] of Object.entries(STEPS)) {
  if (args.length > 0 && !args.includes(name)) continue;
  console.log(
    `\n== ${name}: ${[command === process.execPath ? 'node' : command, ...rest].join(' ').replaceAll(root, '')}`,
  );
  const from = performance.now();
  const { status, signal, error } = spawnSync(command, rest, { cwd: root, stdio: 'inherit' });
  const outcome = status === 0 ? 'ok' : `FAILED (${error?.message ?? signal ?? `exit code ${status}`})`;
  results.push({ name, ok: status === 0, line: `${name.padEnd(8)} ${seconds(from).padStart(9)}  ${outcome}` });
}
const failed = results.filter(({ ok }) => !ok);
console.log(`\n== summary\n${results.map(({ line }) => line).join('\n')}`);
console.log(failed.length === 0 ? 'Everything holds.' : `Failed: ${failed.map(({ name }) => name).join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);
