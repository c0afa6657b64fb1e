// Puts the addon that was just built where the package ships it, prebuilds/linux-ARCH[-musl]/; --clean takes it away again,
// so that a clone always loads its own build.
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const prebuilds = join(root, 'prebuilds');
if (process.argv.includes('--clean')) {
  rmSync(prebuilds, { recursive: true, force: true });
} else {
  const musl = process.report.getReport().header.glibcVersionRuntime === undefined ? '-musl' : '';
  const folder = join(prebuilds, `linux-${process.arch}${musl}`);
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(root, 'native', 'build', 'Release', 'vecino.node'), join(folder, 'vecino.node'));
}
