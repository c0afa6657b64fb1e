// @ts-check
/** Keys of System V queues, which stay when their users are killed: made of the run's process group, so that they can be found. */
import { readFileSync } from 'node:fs';
import { msgget, msgRemove } from 'vecino/system';

/** As in c/sysv-queue.c. A pid has at most 22 bits. @param {number} group */
const keysOf = (group) => [0x56000000 + 2 * group, 0x56000000 + 2 * group + 1];
/** The two keys of the run that this process belongs to. */
export function ownKeys() {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const [, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return keysOf(Number(group));
}
/** Removes what a run has left. @param {number} group */
export function removeQueuesOf(group) {
  let table;
  try {
    table = readFileSync('/proc/sysvipc/msg', 'utf8');
  } catch {
    return; // a kernel without them
  }
  const present = new Set(table.split('\n').map((row) => Number(row.trim().split(/\s+/)[0])));
  for (const key of keysOf(group)) if (present.has(key)) msgRemove(msgget(key));
}
