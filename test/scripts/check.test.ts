import '../support/leaks.js';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { root, temporaryFolder } from '../support/processes.js';

function check(args: string[], environment: NodeJS.ProcessEnv = {}) {
  const script = join(root, 'scripts', 'check.mjs');
  return spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', env: { ...process.env, ...environment } });
}

test('Check: it lists its steps, and refuses one that it does not have', () => {
  assert.deepEqual(check(['--list']).stdout.split('\n').slice(0, -1), [
    'build',
    'api',
    'site',
    'test',
    'lint',
    'types',
    'package',
  ]);
  const { status, stderr } = check(['lint', 'everything']);
  assert.equal(status, 2);
  assert.match(stderr, /there is no step 'everything'; the steps are build, api/);
});

test('Check: a step that fails does not keep the others from running, and is named at the end', () => {
  const folder = temporaryFolder();
  const npm = join(folder, 'npm'); // fails at lint alone
  writeFileSync(npm, '#!/bin/sh\necho "ran: $*"\ncase "$*" in *lint*) exit 3;; esac\n');
  chmodSync(npm, 0o755);
  const path = `${folder}${delimiter}${process.env['PATH']}`;
  const { status, stdout } = check(['lint', 'types'], { PATH: path });
  assert.equal(status, 1);
  assert.match(stdout, /== lint: npm .*\nran: .*lint[\s\S]*== types: npm .*\nran: .*types/);
  assert.match(stdout, /== summary\nlint +[\d.]+ s {2}FAILED \(exit code 3\)\ntypes +[\d.]+ s {2}ok\nFailed: lint\n$/);
  const good = check(['types'], { PATH: path });
  assert.equal(good.status, 0);
  assert.match(good.stdout, /\nEverything holds\.\n$/);
});

test('Check: what CI runs on this machine is this list and no other', () => {
  const ci = readFileSync(join(root, '.ci', 'run'), 'utf8');
  const commands = ci.split('\n').filter((line) => /^(npm|npx|node) /.test(line));
  assert.deepEqual(commands, [
    'npm ci --no-audit --no-fund',
    'npm run --silent check',
    'node scripts/other-nodes.mjs 22 24 26',
  ]);
});
