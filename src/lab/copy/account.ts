/** The cost of one participant of a copy, counted from the results of its own calls. */
import { systemCallCounters } from '../../system/index.js';

export interface Account {
  pid: number;
  /** Bytes that system calls copied from the kernel into the process. */
  bytesFromKernel: number;
  /** Bytes that system calls copied from the process into the kernel. */
  bytesToKernel: number;
  /** Bytes that the kernel moved for the process without passing them to it. */
  bytesWithinKernel: number;
  /** The bytes of the first two that were not the file's: a byte that goes with a descriptor, an answer. */
  controlBytes: number;
  systemCalls: number;
  cpuSeconds: { user: number; system: number };
  /** The most memory that the process has had in use, Node itself included. */
  maxResidentBytes: number;
}

/** A participant's report to the coordinator at its end. Times are nanoseconds of the monotonic clock. */
export type Report =
  | { ok: true; bytes: number; begin: number; end: number; account: Account }
  | { ok: false; code: string; message: string };

/** Begins to count; calling the result ends it. */
export function openAccount(): (controlBytes: number) => Account {
  const before = systemCallCounters();
  const cpu = process.cpuUsage();
  return (controlBytes) => {
    const after = systemCallCounters();
    const { user, system } = process.cpuUsage(cpu);
    return {
      pid: process.pid,
      bytesFromKernel: after.bytesIn - before.bytesIn,
      bytesToKernel: after.bytesOut - before.bytesOut,
      bytesWithinKernel: after.bytesWithin - before.bytesWithin,
      controlBytes,
      systemCalls: after.calls - before.calls,
      cpuSeconds: { user: user / 1e6, system: system / 1e6 },
      maxResidentBytes: process.resourceUsage().maxRSS * 1024,
    };
  };
}
