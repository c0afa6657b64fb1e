/** What a descriptor is watched for, and its state: names for the bits that poll(2) and epoll(7) share. */
import { invalidArgument } from '../../system/errors.js';
import { constants } from '../../system/native.js';

/** What to watch for. Errors and hang-ups are always reported. */
export interface Interest {
  /** Bytes, a connection or the end can be received without blocking (POLLIN). */
  read?: boolean | undefined;
  /** A write does not block (POLLOUT). */
  write?: boolean | undefined;
  /** An exceptional condition, such as out-of-band data of TCP (POLLPRI). */
  priority?: boolean | undefined;
  /** The peer of a stream socket has closed its writing half (POLLRDHUP). */
  peerClosed?: boolean | undefined;
}

/** The state of a descriptor. */
export interface Events {
  /** Bytes, a connection or the end can be received without blocking (POLLIN). */
  readonly read: boolean;
  /** A write does not block (POLLOUT). */
  readonly write: boolean;
  /** An exceptional condition, such as out-of-band data of TCP (POLLPRI). */
  readonly priority: boolean;
  /** The peer has closed its writing half (POLLRDHUP). */
  readonly peerClosed: boolean;
  /** The other side has closed or died (POLLHUP). What it sent before can still be read. */
  readonly hangUp: boolean;
  /** The descriptor has failed, or the pipe has no reader any more (POLLERR). */
  readonly error: boolean;
  /** The descriptor is not open (POLLNVAL); poll only, because epoll forgets closed descriptors. */
  readonly invalid: boolean;
}

export const INTERESTS: Readonly<Record<string, number>> = {
  read: constants['POLLIN']!,
  write: constants['POLLOUT']!,
  priority: constants['POLLPRI']!,
  peerClosed: constants['POLLRDHUP']!,
};
const HUP = constants['POLLHUP']!;
const ERR = constants['POLLERR']!;
const NVAL = constants['POLLNVAL']!;

/** The bits of an interest. `others` are properties that belong to the caller. */
export function interestBits(
  argument: string,
  value: unknown,
  bits: Readonly<Record<string, number>>,
  others?: ReadonlySet<string>,
): number {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, 'an object such as { read: true }', value);
  }
  let result = 0;
  for (const [key, wanted] of Object.entries(value)) {
    const bit = bits[key];
    if (bit === undefined) {
      if (others?.has(key)) continue;
      const expected = `an object with no other properties than ${Object.keys(bits).join(', ')}`;
      throw invalidArgument('ERR_INVALID_ARG_VALUE', argument, expected, value);
    }
    if (wanted !== undefined && typeof wanted !== 'boolean') {
      throw invalidArgument('ERR_INVALID_ARG_TYPE', `${argument}.${key}`, 'a boolean', wanted);
    }
    if (wanted) result |= bit;
  }
  return result >>> 0;
}

export function decodeEvents(bits: number): Events {
  return {
    read: (bits & INTERESTS['read']!) !== 0,
    write: (bits & INTERESTS['write']!) !== 0,
    priority: (bits & INTERESTS['priority']!) !== 0,
    peerClosed: (bits & INTERESTS['peerClosed']!) !== 0,
    hangUp: (bits & HUP) !== 0,
    error: (bits & ERR) !== 0,
    invalid: (bits & NVAL) !== 0,
  };
}
