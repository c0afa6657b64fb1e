/** futex(2) on a word of shared memory. */

import { checkFlags, checkInteger, checkWord } from './arguments.js';
import { Deadline, type SyncWaitOptions, type WaitOptions } from './deadline.js';
import { EAGAIN, EINTR, ETIMEDOUT } from './errno.js';
import { check } from './errors.js';
import { native } from './native.js';
import { waitWord } from './word-wait.js';

/**
 * Blocks the thread while `words[index]` is `expected`, until {@link futexWake}. Returns at once (`false`) if it is not. Wake-ups may be
 * spurious, so check again. If the process that should wake it dies, the kernel wakes no waiter: that is up to you.
 */
export function futexWait(words: Int32Array, index: number, expected: number, options?: SyncWaitOptions): boolean {
  checkWord(words, index);
  checkFlags('expected', expected);
  const deadline = new Deadline('wait on a futex', options);
  for (;;) {
    const result = native.futexWait(words, index * 4, expected >>> 0, deadline.block());
    if (result === EAGAIN) return false;
    if (result === EINTR) continue;
    if (result !== ETIMEDOUT) return check(result, 'futex') === 0;
  }
}
/**
 * {@link futexWait} without blocking. Resolves once `words[index]` is no longer `expected` and {@link futexWake} was called; at once if it
 * is not `expected` now. It may also resolve spuriously, so check again. Needs no thread on Linux 6.7 and later; see
 * `docs/locks-and-death.md`.
 *
 * If it times out or is aborted, a wake-up that it may have used up goes to the next waiter.
 *
 * @example
 * ```ts
 * import { futexWaitAsync, futexWake, SharedMemory } from 'vecino';
 *
 * using memory = SharedMemory.anonymous(4096);
 * const words = new Int32Array(memory.buffer);
 * const waiting = futexWaitAsync(words, 0, 0);
 * Atomics.store(words, 0, 1);
 * futexWake(words, 0);
 * await waiting;
 * console.log('word', words[0]); // word 1
 * ```
 */
export async function futexWaitAsync(
  words: Int32Array,
  index: number,
  expected: number,
  options?: WaitOptions,
): Promise<void> {
  checkWord(words, index);
  checkFlags('expected', expected);
  await waitWord(words, index, expected, new Deadline('wait on a futex', options));
}
/** Wakes up to `count` threads that wait on `words[index]`, in this process and others, and returns their number. */
export function futexWake(words: Int32Array, index: number, count = 1): number {
  checkWord(words, index);
  return check(native.futexWake(words, index * 4, checkInteger('count', count, 0, 0x7fffffff)), 'futex');
}
