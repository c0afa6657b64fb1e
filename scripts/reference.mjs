// Runs a script of reference/, whose tools have packages of their own; they are installed when they are missing or have changed.
//   node scripts/reference.mjs site | api [arguments]
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../reference', import.meta.url));
const installed = join(folder, 'node_modules', '.package-lock.json');
const lock = join(folder, 'package-lock.json');
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs)
  execFileSync('npm', ['ci', '--silent', '--no-audit', '--no-fund', '--ignore-scripts'], {
    cwd: folder,
    stdio: 'inherit',
  });
const [script, ...args] = process.argv.slice(2);
const { status } = spawnSync(process.execPath, [join(folder, `${script}.mjs`), ...args], { stdio: 'inherit' });
process.exit(status ?? 1);
