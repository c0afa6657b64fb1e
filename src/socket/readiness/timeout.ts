/** Accepts a time-out both as a number of milliseconds, as the kernel's calls do, and as vecino's options. */
import { invalidArgument } from '../../system/errors.js';

/** Milliseconds, or options. */
export type Timeout<Options> = number | Options;

export function timeoutOptions<Options extends object>(timeout: Timeout<Options> | undefined): Options | undefined {
  if (typeof timeout === 'number') return { timeout } as unknown as Options;
  if (timeout !== undefined && (typeof timeout !== 'object' || timeout === null)) {
    throw invalidArgument('ERR_INVALID_ARG_TYPE', 'timeout', 'a number of milliseconds or options', timeout);
  }
  return timeout;
}
