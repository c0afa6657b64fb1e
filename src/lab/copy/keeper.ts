/**
 * A thread of the client, for transports whose object outlives its users: when the command is gone (its end of the report's
 * descriptor is closed), it removes the object and ends the process. The main thread cannot: it blocks in system calls.
 */
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { IpcError, readable } from '../../system/index.js';
import type { Plan } from './transport.js';
import { transports } from './transports/index.js';

interface Task {
  plan: Plan;
  report: number;
  ready: Int32Array;
}
/** Milliseconds; a watchdog only. */
const START_UP = 60_000;

/** Returns when the thread watches. It ends with the process, and does not keep it. */
export function startKeeper(plan: Plan, report: number): void {
  const ready = new Int32Array(new SharedArrayBuffer(4));
  new Worker(new URL(import.meta.url), { workerData: { plan, report, ready } satisfies Task }).unref();
  if (Atomics.wait(ready, 0, 0, START_UP) === 'timed-out') {
    throw new IpcError('ERR_VECINO_INTERNAL', 'the thread that watches the command did not start');
  }
}

if (!isMainThread) {
  const { plan, report, ready } = workerData as Task;
  const orphaned = readable(report); // level-triggered: also if the command is gone already
  Atomics.store(ready, 0, 1);
  Atomics.notify(ready, 0);
  await orphaned;
  transports.get(plan.via)!.orphaned!(plan);
  process.kill(process.pid, 'SIGKILL');
}
