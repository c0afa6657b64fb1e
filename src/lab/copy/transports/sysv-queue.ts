/**
 * Through a System V message queue: each chunk a message, in and out of the kernel's copy of it. Four copies.
 *
 * Such a queue outlives its users, and removing it ends it at once for all of them; so it cannot be removed before the end. The command
 * removes it at its end, and the client does when the command was killed (orphan-reaper.ts).
 */
import { MESSAGE_HEADER, msgget, msgRemove, msgrcvInto, msgsnd, SystemError } from '../../../system/index.js';
import { kernelLimit } from '../../../system/limits.js';
import type { Plan, Transport } from '../transport.js';
import { collect, dispatch } from './messages.js';

const TYPE = 1;

export const sysvQueue: Transport = {
  name: 'sysv-queue',
  summary: 'a System V message queue, private, that both know by its id',
  chunk: 8192,
  prepare(chunk) {
    const most = Math.min(kernelLimit('kernel.msgmax') ?? 8192, kernelLimit('kernel.msgmnb') ?? 16384);
    const id = msgget('private');
    return {
      server: [],
      client: [],
      note: String(id),
      chunk: Math.min(chunk, most),
      started() {},
      cleanUp: () => remove(id),
    };
  },
  serve(side) {
    const id = idOf(side.plan);
    return dispatch(side, (message) => msgsnd(id, TYPE, message));
  },
  receive(side) {
    const id = idOf(side.plan);
    const room = new Uint8Array(MESSAGE_HEADER + side.plan.chunk);
    return collect(side, room, () => msgrcvInto(id, room));
  },
  orphaned: (plan) => remove(idOf(plan)),
};

function idOf(plan: Plan): number {
  return Number(plan.note);
}
/** The kernel does not reuse ids soon (it counts them up), so a second removal does not hit another queue. */
function remove(id: number): void {
  try {
    msgRemove(id);
  } catch (error) {
    if (!(error instanceof SystemError && ['EINVAL', 'EIDRM'].includes(error.code))) throw error;
  }
}
