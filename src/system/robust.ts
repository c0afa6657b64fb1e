/** Robust futexes, get_robust_list(2): locks whose owner's death the kernel reports. See native/robust.c. */
import { EILSEQ, EPERM } from './errno.js';
import { native } from './native.js';

declare module './native.js' {
  interface Native {
    // robust.c
    lockRegister(view: ArrayBufferView, offset: number, bare: boolean): number;
    lockForget(id: number): number;
    /** The number of the lock for the next call, and that call's result. */
    readonly lockCall: ArrayBuffer;
    lockAcquire(): void;
    lockAcquireAwaited(id: number): number;
    lockRelease(): void;
    lockAbandon(id: number): number;
    lockConsistent(id: number): number;
    lockStore(id: number, offset: number, value: number): number;
    locksHeld(): number;
  }
}

/** The bytes of a robust futex: the lock word first, the list's pointers last. As large as glibc's pthread_mutex_t. */
export const ROBUST_BYTES = 40;
/** A mutex's kind as glibc has it (the word at byte 16): process-shared, robust, error-checking. */
export const ROBUST_KIND = 128 | 16 | 2;
/** Bits of the lock word. */
export const FUTEX_WAITERS = 0x80000000 | 0;
export const FUTEX_OWNER_DIED = 0x40000000;
export const FUTEX_TID_MASK = 0x3fffffff;

/** Held by this thread. */
/** Not held by this thread. */
/** The memory is closed. */
/** No mutex of this kind (any more). */
/** Overwritten while it was held. */
/** Too many are held. */

/** This thread's id, as lock words have it. Asks the kernel: for slow paths. */
export function threadId(): number {
  return native.gettid();
}

const { lockAcquire, lockRelease } = native;
const call = new Int32Array(native.lockCall);
/** Tries to acquire the lock of that number: 0, or an errno negated. */
export function acquire(id: number): number {
  call[0] = id;
  lockAcquire();
  return call[1]!;
}
/** Releases it: 0, {@link EPERM}, or {@link EILSEQ}. */
export function release(id: number): number {
  call[0] = id;
  lockRelease();
  return call[1]!;
}
