/**
 * A thread of the client, for transports whose kernel object outlives its users: when the command has ended (its end of the report's
 * descriptor is closed), it removes the object and ends the process. The main thread cannot: it blocks in system calls.
 */
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { readable } from '../../system/index.js';
import type { Plan } from './transport.js';
import { transports } from './transports/index.js';

interface Task {
  plan: Plan;
  report: number;
}

/** Starts the thread, which watches as soon as it can. It ends with the process, and does not keep it running. */
export function startOrphanReaper(plan: Plan, report: number): void {
  new Worker(new URL(import.meta.url), { workerData: { plan, report } satisfies Task }).unref();
}

if (!isMainThread) {
  const { plan, report } = workerData as Task;
  await readable(report); // level-triggered: also if the command has ended before
  transports.get(plan.via)!.orphaned!(plan);
  process.kill(process.pid, 'SIGKILL');
}
