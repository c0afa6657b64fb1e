/** Import this in every test file: when its tests are over, descriptors, mappings and child processes must be what they were. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, watch } from 'node:fs';
import { after, before } from 'node:test';
import { native } from '#src/system/native.js';
import { releaseWordKernel } from '#src/system/word-wait.js';
import './watchdog.js';
import './processes.js'; // first: where this one finds something, the hooks behind it do not run, and processes would be left

/** This process's descriptors and what they point at. */
export function descriptors(): string[] {
  const found: string[] = [];
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      if (!/^\/proc\/.*\/fd$/.test(target)) found.push(`${fd} -> ${target}`);
    } catch {
      // Closed since: the one that listed the folder.
    }
  }
  return found;
}
/** The pids of this process's children, zombies included. */
export function children(): string[] {
  return readdirSync('/proc/self/task').flatMap((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean);
    } catch {
      return []; // a thread that has ended since
    }
  });
}

let start: string[];
let mappings: number;
before(() => {
  // Whatever libuv, the test runner and the ICU open lazily is opened by the time the first test begins.
  watch('/tmp').close(); // libuv keeps the descriptor of a loop's first watch
  start = descriptors();
  mappings = native.mappingCount();
});
after(async () => {
  await releaseWordKernel(); // kept for a moment after the last wait
  const known = new Set(start);
  assert.deepEqual(
    descriptors().filter((fd) => !known.has(fd)),
    [],
    'descriptors left open',
  );
  assert.equal(native.mappingCount(), mappings, 'mappings left');
  assert.deepEqual(children(), [], 'child processes left');
});
