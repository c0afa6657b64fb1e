/** kill(2) and sigqueue(3). The folder signal receives signals. */
import { checkInteger } from './arguments.js';
import { errnoName, SystemError } from './errors.js';
import { native } from './native.js';

declare module './native.js' {
  interface Native {
    // signal.c
    kill(pid: number, signal: number): number;
    sigqueue(pid: number, signal: number, value: number): number;
    // signal_listen.c; a set is a view of 8 bytes, a record of six 32-bit integers: signal, code, pid, uid, value, status
    signalListen(out: Int32Array): number;
    signalUnlisten(): number;
    signalHandle(signal: number, handled: boolean): number;
    signalHold(set: ArrayBufferView, hold: boolean): number;
    signalTake(records: Int32Array): number;
    signalWait(set: ArrayBufferView): number;
    signalWaitTake(wait: number, record: Int32Array, quiet: boolean): number;
    signalWaitEnd(wait: number, record: Int32Array): number;
    signalTryWait(set: ArrayBufferView, record: Int32Array): number;
    signalIgnore(signal: number): number;
    signalRestore(signal: number): number;
  }
}

const HINTS: Readonly<Record<string, string>> = {
  ESRCH: 'There is no such process; it may have ended',
  EPERM: 'It belongs to another user; only root, or a process with CAP_KILL, may signal it',
  EAGAIN:
    'The receiver has reached its limit of pending signals (RLIMIT_SIGPENDING, ulimit -i). Try again when it has received some',
  EINVAL: 'There is no such signal',
};
function checkSent(result: number, syscall: string, about: string): void {
  if (result >= 0) return;
  const hint = HINTS[errnoName(result)];
  throw new SystemError(result, syscall, { path: about, hint });
}

/** Sends a signal to a process (`pid` > 0) or to a process group (`pid` < -1). */
export function kill(pid: number, signal: number): void {
  checkInteger('pid', pid, -0x7fffffff, 0x7fffffff);
  checkInteger('signal', signal, 0, 64);
  checkSent(native.kill(pid, signal), 'kill', pid < 0 ? `group ${-pid}` : `pid ${pid}`);
}
/** Sends a signal with a value to a process; real-time signals (`SIGRTMIN` and up) queue. */
export function sigqueue(pid: number, signal: number, value: number): void {
  checkInteger('pid', pid, 1, 0x7fffffff);
  checkInteger('signal', signal, 0, 64);
  checkInteger('value', value, -0x80000000, 0x7fffffff);
  checkSent(native.sigqueue(pid, signal, value), 'sigqueue', `pid ${pid}`);
}
