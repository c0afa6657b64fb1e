/** select(2): blocks the thread until one of a few descriptors is ready. */

import { checkInteger } from './arguments.js';
import { EBADF, EINTR } from './errno.js';
import { check, invalidArgument, SystemError } from './errors.js';
import { constants, native } from './native.js';

declare module './native.js' {
  interface Native {
    // select.c
    select(count: number, sets: ArrayBufferView, milliseconds: number): number;
  }
}

/** How many descriptors a set holds: select(2) supports 0 to 1023, and the memory beyond the set is not its own. */
export const FD_SETSIZE: number = constants['FD_SETSIZE']!;
/** 32-bit words of one set. */
const WORDS = FD_SETSIZE / 32;

/** The three sets of select(2), in the kernel's layout. */
export class DescriptorSets {
  readonly #words = new Int32Array(3 * WORDS);
  #count = 0;
  /** Their bits: the three sets one after another. */
  get words(): Int32Array {
    return this.#words;
  }
  /** One more than the highest descriptor. */
  get count(): number {
    return this.#count;
  }
  /**
   * Puts a descriptor, 0 to 1023, into a set.
   * @param set 0: read, 1: write, 2: exceptional conditions
   */
  add(set: 0 | 1 | 2, fd: number): void {
    checkInteger('fd', fd, 0, FD_SETSIZE - 1);
    this.#words[set * WORDS + (fd >> 5)]! |= 1 << (fd & 31);
    if (fd >= this.#count) this.#count = fd + 1;
  }
  /** Whether a descriptor is in a set, numbered as for {@link add}. */
  has(set: 0 | 1 | 2, fd: number): boolean {
    return (this.#words[set * WORDS + (fd >> 5)]! & (1 << (fd & 31))) !== 0;
  }
  /** The descriptors from `first` on, each once. */
  *from(first: number): Generator<number> {
    for (let fd = first; fd < this.#count; fd++) if (this.has(0, fd) || this.has(1, fd) || this.has(2, fd)) yield fd;
  }
  /** Copies the sets of another object. */
  copyFrom(other: DescriptorSets): void {
    this.#words.set(other.#words);
    this.#count = other.#count;
  }
}

/**
 * How many descriptors the process's table certainly has room for. select(2) ignores numbers beyond it instead of reporting `EBADF` (BUGS
 * in its man page). The table holds 64 at first and never shrinks, so a number is checked only once.
 */
let tableSize = 64;
function checkBeyondTable(sets: DescriptorSets): void {
  for (const fd of sets.from(tableSize)) {
    if (native.fcntl(fd, constants['F_GETFD']!, 0) < 0)
      throw new SystemError(EBADF, 'select', { path: `fd ${fd}`, hint: 'The descriptor is not open' });
    tableSize = fd + 1;
  }
}

/**
 * Leaves the ready descriptors in `sets` and returns their number: 0 when `milliseconds` (-1: no limit) are over. `undefined` if a signal
 * came first; then the content of `sets` is undefined.
 */
export function select(sets: DescriptorSets, milliseconds: number): number | undefined {
  if (!(sets instanceof DescriptorSets)) {
    throw invalidArgument('ERR_INVALID_ARG_TYPE', 'sets', 'DescriptorSets', sets);
  }
  if (sets.count > tableSize) checkBeyondTable(sets);
  const result = native.select(sets.count, sets.words, milliseconds);
  return result === EINTR ? undefined : check(result, 'select');
}
