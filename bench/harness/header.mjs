// @ts-check
/** What was measured, and on what: no figure without it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { compiler } from './compile.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** @param {string} file @param {string[]} args */
function output(file, ...args) {
  try {
    return execFileSync(file, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}
/** @param {number[]} pinnedTo @param {import('./run.mjs').Settings} settings */
export function header(pinnedTo, settings) {
  const changes = output('git', 'status', '--porcelain');
  const [load] = loadavg();
  return {
    format: 2,
    date: new Date().toISOString(),
    machine: {
      cpu: cpus()[0]?.model.trim() || process.arch,
      cores: availableParallelism(),
      virtual: /^flags.*\bhypervisor\b/m.test(readFileSync('/proc/cpuinfo', 'utf8')),
      memory: totalmem(),
      load,
    },
    kernel: release(),
    node: process.version,
    compiler: output(compiler, '--version')?.split('\n')[0] ?? null,
    vecino: JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version,
    commit: output('git', 'rev-parse', '--short=12', 'HEAD') ?? null,
    dirty: changes === undefined ? null : changes !== '',
    pinnedTo,
    runs: settings.runs,
    warmUp: settings.warmUp,
    duration: settings.duration,
    smoke: settings.smoke,
  };
}
