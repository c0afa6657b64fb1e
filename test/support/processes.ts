/** Real processes for tests: started, listened to, killed, and never left behind. */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

const running = new Set<ChildProcess>();
after(async () => {
  for (const child of running) child.kill('SIGKILL');
  await Promise.all([...running].map((child) => new Promise((resolve) => child.once('close', resolve))));
});
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL'); // also where no hook runs any more
});

/** How a process ended, and what it printed. */
export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}
export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Resolves when it has ended and its output is read. */
  readonly ended: Promise<Outcome>;
  /** Resolves with the next line of standard output (each line is given once, in order); rejects if it ends before. */
  line(): Promise<string>;
  write(text: string): void;
  kill(signal?: NodeJS.Signals): Promise<Outcome>;
}

/** Starts a program. Its standard output can be read line by line, its standard input written. */
export function start(command: string, args: readonly string[] = [], options: SpawnOptions = {}): Running {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
  running.add(child);
  let stdout = '';
  let stderr = '';
  let given = 0;
  let over = false;
  const waiting: { resolve(line: string): void; reject(error: Error): void }[] = [];
  const deliver = () => {
    for (;;) {
      const end = stdout.indexOf('\n', given);
      if (waiting.length === 0) return;
      if (end >= 0) {
        waiting.shift()!.resolve(stdout.slice(given, end));
        given = end + 1;
      } else if (over) waiting.shift()!.reject(new Error(`${command} ended without another line\n${stdout}${stderr}`));
      else return;
    }
  };
  child.stdin?.on('error', () => {}); // it may have ended already
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    deliver();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      running.delete(child);
      over = true;
      deliver();
      resolve({ code, signal, stdout, stderr });
    });
  });
  return {
    child,
    get pid() {
      return child.pid!;
    },
    ended,
    line: () =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        deliver();
      }),
    write: (text) => void child.stdin?.write(text),
    kill: (signal = 'SIGKILL') => {
      child.kill(signal);
      return ended;
    },
  };
}
/** Starts a Node process that runs `source` as an ES module; `vecino` and `#src/…` can be imported there. */
export function startScript(source: string, args: readonly string[] = [], options: SpawnOptions = {}): Running {
  return start(process.execPath, ['--input-type=module', '--eval', source, '--', ...args], { cwd: root, ...options });
}
/** Runs such a script to its end; throws with what it printed if it fails. */
export async function runScript(
  source: string,
  args: readonly string[] = [],
  options: SpawnOptions = {},
): Promise<string> {
  const outcome = await startScript(source, args, options).ended;
  if (outcome.code !== 0)
    throw new Error(`script ended with ${outcome.signal ?? outcome.code}\n${outcome.stdout}${outcome.stderr}`);
  return outcome.stdout;
}

/** The folder of package.json. */
export const root: string = new URL('../../..', import.meta.url).pathname.replace(/\/$/, '');

/** A folder that is removed when the file's tests are over. */
export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'vecino-'));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
/**
 * Runs a script whose runtime folder and /dev/shm are file systems of their own, in a mount namespace that ends with it: `mount` is
 * `'-t ramfs'` or the like. Undefined: this machine lets no test mount one. `through` is a program that runs it.
 */
export async function runOnFileSystem(mount: string, source: string, through = 'env'): Promise<Outcome | undefined> {
  const shell = `
    mount ${mount} none /dev/shm && mkdir -m 700 /dev/shm/run && mount ${mount} none "$0" && chmod 700 "$0" || exit 77
    VECINO_RUNTIME_DIR="$0" exec "$3" "$1" --input-type=module --eval "$2"`;
  const user = process.getuid!() === 0 ? [] : ['--user', '--map-root-user'];
  const args = [...user, '--mount', 'sh', '-c', shell, temporaryFolder(), process.execPath, source, through];
  const outcome = await start('unshare', args, { cwd: root }).ended;
  return outcome.code !== 0 && /unshare|mount/.test(outcome.stderr) ? undefined : outcome;
}
/** The same on a tmpfs of `size` (`'1m'`). */
export function runOnSmallFileSystem(size: string, source: string, through?: string): Promise<Outcome | undefined> {
  return runOnFileSystem(`-t tmpfs -o size=${size},mode=700`, source, through);
}
/** A program that runs another one on a kernel that knows neither O_TMPFILE nor fallocate(2): `compile` it. */
export const WITHOUT_TMPFILE = `
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
int main(int argc, char **argv) {
  struct sock_filter filter[] = {
    LOAD(nr),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_fallocate, 3, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_openat, 0, 3),
    LOAD(args[2]),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 78;
  execvp(argv[1], argv + 1);
  return 79;
}`;
/** Compiles a C program and gives its path. */
export function compile(folder: string, name: string, source: string, flags: readonly string[] = []): string {
  const path = join(folder, name);
  writeFileSync(`${path}.c`, source);
  execFileSync('cc', ['-std=gnu11', '-O1', '-Wall', `${path}.c`, '-o', path, '-pthread', '-lrt', ...flags], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return path;
}
let names = 0;
/** A name for a kernel object that no other test uses. By the run in it run.mjs knows what was left behind by whom. */
export function uniqueName(what = 'object'): string {
  return `vecino-test-${process.env['VECINO_TEST_RUN'] ?? 'alone'}-${process.pid}-${what}-${names++}`;
}
