/**
 * The kind of a `pthread_mutex_t`, as glibc stores it: what a C program set with `pthread_mutexattr_set…`.
 *
 *     bits 0, 1 type   4 robust   5 priority inheritance   6 priority ceiling   7 process-shared   8, 9 lock elision: yes, no
 *
 * The type says what C does when a thread locks twice or unlocks what it does not hold; vecino treats all types alike. C sets bit 9 when
 * the type is set explicitly to PTHREAD_MUTEX_NORMAL or PTHREAD_MUTEX_DEFAULT. It never elides a robust lock, so bits 8 and 9 have no
 * effect here.
 */

/** In words, from the beginning of the lock. */
export const KIND = 4;
const TYPE = 3;
const ROBUST = 1 << 4;
const INHERIT = 1 << 5;
const CEILING = 1 << 6;
const SHARED = 1 << 7;
const ELISION = (1 << 8) | (1 << 9);

/** Why vecino cannot use a mutex of that kind, and what to do; undefined if it can. */
export function whyNot(kind: number): string | undefined {
  const rest = kind & ~(TYPE | ELISION);
  if (rest === (ROBUST | SHARED)) return undefined;
  const missing: string[] = [];
  if ((rest & ~(ROBUST | SHARED | INHERIT | CEILING)) === 0 && kind !== 0) {
    if ((rest & SHARED) === 0) missing.push('pthread_mutexattr_setpshared(…, PTHREAD_PROCESS_SHARED)');
    if ((rest & ROBUST) === 0) missing.push('pthread_mutexattr_setrobust(…, PTHREAD_MUTEX_ROBUST)');
    if ((rest & (INHERIT | CEILING)) !== 0) missing.push('pthread_mutexattr_setprotocol(…, PTHREAD_PRIO_NONE)');
    return `The C program that initialised it must call ${missing.join(' and ')} before pthread_mutex_init`;
  }
  return 'Create it with Mutex.create(), or in C with pthread_mutexattr_setpshared and pthread_mutexattr_setrobust';
}
