/** POSIX semaphores in shared memory, sem_overview(7), and where the C library keeps their fields. */
import { constants, native } from './native.js';

declare module './native.js' {
  interface Native {
    // semaphore.c
    semInit(view: Int32Array, offset: number, value: number): number;
    semTrywait(view: Int32Array, offset: number): number;
    semPost(view: Int32Array, offset: number): number;
    semGetvalue(view: Int32Array, offset: number): number;
    semTimedwait(view: Int32Array, offset: number, milliseconds: number): number;
    semRegister(view: Int32Array, offset: number, waiters: 1 | -1): number;
  }
}

/** The size of a sem_t in bytes. */
export const SEM_SIZE: number = constants['SEM_SIZE']!;
/** The largest number of permits of a semaphore. */
export const SEM_VALUE_MAX: number = constants['SEM_VALUE_MAX']!;
/** The file of the named semaphore `name`, as this machine's sem_open(3) creates it. */
export function semaphorePath(name: string): string {
  return `/dev/shm/${constants['SEM_FILE_PREFIX'] === 1 ? 'sem.' : ''}${name}`;
}

/**
 * The GNU C library's sem_t on 64-bit machines (since 2.21), as 32-bit words: the value, on which waiters sleep, the number of waiters, and
 * a mark of process-shared semaphores.
 */
export const VALUE = 0;
export const WAITERS = 1;
export const MARK = 2;
export const SHARED_MARK = 0x80;

/** Whether this machine's sem_t has that layout. If not (musl), everything goes through the C library. */
export const layout: { known: boolean } = { known: isKnown() };

function isKnown(): boolean {
  const words = new Int32Array(16).fill(-1);
  const is = (value: number, waiters: number) =>
    words[VALUE] === value && words[WAITERS] === waiters && words[MARK] === SHARED_MARK;
  if (SEM_SIZE !== 32 || native.semInit(words, 0, 5) !== 0 || !is(5, 0)) return false;
  words[WAITERS] = 3; // as if there were sleepers: sem_post makes its system call, which wakes none
  if (native.semPost(words, 0) !== 0 || !is(6, 3)) return false;
  if (native.semTrywait(words, 0) !== 0 || !is(5, 3)) return false;
  return native.semRegister(words, 0, 1) === 5 && is(5, 4);
}
