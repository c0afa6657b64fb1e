// Builds native/ into native/build/Release/vecino.node, unless that is newer than every source.
//
// With node-gyp, which needs Python and make; where either is missing, with the C compiler alone. The headers are those
// beside the running Node (every official archive has them), so nothing is downloaded; node-gyp fetches them otherwise.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const native = join(dirname(fileURLToPath(import.meta.url)), '..', 'native');
const target = join(native, 'build', 'Release', 'vecino.node');
const prefix = join(dirname(process.execPath), '..');
const headers = join(prefix, 'include', 'node');
const sources = readdirSync(native)
  .filter((name) => /\.(c|h|gyp)$/.test(name))
  .map((name) => join(native, name));

/** Its program; undefined in an installed package, which does not bring it. */
function nodeGyp() {
  try {
    return createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  } catch {
    return undefined;
  }
}
const runs = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
const newest = Math.max(...sources.map((path) => statSync(path).mtimeMs));
if (existsSync(target) && statSync(target).mtimeMs > newest && !process.argv.includes('--force')) process.exit(0);

const compiler = process.env.CC ?? ['cc', 'gcc', 'clang'].find(runs);
if (!compiler) {
  console.error(
    'vecino: no C compiler found. Install one (Debian, Ubuntu: apt-get install gcc; Fedora: dnf install gcc; Alpine: apk add build-base).',
  );
  process.exit(1);
}
const gyp = nodeGyp();
try {
  if (gyp !== undefined && runs('python3') && runs('make')) {
    const nodedir = existsSync(join(headers, 'node_api.h')) ? [`--nodedir=${prefix}`] : [];
    execFileSync(process.execPath, [gyp, 'rebuild', '--silent', ...nodedir], { cwd: native, stdio: 'inherit' });
  } else if (existsSync(join(headers, 'node_api.h'))) {
    mkdirSync(dirname(target), { recursive: true });
    const flags = [
      '-std=c11',
      '-O2',
      '-fPIC',
      '-shared',
      '-pthread',
      '-fvisibility=hidden',
      '-Wl,-z,nodelete',
      '-D_GNU_SOURCE',
      '-DNAPI_VERSION=8',
      `-I${headers}`,
    ];
    execFileSync(compiler, [...flags, ...sources.filter((path) => path.endsWith('.c')), '-o', target], {
      stdio: 'inherit',
    });
  } else {
    console.error(
      `vecino: neither Python 3 with make (for node-gyp) nor Node's headers (${headers}) are here. Install python3 and make.`,
    );
    process.exit(1);
  }
} catch (error) {
  console.error(`vecino: building the native addon failed: ${error.message}`);
  process.exit(1);
}
