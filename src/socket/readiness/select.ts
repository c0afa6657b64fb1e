/** select(2): the oldest of the three, the most portable, and only for descriptors below 1024. */
import { Deadline, type SyncWaitOptions, type WaitOptions } from '../../system/deadline.js';
import { errnoName, invalidArgument, SystemError } from '../../system/errors.js';
import { fcntl } from '../../system/file.js';
import { constants } from '../../system/native.js';
import { DescriptorSets, FD_SETSIZE, select as selectCall } from '../../system/select.js';
import { lookUntil } from './many.js';
import { type Timeout, timeoutOptions } from './timeout.js';

/** Descriptors to watch; each can be in several lists. */
export interface SelectSets {
  /** Watch for reading without blocking; the end and a hang-up count. */
  read?: Iterable<number> | undefined;
  /** Watch for writing without blocking. */
  write?: Iterable<number> | undefined;
  /** Watch for exceptional conditions, such as out-of-band data of TCP. */
  except?: Iterable<number> | undefined;
}
/** The ready descriptors, in the order given, each once. */
export interface SelectResult {
  /** Reading does not block. */
  read: number[];
  /** Writing does not block. */
  write: number[];
  /** There is an exceptional condition. */
  except: number[];
}

const KEYS = ['read', 'write', 'except'] as const;
const BITS = [constants['POLLIN']!, constants['POLLOUT']!, constants['POLLPRI']!] as const;

class Selection {
  readonly #lists: number[][] = [];
  readonly #wanted = new DescriptorSets();
  readonly #found = new DescriptorSets();
  /** What epoll watches each descriptor for. */
  readonly bits = new Map<number, number>();

  constructor(sets: SelectSets) {
    if (typeof sets !== 'object' || sets === null) {
      throw invalidArgument('ERR_INVALID_ARG_TYPE', 'sets', 'an object such as { read: [fd] }', sets);
    }
    for (const key of Object.keys(sets)) {
      if (!(KEYS as readonly string[]).includes(key)) {
        throw invalidArgument(
          'ERR_INVALID_ARG_VALUE',
          'sets',
          'an object with no other lists than read, write, except',
          sets,
        );
      }
    }
    for (const [set, key] of KEYS.entries()) {
      const list = sets[key] ?? [];
      if (typeof list === 'string' || typeof list[Symbol.iterator] !== 'function') {
        throw invalidArgument('ERR_INVALID_ARG_TYPE', `sets.${key}`, 'a list of descriptors', list);
      }
      const unique = [...new Set(list)];
      for (const fd of unique) {
        checkSelectable(`sets.${key}`, fd);
        this.#wanted.add(set as 0 | 1 | 2, fd);
        this.bits.set(fd, (this.bits.get(fd) ?? 0) | BITS[set]!);
      }
      this.#lists.push(unique);
    }
  }
  /** One call; `undefined` if nothing was ready in time. */
  look(milliseconds: number): SelectResult | undefined {
    this.#found.copyFrom(this.#wanted);
    let count: number | undefined;
    try {
      count = selectCall(this.#found, milliseconds);
    } catch (error) {
      throw this.#explain(error);
    }
    if (count === undefined || count === 0) return undefined;
    const [read, write, except] = this.#lists.map((list, set) =>
      list.filter((fd) => this.#found.has(set as 0 | 1 | 2, fd)),
    ) as [number[], number[], number[]];
    return { read, write, except };
  }
  /** select(2) does not say which descriptor is not open. */
  #explain(error: unknown): unknown {
    if (!(error instanceof SystemError) || error.code !== 'EBADF') return error;
    for (const fd of this.bits.keys()) {
      try {
        fcntl(fd, constants['F_GETFD']!);
      } catch (cause) {
        if (cause instanceof SystemError && errnoName(cause.errno) === 'EBADF')
          return new SystemError(error.errno, 'select', { path: `fd ${fd}`, hint: 'The descriptor is not open' });
      }
    }
    return error;
  }
}
function checkSelectable(argument: string, fd: unknown): void {
  if (typeof fd !== 'number') throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, 'a list of numbers', fd);
  if (!Number.isInteger(fd) || fd < 0 || fd >= FD_SETSIZE) {
    const expected = `a list of descriptors from 0 to ${FD_SETSIZE - 1} (the limit of select; use poll or Epoll for higher ones)`;
    throw invalidArgument('ERR_OUT_OF_RANGE', argument, expected, fd);
  }
}

/**
 * Resolves with the ready descriptors, once there is at least one. Does not block the event loop, and uses no thread: an epoll waits for
 * all of them, and then a select(2) with time-out 0 finds the ready ones. Do not close the descriptors meanwhile.
 *
 * Descriptors must be below 1024 (`RangeError`), the limit of the kernel's sets. A descriptor that is not open causes `EBADF`.
 * @param timeout milliseconds, or {@link WaitOptions}
 * @throws TimeoutError when the time is up
 *
 * @example
 * ```ts
 * import { readiness } from 'vecino';
 * import { pipe2, write } from 'vecino/system';
 *
 * const [reader, writer] = pipe2();
 * setTimeout(() => write(writer, new Uint8Array(1)), 10);
 * const { read } = await readiness.select({ read: [reader] }, 1000);
 * console.log(read[0] === reader); // true
 * ```
 */
export async function select(sets: SelectSets, timeout?: Timeout<WaitOptions>): Promise<SelectResult> {
  const deadline = new Deadline('select', timeoutOptions(timeout));
  const selection = new Selection(sets);
  return lookUntil(() => selection.look(0), selection.bits, deadline, 'select');
}
/** Returns what is ready now; `undefined` if nothing is. */
export function trySelect(sets: SelectSets): SelectResult | undefined {
  const selection = new Selection(sets);
  return selection.look(0);
}
/** As {@link select}, but blocks the thread in select(2). */
export function selectSync(sets: SelectSets, timeout?: Timeout<SyncWaitOptions>): SelectResult {
  const deadline = new Deadline('select', timeoutOptions(timeout));
  const selection = new Selection(sets);
  for (let first = true; ; first = false) {
    const found = selection.look(first && deadline.expired ? 0 : deadline.block());
    if (found !== undefined) return found;
  }
}
