/** C programs that signal us, and what /proc says about the signals of a process. */
import { readdirSync, readFileSync } from 'node:fs';
import { constants as os } from 'node:os';
import { after, before } from 'node:test';
import { compile, type Running, root, start } from '../support/processes.js';

/** `queue PID SIGNAL COUNT`: sends 0 … COUNT-1 as values, waiting whenever the queue is full; prints how often that was. */
export function compileQueue(folder: string): string {
  return compile(
    folder,
    'queue',
    `#include <errno.h>
    #include <signal.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <unistd.h>
    int main(int argc, char **argv) {
      int pid = atoi(argv[1]), number = atoi(argv[2]), count = atoi(argv[3]), full = 0;
      for (int i = 0; i < count;) {
        union sigval value = {.sival_ptr = 0};
        value.sival_int = i;
        if (sigqueue(pid, number, value) == 0) i++;
        else if (errno != EAGAIN) return perror("sigqueue"), 1;
        else full++, usleep(500);
      }
      printf("%d\\n", full);
    }`,
  );
}
/** `tgkill PID TID SIGNAL` */
export function compileThreadKill(folder: string): string {
  return compile(
    folder,
    'tgkill',
    `#define _GNU_SOURCE
    #include <stdlib.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    int main(int argc, char **argv) { return syscall(SYS_tgkill, atoi(argv[1]), atoi(argv[2]), atoi(argv[3])) != 0; }`,
  );
}

/** A set of signals from /proc: `SigBlk`, `SigIgn`, `SigCgt`, `ShdPnd`. */
export function signalSet(text: string, name: string): bigint {
  return BigInt(`0x${new RegExp(`${name}:\\s*([0-9a-f]+)`).exec(text)![1]}`);
}
export function has(set: bigint, number: number): boolean {
  return (set & (1n << BigInt(number - 1))) !== 0n;
}
/** What /proc says about each thread of a process. */
export function threads(pid: number | 'self' = 'self'): string[] {
  return readdirSync(`/proc/${pid}/task`).map((task) => readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'));
}
/** What each thread of a process blocks; not those that block everything, always or while they start a thread. */
export function masks(pid: number | 'self' = 'self'): bigint[] {
  return threads(pid)
    .map((text) => signalSet(text, 'SigBlk'))
    .filter((mask) => !has(mask, os.signals.SIGSTKFLT));
}

/** Keeps a test file's event loop running: subscriptions to signals do not. */
export function stayAwake(): void {
  let timer: NodeJS.Timeout;
  before(() => {
    timer = setInterval(() => {}, 60_000);
  });
  after(() => clearInterval(timer));
}

/**
 * Starts a script that may have `limit` signals pending. The kernel counts those of all processes of a user, so the script changes
 * to a user of its own by `alone()`, if it can.
 */
export function startLimited(limit: number, script: string, args: readonly string[] = []): Running {
  const program = `const alone = () => { if (process.getuid() === 0) process.setuid(100_000 + process.pid); };\n${script}`;
  const python = `import os, resource, sys
resource.setrlimit(resource.RLIMIT_SIGPENDING, (${limit}, ${limit}))
os.execv(sys.argv[1], sys.argv[1:])`;
  const node = [process.execPath, '--input-type=module', '--eval', program, '--', ...args];
  return start('python3', ['-c', python, ...node], { cwd: root });
}
/** How many signals may be pending here. */
export function pendingLimit(): number {
  const soft = /Max pending signals\s+(\S+)/.exec(readFileSync('/proc/self/limits', 'utf8'))![1];
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}
