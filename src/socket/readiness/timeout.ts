/** The kernel's calls take a number of milliseconds; the house takes options. Both are understood. */
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
