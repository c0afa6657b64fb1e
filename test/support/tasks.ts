/** What the kernel tells of a process's threads. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** The thread ids of a process. */
export function tasks(pid: number | 'self' = 'self'): string[] {
  return readdirSync(`/proc/${pid}/task`);
}
/** Resolves once every thread of the process sleeps in the kernel: it waits for something. */
export async function asleep(pid: number): Promise<void> {
  while (!tasks(pid).every((task) => state(pid, task) === 'S')) await delay(1);
}
function state(pid: number, task: string): string {
  try {
    const text = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2)[0]!;
  } catch {
    return 'S'; // ended since
  }
}
/** How often each thread has gone to sleep so far; a thread that is woken for nothing is seen by it. */
export function switches(pid: number): Map<string, number> {
  return new Map(
    tasks(pid).map((task) => {
      const text = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
      return [task, Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)![1])];
    }),
  );
}
