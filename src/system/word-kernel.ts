/**
 * How this thread waits for futex words without blocking: by io_uring (Linux 6.7: no thread at all), by the process's helper thread in
 * futex_waitv (Linux 5.16: up to 127 words), or else by polling every few milliseconds.
 *
 * `VECINO_WORDS=ring|thread|look` disables the better ways, for tests and diagnosis.
 */
import { EAGAIN, EBUSY, ENOSYS, EPERM } from './errno.js';
import { errno } from './errors.js';
import { native } from './native.js';

declare module './native.js' {
  interface Native {
    // futex.c
    futexWaitv(view: ArrayBufferView, pairs: Int32Array, milliseconds: number): number;
    // ring.c
    ringOpen(completions: number): number;
    ringClose(): number;
    ringFutexWait(view: ArrayBufferView, offset: number, expected: number, id: number): number;
    ringCancel(id: number): number;
    ringReap(out: Float64Array): number;
    // waiter.c
    waiterOpen(): number;
    waiterClose(): number;
    waiterWait(view: ArrayBufferView, offset: number, expected: number, id: number): number;
    waiterCancel(id: number): number;
    waiterReap(out: Float64Array): number;
  }
}

export type Way = 'ring' | 'thread' | 'look';

/** A set of pending waits, each known by a number above 0. Calls return an errno negated, or 0. */
export interface WordKernel {
  readonly way: Way;
  /** Readable when a wait has ended. */
  readonly fd: number;
  /** -ENOSPC: the limit of words is reached. */
  wait(view: Int32Array, offset: number, expected: number, id: number): number;
  /** The wait ends with -ECANCELED, unless it has ended already. */
  cancel(id: number): number;
  /** Waits that have ended, as pairs of number and result (0: woken); how many pairs. */
  reap(pairs: Float64Array): number;
  close(): void;
}

const MAX_COMPLETIONS = 1024;

let best: Way | undefined;

/** Opens the best way that works here; undefined: none does, so poll. */
export function openWordKernel(): WordKernel | undefined {
  best ??= chosen();
  if (best === 'ring') {
    const fd = native.ringOpen(MAX_COMPLETIONS);
    if (fd >= 0) {
      return {
        way: 'ring',
        fd,
        wait: native.ringFutexWait,
        cancel: native.ringCancel,
        reap: native.ringReap,
        close: () => void native.ringClose(),
      };
    }
    // ENOSYS, EPERM: not in this kernel or container; EOPNOTSUPP: an older ring. Others (EMFILE, ENOMEM) may pass.
    if (['ENOSYS', 'EPERM', 'EACCES', 'EOPNOTSUPP', 'EINVAL'].some((name) => fd === -errno[name]!)) best = 'thread';
  }
  if (best !== 'look') {
    const fd = native.waiterOpen();
    if (fd >= 0) {
      return {
        way: 'thread',
        fd,
        wait: native.waiterWait,
        cancel: native.waiterCancel,
        reap: native.waiterReap,
        close: () => void native.waiterClose(),
      };
    }
    if (fd === ENOSYS || fd === EPERM) best = 'look';
  }
  return undefined;
}
function chosen(): Way {
  const wish = process.env['VECINO_WORDS'];
  return wish === 'thread' || wish === 'look' ? wish : 'ring';
}
/** Whether the call may succeed once what has ended is reaped. */
export function isFull(result: number): boolean {
  return result === EBUSY || result === EAGAIN;
}
