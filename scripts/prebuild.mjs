// Puts the addon that was just built where the package ships it, prebuilds/linux-ARCH[-musl]/; --clean takes it away again,
// so that a clone always loads its own build. And takes out of dist/ what was compiled from sources that are gone: it would be packed.
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const prebuilds = join(root, 'prebuilds');
if (process.argv.includes('--clean')) {
  rmSync(prebuilds, { recursive: true, force: true });
} else {
  const dist = join(root, 'dist');
  for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
    const source = file.replace(/(\.d)?\.[jt]s(\.map)?$/, '.ts');
    if (!existsSync(join(root, 'src', source))) rmSync(join(dist, file), { recursive: true, force: true });
  }
  const musl = process.report.getReport().header.glibcVersionRuntime === undefined ? '-musl' : '';
  const folder = join(prebuilds, `linux-${process.arch}${musl}`);
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(root, 'native', 'build', 'Release', 'vecino.node'), join(folder, 'vecino.node'));
}
