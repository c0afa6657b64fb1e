/** Runs an example as a user does: in a folder of its own, with the package installed, compiled by `tsc`. */
import { execFileSync, type SpawnOptions } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Running, root, start, temporaryFolder } from '../support/processes.js';

export interface Example {
  readonly folder: string;
  /** Starts one of its programs, in channels of its own: `node dist/…`, as the README says. */
  run(program: string, args?: readonly string[], environment?: NodeJS.ProcessEnv, options?: SpawnOptions): Running;
}
/** Copies the example, installs its packages and compiles it. */
export function install(name: string): Example {
  const folder = join(temporaryFolder(), name);
  const ignored = new Set(['node_modules', 'dist']); // of somebody who has tried the example in the checkout
  cpSync(join(root, 'examples', name), folder, { recursive: true, filter: (path) => !ignored.has(basename(path)) });
  const packages = join(folder, 'node_modules');
  mkdirSync(packages);
  symlinkSync(root, join(packages, 'vecino'));
  for (const other of ['@types', 'typescript']) symlinkSync(join(root, 'node_modules', other), join(packages, other));
  try {
    execFileSync(process.execPath, [join(packages, 'typescript', 'bin', 'tsc')], { cwd: folder, encoding: 'utf8' });
  } catch (error) {
    throw new Error(`${name} does not compile\n${(error as { stdout: string }).stdout}`);
  }
  const channels = temporaryFolder();
  return {
    folder,
    run: (program, args = [], environment = {}, options = {}) =>
      start(process.execPath, [join('dist', program), ...args], {
        cwd: folder,
        env: { ...process.env, VECINO_RUNTIME_DIR: channels, ...environment },
        ...options,
      }),
  };
}
/** Reads lines until one matches; the groups of the match. */
export async function lineLike(running: Running, pattern: RegExp): Promise<string[]> {
  for (;;) {
    const match = pattern.exec(await running.line());
    if (match !== null) return match.slice(1);
  }
}
