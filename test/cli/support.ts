/** The copy command, run as a user's shell would, and what its tests look at. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { CopyResult } from '#src/lab/copy/index.js';
import { type Outcome, type Running, root, start } from '../support/processes.js';

export const COPIES: Record<string, number> = {
  pipe: 4,
  fifo: 4,
  'posix-queue': 4,
  'sysv-queue': 4,
  unix: 4,
  tcp: 4,
  'shared-memory': 2,
  descriptor: 0,
};
export const MECHANISMS: readonly string[] = Object.keys(COPIES);
export const main: string = join(root, 'dist', 'cli', 'main.js');
/** The command, as a user's shell would run it; the temporary folder is the test's own, so that what it leaves is seen. */
export function vecino(args: string[], folder?: string): Running {
  const env = folder === undefined ? process.env : { ...process.env, TMPDIR: folder, XDG_RUNTIME_DIR: folder };
  return start(process.execPath, [main, ...args], { env });
}
export const run = (args: string[], folder?: string): Promise<Outcome> => vecino(args, folder).ended;
export async function copied(args: string[]): Promise<CopyResult> {
  const { code, stdout, stderr } = await run(['copy', ...args, '--json']);
  assert.deepEqual([code, stderr], [0, '']);
  return JSON.parse(stdout) as CopyResult;
}
export const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
/** A failure as the command line promises it: exit 1, one line, nothing on standard output. */
export function assertRefused({ code, stdout, stderr }: Outcome, text: RegExp): void {
  assert.equal(code, 1, stderr);
  assert.equal(stdout, '');
  assert.match(stderr, /^vecino: [^\n]+\n$/);
  assert.match(stderr, text);
}

/** A copy that goes on until it is stopped: SOURCE is huge and has no blocks. */
export function endlessCopy(folder: string, via: string): Running {
  const source = join(folder, 'source');
  writeFileSync(source, '');
  truncateSync(source, 2 ** 40);
  return vecino(['copy', source, join(folder, 'destination'), '--via', via, '--chunk', '64K'], folder);
}
/** The pids of both processes, once data moves. */
export async function participants(command: Running): Promise<{ server: number; client: number }> {
  for (;;) {
    const pids: Record<string, number> = {};
    for (const pid of readFileSync(`/proc/${command.pid}/task/${command.pid}/children`, 'utf8')
      .split(' ')
      .filter(Boolean)) {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const role = words[2];
      if (role !== undefined && words[1]?.endsWith('participant.js')) pids[role] = Number(pid);
    }
    const { server, client } = pids;
    if (server !== undefined && client !== undefined && moved(client)) return { server, client };
    assert.equal(command.child.exitCode, null, 'it ended by itself');
    await turn();
  }
}
/** Whether the client has begun to fill DESTINATION, whose descriptor is its 4th. */
function moved(pid: number): boolean {
  try {
    return /^pos:\s*[1-9]/m.test(readFileSync(`/proc/${pid}/fdinfo/4`, 'utf8'));
  } catch {
    return false;
  }
}
