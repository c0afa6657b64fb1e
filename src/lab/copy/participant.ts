/**
 * The program of the two processes, started by coordinator.ts:  node participant.js server|client PARENT PLAN
 *
 * Descriptors: 3 the report, 4 the file, 5 a page where progress is shown without a system call, 6… the transport's. It ends with its
 * parent: the kernel kills it (PR_SET_PDEATHSIG), so that no orphan continues. If an object must be removed first, the client does that
 * (orphan-reaper.ts).
 */
import { writeSync } from 'node:fs';
import { constants as os } from 'node:os';
import { SharedMemory } from '../../memory/index.js';
import { futexWait, futexWake, IpcError } from '../../system/index.js';
import { native } from '../../system/native.js';
import { openAccount, type Report } from './account.js';
import { startOrphanReaper } from './orphan-reaper.js';
import type { Plan, Side } from './transport.js';
import { transports } from './transports/index.js';

const REPORT = 3;
const FILE = 4;
const PROGRESS = 5;
const FIRST = 6;

function run(role: string, plan: Plan, descriptors: number): Report {
  const transport = transports.get(plan.via)!;
  const memory = SharedMemory.fromFd(PROGRESS);
  const shown = new Float64Array(memory.buffer);
  const ready = new Int32Array(memory.buffer, 64, 1); // behind the two numbers of progress
  const word = role === 'server' ? 0 : 1;
  const account = openAccount();
  let begin = 0;
  let control = 0;
  const side: Side = {
    plan,
    file: FILE,
    descriptors: Array.from({ length: descriptors }, (_, index) => FIRST + index),
    begin() {
      // The clock starts when both are running: the start of Node is not part of the transport.
      if (role === 'client') {
        Atomics.store(ready, 0, 1);
        futexWake(ready, 0);
      } else while (Atomics.load(ready, 0) === 0) futexWait(ready, 0, 0);
      begin = Number(process.hrtime.bigint());
    },
    progress(bytes) {
      shown[word] = bytes;
    },
    control(bytes) {
      control += bytes;
    },
  };
  const bytes = role === 'server' ? transport.serve(side) : transport.receive(side);
  return { ok: true, bytes, begin, end: Number(process.hrtime.bigint()), account: account(control) };
}

const [role, parent, plan] = process.argv.slice(2) as [string, string, string];
const { descriptors, ...rest } = JSON.parse(plan) as Plan & { descriptors: number };
const keeps = role === 'client' && transports.get(rest.via)!.orphaned !== undefined;
if (!keeps) {
  native.setParentDeathSignal(os.signals.SIGKILL);
  if (process.ppid !== Number(parent)) process.kill(process.pid, 'SIGKILL'); // it died before the line above
}
let report: Report;
try {
  if (keeps) startOrphanReaper(rest, REPORT);
  report = run(role, rest, descriptors);
} catch (error) {
  const code = error instanceof IpcError ? error.code : 'ERR_VECINO_INTERNAL';
  report = { ok: false, code, message: error instanceof Error ? error.message : String(error) };
}
writeSync(REPORT, JSON.stringify(report));
process.exitCode = report.ok ? 0 : 1;
