// @ts-check
/** Compiles the programs of c/, and tells what is missing on this machine for one. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const sources = fileURLToPath(new URL('../c/', import.meta.url));

export const compiler = process.env.CC ?? 'cc';

/** The name of a compiled program in `programs`. @param {import('./row.js').Program} program @param {number} size */
export const programKey = ({ source, fixedSize = false }, size) => (fixedSize ? `${source} ${size}` : source);

/** @param {string} source @returns {[command: string, standard: string]} */
function compilerOf(source) {
  return source.endsWith('.c') ? [compiler, '-std=c11'] : [process.env.CXX ?? 'c++', '-std=c++17'];
}
/** @param {import('./row.js').Needs | undefined} needs */
function includes(needs) {
  if (needs?.within === undefined) return [];
  const [folder, pattern] = needs.within.split('/');
  const places = [...(process.env.CPATH ?? '').split(':').filter(Boolean), '/usr/include', '/usr/local/include'];
  return places.flatMap((place) =>
    list(join(place, folder))
      .filter((name) => name.startsWith(pattern.replace('*', '')))
      .map((name) => `-I${join(place, folder, name)}`),
  );
}
/** What this machine lacks for a program. @param {import('./row.js').Program} program @returns {string | undefined} */
export function missing({ source, needs }) {
  if (needs === undefined) return undefined;
  const [command, standard] = compilerOf(source);
  const { error, status } = spawnSync(
    command,
    [standard, ...includes(needs), '-fsyntax-only', '-x', source.endsWith('.c') ? 'c' : 'c++', '-'],
    { input: `#include <${needs.header}>\n` },
  );
  if (error !== undefined) return `needs a compiler, ${command}`;
  const { program } = needs;
  const found = (process.env.PATH ?? '').split(':').some((place) => program && existsSync(join(place, program)));
  return status === 0 && (program === undefined || found) ? undefined : `needs ${needs.packages}`;
}

/** @param {import('./row.js').Program} program @param {number} size @param {string} to */
export function build({ source, fixedSize = false, needs }, size, to) {
  const flags = ['-O3', '-Wall', '-Wextra', '-D_GNU_SOURCE', '-pthread', ...(fixedSize ? [`-DSIZE=${size}`] : [])];
  const libraries = ['m', 'rt', ...(needs?.libraries ?? [])].map((name) => `-l${name}`);
  const [command, standard] = compilerOf(source);
  const { error, status } = spawnSync(
    command,
    [standard, ...flags, ...includes(needs), join(sources, source), '-o', to, ...libraries],
    { stdio: ['ignore', 2, 2] },
  );
  if (error !== undefined) throw new Error(`no compiler (${error.message}): install one, or set CC and CXX`);
  if (status !== 0) throw new Error(`${command} refused ${source}`);
}
/** @param {string} folder */
function list(folder) {
  return existsSync(folder) ? readdirSync(folder) : [];
}
