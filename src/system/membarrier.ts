/** membarrier(2): two processes each write, then check; with the barrier of one of them, at least one sees the other's write. */
import { constants, native } from './native.js';

declare module './native.js' {
  interface Native {
    membarrier(command: number): number;
  }
}
const BARRIER = constants['MEMBARRIER_CMD_GLOBAL_EXPEDITED']!;

/**
 * Whether barriers of other processes reach this one (Linux 4.16). If so, its stores and loads need no barrier of their own towards a
 * process that calls {@link barrier} between its store and its load.
 */
export const barriersReachUs: boolean = native.membarrier(constants['MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED']!) === 0;

/** A full memory barrier on every processor that runs a process for which {@link barriersReachUs} holds, and on this one. */
export function barrier(): void {
  native.membarrier(BARRIER);
}
