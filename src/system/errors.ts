/** vecino's errors, one class for each kind of failure. All but argument errors derive from {@link IpcError}. */
import { constants as os } from 'node:os';
import { inspect } from 'node:util';
import { native } from './native.js';

/** The base of vecino's errors. `code` is stable; the message is for people. */
export class IpcError extends Error {
  /** `ERR_VECINO_…`, or the kernel's name of the error: `ENOENT`. */
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
  static {
    IpcError.prototype.name = 'IpcError';
  }
}

const names = new Map<number, string>(Object.entries(os.errno).map(([name, number]) => [number, name]));
for (const [name, number] of [
  ['EAGAIN', 11], // also EWOULDBLOCK
  ['EOPNOTSUPP', 95], // also ENOTSUP
  ['EOWNERDEAD', 130],
  ['ENOTRECOVERABLE', 131],
] as const) {
  names.set(number, name);
}
/** The name of an errno (`2` or `-2`): `'ENOENT'`. */
export function errnoName(errno: number): string {
  return names.get(Math.abs(errno)) ?? `E${Math.abs(errno)}`;
}
/** Errnos by name, positive, as in errno(3). */
export const errno: Readonly<Record<string, number>> = Object.freeze(
  Object.fromEntries([...names].map(([number, name]) => [name, number])),
);

/** What was attempted when the kernel refused it. */
export interface SystemErrorContext {
  /** The path, name or descriptor that the call was about. */
  path?: string;
  /** What to do about it, as a sentence. */
  hint?: string | undefined;
  /** The error that caused this one. */
  cause?: unknown;
}

/** The kernel refused a call. `errno` is negative and `code` its name, as in Node's own errors; see errno(3). */
export class SystemError extends IpcError {
  /** The kernel's number, negative: `-2`. */
  readonly errno: number;
  /** The call that failed: `shm_open`. */
  readonly syscall: string;
  /** What the call was about: a path, a name, a descriptor. */
  readonly path?: string;
  constructor(number: number, syscall: string, context: SystemErrorContext = {}) {
    const code = errnoName(number);
    const text = native.strerror(Math.abs(number));
    const about = context.path === undefined ? '' : ` '${context.path}'`;
    const hint = context.hint === undefined ? '' : `. ${context.hint}`;
    super(
      code,
      `${code}: ${text}, ${syscall}${about}${hint}`,
      context.cause === undefined ? undefined : { cause: context.cause },
    );
    this.errno = -Math.abs(number);
    this.syscall = syscall;
    if (context.path !== undefined) this.path = context.path;
  }
  static {
    SystemError.prototype.name = 'SystemError';
  }
}

/** The `timeout` of a wait is over; nothing was done. */
export class TimeoutError extends IpcError {
  constructor(what: string, milliseconds: number) {
    super('ERR_VECINO_TIMEOUT', `${what}: timed out after ${Math.ceil(milliseconds)} ms`);
  }
  static {
    TimeoutError.prototype.name = 'TimeoutError';
  }
}

/** The object was used after `close()`, or closed during the call. */
export class ClosedError extends IpcError {
  constructor(what: string) {
    super('ERR_VECINO_CLOSED', `${what} is closed`);
  }
  static {
    ClosedError.prototype.name = 'ClosedError';
  }
}

/** The other process has died, or exited without closing. */
export class PeerDiedError extends IpcError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_VECINO_PEER_DIED', message, options);
  }
  static {
    PeerDiedError.prototype.name = 'PeerDiedError';
  }
}

/** Shared memory or a file is corrupt: truncated, overwritten, or created by something else. */
export class CorruptError extends IpcError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_VECINO_CORRUPT', message, options);
  }
  static {
    CorruptError.prototype.name = 'CorruptError';
  }
}

/** The message is larger than the channel accepts. */
export class MessageTooLargeError extends IpcError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_VECINO_MESSAGE_TOO_LARGE', message, options);
  }
  static {
    MessageTooLargeError.prototype.name = 'MessageTooLargeError';
  }
}

/**
 * The codec cannot carry the value so that it arrives equal. `path` says which part is the cause, as you would write it:
 * `value.items[3].when`.
 */
export class NotEncodableError extends IpcError {
  /** The part of the value that is the cause: `value.items[3].when`. */
  readonly path: string;
  /** @param reason what is wrong with that part and what to do; it continues the sentence that `path` begins */
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super('ERR_VECINO_NOT_ENCODABLE', `${path} ${reason}`, options);
    this.path = path;
  }
  static {
    NotEncodableError.prototype.name = 'NotEncodableError';
  }
}

/** The files behind the name were removed from outside while they were in use. */
export class RemovedError extends IpcError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_VECINO_REMOVED', message, options);
  }
  static {
    RemovedError.prototype.name = 'RemovedError';
  }
}

/** The name exists already, with another kind of channel, codec or size. */
export class MismatchError extends IpcError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_VECINO_MISMATCH', message, options);
  }
  static {
    MismatchError.prototype.name = 'MismatchError';
  }
}

/** This kernel or runtime does not support it. */
export class UnsupportedError extends IpcError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_VECINO_UNSUPPORTED', message, options);
  }
  static {
    UnsupportedError.prototype.name = 'UnsupportedError';
  }
}

/** The result of a native call, or a {@link SystemError} if it is negative. */
export function check(result: number, syscall: string, context?: SystemErrorContext): number {
  if (result < 0) throw new SystemError(result, syscall, context);
  return result;
}

/** Converts an error of node:fs to ours; other errors stay as they are. */
export function systemError(error: unknown, syscall: string, context: SystemErrorContext): unknown {
  const { errno } = error as NodeJS.ErrnoException;
  if (error instanceof IpcError || typeof errno !== 'number') return error;
  return new SystemError(errno, syscall, { cause: error, ...context });
}

/** A `TypeError` or `RangeError` with Node's code for a bad argument. */
export function invalidArgument(
  code: 'ERR_INVALID_ARG_TYPE' | 'ERR_INVALID_ARG_VALUE' | 'ERR_OUT_OF_RANGE',
  argument: string,
  expected: string,
  value: unknown,
): TypeError | RangeError {
  const shown = inspect(value, { breakLength: Number.POSITIVE_INFINITY, maxStringLength: 60, depth: 0 });
  const message = `${argument} must be ${expected}; got ${shown}`;
  const error = code === 'ERR_OUT_OF_RANGE' ? new RangeError(message) : new TypeError(message);
  return Object.assign(error, { code });
}
