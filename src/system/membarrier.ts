/** membarrier(2): what one process wrote before it looked, and another announced before it looked, one of both sees. */
import { constants, native } from './native.js';

declare module './native.js' {
  interface Native {
    membarrier(command: number): number;
  }
}
const BARRIER = constants['MEMBARRIER_CMD_GLOBAL_EXPEDITED']!;

/**
 * Whether this process takes part in barriers of others (Linux 4.16). If so, its stores and loads need no barrier of their own
 * towards somebody who calls {@link barrier} between his store and his load.
 */
export const barriersReachUs: boolean = native.membarrier(constants['MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED']!) === 0;

/** A full memory barrier on every processor that runs a process for which {@link barriersReachUs} holds, and on this one. */
export function barrier(): void {
  native.membarrier(BARRIER);
}
