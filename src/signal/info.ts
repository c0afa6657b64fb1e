/** What the kernel reports about a signal: siginfo_t, see sigaction(2). */
import { constants as os } from 'node:os';
import { constants } from '../system/native.js';
import type { SignalName } from './names.js';

/** The origin of a signal: `SI_USER` kill, `SI_QUEUE` sigqueue, `SI_TKILL` tgkill, `SI_KERNEL` the kernel (Ctrl-C), `CLD_…` a child. */
export type SignalCode =
  | 'SI_USER'
  | 'SI_QUEUE'
  | 'SI_TKILL'
  | 'SI_KERNEL'
  | 'SI_TIMER'
  | 'SI_MESGQ'
  | 'SI_ASYNCIO'
  | 'SI_SIGIO'
  | `CLD_${'EXITED' | 'KILLED' | 'DUMPED' | 'TRAPPED' | 'STOPPED' | 'CONTINUED'}`
  | `POLL_${'IN' | 'OUT' | 'MSG' | 'ERR' | 'PRI' | 'HUP'}`
  | `code ${number}`;

/** A received signal. */
export interface SignalInfo {
  /** The name that you subscribed to or waited for. */
  name: SignalName;
  /** Its number on this machine. */
  number: number;
  /** The sender, or the child that `SIGCHLD` is about; 0 if it was not a process, or one outside of our pid namespace. */
  pid: number;
  /** The sender's real user. */
  uid: number;
  /** How it was sent: `SI_USER` by kill(2), `SI_QUEUE` with a value, `CLD_EXITED` for a child that ended, and so on; see sigaction(2). */
  code: SignalCode;
  /** The value passed to `sigqueue`: a 32-bit integer. Missing if the signal carried none. */
  value?: number;
  /** For `SIGCHLD`: the exit code (`CLD_EXITED`) or the number of the signal. */
  status?: number;
}

const codes = (...names: string[]) => new Map(names.map((name) => [constants[name]!, name as SignalCode]));
const GENERAL = codes('SI_USER', 'SI_QUEUE', 'SI_TKILL', 'SI_KERNEL', 'SI_TIMER', 'SI_MESGQ', 'SI_ASYNCIO', 'SI_SIGIO');
const CHILD = codes('CLD_EXITED', 'CLD_KILLED', 'CLD_DUMPED', 'CLD_TRAPPED', 'CLD_STOPPED', 'CLD_CONTINUED');
const POLL = codes('POLL_IN', 'POLL_OUT', 'POLL_MSG', 'POLL_ERR', 'POLL_PRI', 'POLL_HUP');
const { SIGCHLD, SIGIO } = os.signals;
const VALUED: ReadonlySet<SignalCode> = new Set<SignalCode>(['SI_QUEUE', 'SI_TIMER', 'SI_MESGQ', 'SI_ASYNCIO']);

/** 32-bit integers of one record; native/signal_listen.c writes them. */
export const RECORD = 6;
/** The record at an index of what the addon wrote, without its name, which the subscriber knows. */
export function decodeRecord(records: Int32Array, index: number): Omit<SignalInfo, 'name'> {
  const at = index * RECORD;
  const number = records[at]!;
  const bits = records[at + 1]!;
  const own = number === SIGCHLD ? CHILD : number === SIGIO ? POLL : undefined;
  const code = own?.get(bits) ?? GENERAL.get(bits) ?? (`code ${bits}` as const);
  const info: Omit<SignalInfo, 'name'> = { number, pid: records[at + 2]!, uid: records[at + 3]! >>> 0, code };
  if (VALUED.has(code)) info.value = records[at + 4]!;
  if (code.startsWith('CLD_')) info.status = records[at + 5]!;
  return info;
}
