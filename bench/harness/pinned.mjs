// @ts-check
import { spawnSync } from 'node:child_process';

/** @type {boolean | undefined} */
let hasSetpriv;

/**
 * A command line that runs a program on certain cores only, and that dies with its parent, so that nothing is left behind even
 * when the benchmark itself is killed.
 *
 * @param {number[]} cpus @param {string} file @param {string[]} args
 */
export function pinned(cpus, file, ...args) {
  hasSetpriv ??= spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0;
  return [...(hasSetpriv ? ['setpriv', '--pdeathsig', 'KILL'] : []), 'taskset', '-c', cpus.join(','), file, ...args];
}
