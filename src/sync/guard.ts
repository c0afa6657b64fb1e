/** A held lock. */

import type { Deadline } from '../system/deadline.js';
import { EPERM } from '../system/errno.js';
import { SystemError } from '../system/errors.js';

/**
 * A held lock. Release it, best with `using`. If you drop a guard, its lock stays held until its thread ends, because it is unknown whether
 * the work under it was finished.
 *
 * It belongs to the thread that acquired it.
 */
export interface Guard extends Disposable {
  /**
   * Whether the previous owner died while it held the lock. The protected data may be half changed: repair it, then call
   * {@link Guard.markConsistent}. If you release without that, the lock becomes unusable for all processes (`ENOTRECOVERABLE`).
   */
  readonly ownerDied: boolean;
  /** Whether this guard holds the lock: false once it is released. */
  readonly held: boolean;
  /** Declares the protected data repaired. Does nothing if the previous owner did not die. */
  markConsistent(): void;
  /**
   * Releases the lock.
   *
   * @throws SystemError `EPERM` if this guard has released it already
   * @throws CorruptError if another process overwrote the lock while it was held
   */
  release(): void;
}

/** What a lock does for its guards. */
export interface Guarded {
  release(): void;
  markConsistent(): void;
  /** For locks that conditions can use: acquires it again. Whether the previous owner died. */
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

  /** For conditions: the lock, to release and acquire again. Undefined if this guard does not hold one. */
  get lock(): Guarded | undefined {
    return this.#lock;
  }
  /** For conditions: the lock was acquired again. */
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
