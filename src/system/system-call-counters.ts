/** The system calls that this thread has made through vecino, counted in the addon by their results. */
import { native } from './native.js';

/** Totals since the thread began. */
export interface SystemCallCounters {
  /** System calls made. */
  calls: number;
  /** Bytes that calls copied from the kernel into the process (read, recvmsg, …). */
  bytesIn: number;
  /** Bytes that calls copied from the process into the kernel (write, sendmsg, …). */
  bytesOut: number;
  /** Bytes that the kernel moved on the thread's behalf without the process seeing them (splice, copy_file_range, …). */
  bytesWithin: number;
}

const counters = new Float64Array(native.counters);

/** The totals of this thread so far. The event loop's own waits are libuv's, and not counted. */
export function systemCallCounters(): SystemCallCounters {
  const [calls, bytesIn, bytesOut, bytesWithin] = counters as unknown as [number, number, number, number];
  return { calls, bytesIn, bytesOut, bytesWithin };
}
