// Runs the compiled tests (build/test) with node:test, in a temporary folder of their own, and then looks whether they
// left anything behind: processes, shared memory, message queues, SysV objects, files.
//   node test/run.mjs [part of a file name | -part of one to leave out …] [--test-name-pattern=…, or another option of node's]
//   NODE=/path/to/another/node to run them with
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const compiled = join(root, 'build', 'test');
const options = process.argv.slice(2).filter((word) => word.startsWith('--'));
const [wanted, unwanted] = parts(process.argv.slice(2).filter((word) => !word.startsWith('--')));
const files = readdirSync(compiled, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.js') && (wanted.length === 0 || wanted.some((part) => name.includes(part))))
  .filter((name) => !unwanted.some((part) => name.includes(part)))
  .filter((name) => existsSync(join(root, 'test', name.replace(/\.js$/, '.ts')))) // not one that was renamed since
  .sort()
  .map((name) => join(compiled, name));
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(' ')}`);
  process.exit(2);
}

/** @param {string[]} words those to run, and those that begin with a dash, to leave out */
function parts(words) {
  const leave = words.filter((word) => word.startsWith('-'));
  return [words.filter((word) => !leave.includes(word)), leave.map((word) => word.slice(1))];
}
const list = (folder) => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
};
const rows = (table) => {
  try {
    return readFileSync(`/proc/sysvipc/${table}`, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((row) => row.trim().split(/\s+/).slice(0, 2).join(' id '));
  } catch {
    return [];
  }
};
/** In the environment of every process of this run, and in the name of whatever its tests make (support/processes.ts). */
const run = randomUUID().slice(0, 8);
const mark = `VECINO_TEST_RUN=${run}`;
/** Other programs come and go meanwhile, other runs of these tests too. */
const ours = (name) => name.includes('vecino') && (name.includes(run) || !/vecino-(test|bench)-/.test(name));
/** What outlives a process, by kind. */
function census() {
  return {
    'shared memory': list('/dev/shm').filter(ours),
    'message queue': list('/dev/mqueue').filter(ours),
    'SysV queue (key)': rows('msg'),
    'SysV semaphore (key)': rows('sem'),
    'SysV segment (key)': rows('shm'),
    'file in /tmp': list('/tmp').filter(ours),
  };
}
/** Processes that carry this run's mark in their environment. */
function strays() {
  return list('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark);
    } catch {
      return false;
    }
  });
}
function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 100);
  } catch {
    return 'it has ended since';
  }
}

const folder = mkdtempSync(join(tmpdir(), `vecino-test-${run}-`));
// No test may meet, or make, the folder of this user's own channels.
const channels = mkdtempSync(join(tmpdir(), `vecino-test-channels-${run}-`));
const before = census();
const [key, value] = mark.split('=');
// A watchdog for a test that hangs; no test is judged by its time.
const args = ['--test', '--test-concurrency=2', '--test-timeout=1200000', ...options];
const failures = join(root, 'test', 'failures-reporter.mjs');
args.push('--test-reporter=spec', '--test-reporter-destination=stdout');
args.push(`--test-reporter=${failures}`, `--test-reporter-destination=${join(root, 'build', 'test-failures.txt')}`);
// The runner of Node 24 and later passes --report-signal=SIGUSR2 on, and with it every SIGUSR2 writes a report somewhere.
const reports = mkdtempSync(join(tmpdir(), 'node-reports-'));
const child = spawn(process.env.NODE ?? process.execPath, [...args, ...files], {
  stdio: 'inherit',
  cwd: root,
  env: {
    ...process.env,
    TMPDIR: folder,
    VECINO_RUNTIME_DIR: channels,
    [key]: value,
    // What a short program leaves to the collector is no error of it, and when the collector comes is chance.
    NODE_OPTIONS:
      `${process.env.NODE_OPTIONS ?? ''} --enable-source-maps --report-directory=${reports} --disable-warning=VECINO_NOT_CLOSED`.trim(),
  },
});
const status = await new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code)));
rmSync(reports, { recursive: true, force: true });

const left = [];
for (const [kind, now] of Object.entries(census())) {
  const old = new Set(before[kind]);
  for (const name of now) if (!old.has(name)) left.push(`${kind} ${name}`);
}
for (const name of list(folder)) left.push(`file ${join(folder, name)}`);
for (const name of list(channels)) left.push(`channel ${name}`);
rmSync(channels, { recursive: true, force: true });
for (const pid of strays()) left.push(`process ${pid} (${commandOf(pid)})`);
rmSync(folder, { recursive: true, force: true });
console.log(
  left.length === 0 ? 'Left behind by the suite: nothing.' : `Left behind by the suite:\n  ${left.join('\n  ')}`,
);
process.exit(status === 0 && left.length === 0 ? 0 : 1);
