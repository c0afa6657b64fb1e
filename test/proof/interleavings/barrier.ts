/** membarrier(2) of the machine that is exploring. Whatever calls it is imported by `await import()`, after this. */
import { native } from '#src/system/native.js';
import type { Machine } from './machine.js';

declare module '#src/system/native.js' {
  interface Native {
    membarrier(command: number): number;
  }
}

let machine: Machine | undefined;
const { membarrier } = native;
native.membarrier = (command) => {
  if (machine === undefined) return membarrier(command);
  machine.barrier();
  return 0;
};
/** Until `explore` is over, barriers are this machine's. */
export function withBarriersOf<T>(of: Machine, explore: () => T): T {
  machine = of;
  try {
    return explore();
  } finally {
    machine = undefined;
  }
}
