/** poll(2): any number of descriptors of any kind, passed to the kernel again with each call. */

import { checkDescriptor } from '../../system/arguments.js';
import { Deadline, type SyncWaitOptions, type WaitOptions } from '../../system/deadline.js';
import { EINTR } from '../../system/errno.js';
import { check, invalidArgument } from '../../system/errors.js';
import { native } from '../../system/native.js';
import { decodeEvents, type Events, INTERESTS, type Interest, interestBits } from './events.js';
import { lookUntil } from './many.js';
import { type Timeout, timeoutOptions } from './timeout.js';

/** A descriptor and what to watch it for. You may add properties; they come back with the result. */
export interface PollEntry extends Interest {
  /** The descriptor; keep it open while it is watched. */
  fd: number;
}
/** An entry whose descriptor is ready. */
export interface PollResult<Entry extends PollEntry = PollEntry> {
  /** The descriptor. */
  fd: number;
  /** Its state. */
  events: Events;
  /** The entry itself, with your own properties. */
  entry: Entry;
}

const { poll: pollCall } = native;

class Polling<Entry extends PollEntry> {
  readonly #entries: Entry[];
  /** struct pollfd: an int and two shorts. */
  readonly #fds: Int32Array;
  readonly #shorts: Int16Array;
  /** What epoll watches each descriptor for. */
  readonly bits = new Map<number, number>();

  constructor(entries: Iterable<Entry>) {
    if (typeof entries !== 'object' || entries === null || typeof entries[Symbol.iterator] !== 'function') {
      throw invalidArgument('ERR_INVALID_ARG_TYPE', 'entries', 'a list such as [{ fd, read: true }]', entries);
    }
    this.#entries = [...entries];
    this.#fds = new Int32Array(2 * this.#entries.length);
    this.#shorts = new Int16Array(this.#fds.buffer);
    for (const [index, entry] of this.#entries.entries()) {
      const argument = `entries[${index}]`;
      if (typeof entry !== 'object' || entry === null) {
        throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, 'an object such as { fd, read: true }', entry);
      }
      const fd = checkDescriptor(`${argument}.fd`, entry.fd);
      const { read, write, priority, peerClosed } = entry;
      const wanted = interestBits(argument, { read, write, priority, peerClosed }, INTERESTS);
      this.#fds[2 * index] = fd;
      this.#shorts[4 * index + 2] = wanted;
      this.bits.set(fd, (this.bits.get(fd) ?? 0) | wanted);
    }
  }
  /** One call; `undefined` if nothing was ready in time. */
  look(milliseconds: number): PollResult<Entry>[] | undefined {
    const result = pollCall(this.#fds, milliseconds);
    if (result === 0 || result === EINTR) return undefined;
    check(result, 'poll', {
      hint: 'There are more entries than the process may open descriptors (RLIMIT_NOFILE)',
    });
    const found: PollResult<Entry>[] = [];
    for (const [index, entry] of this.#entries.entries()) {
      const bits = this.#shorts[4 * index + 3]!;
      if (bits !== 0) found.push({ fd: this.#fds[2 * index]!, events: decodeEvents(bits), entry });
    }
    return found;
  }
}

/**
 * Resolves with the ready entries, in their order, once there is at least one. Does not block the event loop, and uses no thread: an epoll
 * waits for all of them, and then a poll(2) with time-out 0 finds the ready ones. Do not close the descriptors meanwhile.
 *
 * A descriptor that is not open is reported at once, as `invalid`. A descriptor can be in several entries.
 * @param timeout milliseconds, or {@link WaitOptions}
 * @throws TimeoutError when the time is up
 *
 * @example
 * ```ts
 * import { readiness } from 'vecino';
 * import { close, pipe2 } from 'vecino/system';
 *
 * const [reader, writer] = pipe2();
 * setTimeout(() => close(writer), 10);
 * const [found] = await readiness.poll([{ fd: reader, read: true, name: 'pipe' }], 1000);
 * console.log(found?.entry.name, found?.events.hangUp); // pipe true
 * ```
 */
export async function poll<Entry extends PollEntry>(
  entries: Iterable<Entry>,
  timeout?: Timeout<WaitOptions>,
): Promise<PollResult<Entry>[]> {
  const deadline = new Deadline('poll', timeoutOptions(timeout));
  const polling = new Polling(entries);
  return lookUntil(() => polling.look(0), polling.bits, deadline, 'poll');
}
/** Returns what is ready now; `undefined` if nothing is. */
export function tryPoll<Entry extends PollEntry>(entries: Iterable<Entry>): PollResult<Entry>[] | undefined {
  return new Polling(entries).look(0);
}
/** As {@link poll}, but blocks the thread in poll(2). */
export function pollSync<Entry extends PollEntry>(
  entries: Iterable<Entry>,
  timeout?: Timeout<SyncWaitOptions>,
): PollResult<Entry>[] {
  const deadline = new Deadline('poll', timeoutOptions(timeout));
  const polling = new Polling(entries);
  for (let first = true; ; first = false) {
    const found = polling.look(first && deadline.expired ? 0 : deadline.block());
    if (found !== undefined) return found;
  }
}
