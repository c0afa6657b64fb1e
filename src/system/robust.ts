/** Robust futexes, get_robust_list(2): locks whose owner's death the kernel reports. See native/robust.c. */
import { errno } from './errors.js';
import { native } from './native.js';

declare module './native.js' {
  interface Native {
    // robust.c
    lockRegister(view: View, offset: number, bare: boolean): number;
    lockForget(id: number): number;
    /** The number of the lock that the next call is about, and what that gave. */
    readonly lockCall: ArrayBuffer;
    lockTake(): void;
    lockTakeAwaited(id: number): number;
    lockGive(): void;
    lockAbandon(id: number): number;
    lockConsistent(id: number): number;
    lockStore(id: number, offset: number, value: number): number;
    locksHeld(): number;
  }
}

/** What a robust futex needs, in bytes: the lock word first, the list's pointers last. As large as glibc's pthread_mutex_t. */
export const ROBUST_BYTES = 40;
/** A mutex's kind as glibc has it (the word at byte 16): process-shared, robust, error-checking. */
export const ROBUST_KIND = 128 | 16 | 2;
/** In the lock word. */
export const FUTEX_WAITERS = 0x80000000 | 0;
export const FUTEX_OWNER_DIED = 0x40000000;
export const FUTEX_TID_MASK = 0x3fffffff;

export const EBUSY: number = -errno['EBUSY']!;
export const EOWNERDEAD: number = -errno['EOWNERDEAD']!;
export const ENOTRECOVERABLE: number = -errno['ENOTRECOVERABLE']!;
/** Held by this thread. */
export const EDEADLK: number = -errno['EDEADLK']!;
/** Not held by this thread. */
export const EPERM: number = -errno['EPERM']!;
/** The memory is closed. */
export const EBADF: number = -errno['EBADF']!;
/** No mutex of this kind (any more). */
export const EINVAL: number = -errno['EINVAL']!;
/** Overwritten while it was held. */
export const EILSEQ: number = -errno['EILSEQ']!;
/** Too many are held. */
export const EAGAIN: number = -errno['EAGAIN']!;

/** This thread's id, as lock words have it. Asks the kernel: for slow paths. */
export function threadId(): number {
  return native.gettid();
}

const { lockTake, lockGive } = native;
const call = new Int32Array(native.lockCall);
/** One try for the lock of that number: 0, or an errno negated. */
export function take(id: number): number {
  call[0] = id;
  lockTake();
  return call[1]!;
}
/** Gives it back: 0, {@link EPERM}, or {@link EILSEQ}. */
export function give(id: number): number {
  call[0] = id;
  lockGive();
  return call[1]!;
}
