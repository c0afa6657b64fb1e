/** What whoever holds a lock has in hand. */

import type { Deadline } from '../system/deadline.js';
import { EPERM } from '../system/errno.js';
import { SystemError } from '../system/errors.js';

/**
 * A lock that is held. Release it, best by `using`: a guard that is dropped and collected leaves the lock taken until its thread
 * ends, since nobody can know whether its work was done.
 *
 * It belongs to the thread that took it and to nobody else.
 */
export interface Guard extends Disposable {
  /**
   * Whether the previous owner died while it held the lock. What the lock protects may be half changed: repair it, then call
   * {@link Guard.markConsistent}. Releasing without that makes the lock unusable for everybody (`ENOTRECOVERABLE`).
   */
  readonly ownerDied: boolean;
  /** Whether the lock is held by this guard: false once it is released. */
  readonly held: boolean;
  /** What is protected is in order again. Does nothing if the previous owner did not die. */
  markConsistent(): void;
  /**
   * Gives the lock back.
   *
   * @throws SystemError `EPERM` if this guard has given it back already
   * @throws CorruptError if somebody overwrote the lock while it was held
   */
  release(): void;
}

/** What a guard can do is its lock's affair. */
export interface Guarded {
  release(): void;
  markConsistent(): void;
  /** For conditions, of locks that can be used with them: takes it again; whether the previous owner died. */
  relock?(deadline: Deadline): Promise<boolean>;
  relockSync?(deadline: Deadline): boolean;
}

export class LockGuard implements Guard {
  /** Undefined once released. */
  #lock: Guarded | undefined;
  #ownerDied: boolean;

  constructor(lock: Guarded, ownerDied: boolean) {
    this.#lock = lock;
    this.#ownerDied = ownerDied;
  }
  get ownerDied(): boolean {
    return this.#ownerDied;
  }
  get held(): boolean {
    return this.#lock !== undefined;
  }
  markConsistent(): void {
    const lock = this.#lock;
    if (lock === undefined) throw notHeld();
    if (this.#ownerDied) lock.markConsistent();
  }
  release(): void {
    const lock = this.#lock;
    if (lock === undefined) throw notHeld();
    this.#lock = undefined;
    lock.release();
  }
  [Symbol.dispose](): void {
    if (this.#lock !== undefined) this.release();
  }

  /** For conditions: the lock, to be given back and taken again; undefined if this guard does not hold one. */
  get lock(): Guarded | undefined {
    return this.#lock;
  }
  /** For conditions: it was taken again. */
  renew(lock: Guarded, ownerDied: boolean): void {
    this.#lock = lock;
    this.#ownerDied = ownerDied;
  }
}

export function notHeld(): SystemError {
  return new SystemError(EPERM, 'release', {
    hint: 'The lock is not held by this thread. Only the thread that acquired it can release it, once',
  });
}
