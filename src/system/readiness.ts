/**
 * Waits for a descriptor in the event loop: libuv's poll handles, which cost no thread.
 *
 * libuv accepts one handle per descriptor, so all waits on it in this thread share a {@link Watch}. A watch that fires without a waiter
 * stops; until then it stays armed, because arming costs a system call and the next wait usually comes soon. It does not keep the event
 * loop alive; the waits do that (keep-alive.ts).
 */

import { checkDescriptor } from './arguments.js';
import { Deadline, type WaitOptions } from './deadline.js';
import { EEXIST } from './errno.js';
import { ClosedError, check, errnoName, SystemError } from './errors.js';
import { close, dup } from './file.js';
import { KeepAlive, program } from './keep-alive.js';
import { constants, type NativeWatch, native } from './native.js';

export const READABLE: number = constants['UV_READABLE']!;
export const WRITABLE: number = constants['UV_WRITABLE']!;

/** A waiter: notified once, then forgotten. With an error, the wait is over for good. */
export interface Waiter {
  readonly events: number;
  settle(error?: unknown): void;
}

class Watch {
  readonly fd: number;
  users = 0;
  readonly #handle: NativeWatch;
  /** A second descriptor, where the loop already polls the first (stdin of a TTY, for instance). */
  readonly #own: number | undefined;
  #armed = 0;
  #waiters: Waiter[] = [];

  constructor(fd: number) {
    this.fd = fd;
    let handle = native.watchOpen(fd, this.#fired);
    if (handle === EEXIST) {
      this.#own = dup(fd);
      handle = native.watchOpen(this.#own, this.#fired);
    }
    if (typeof handle === 'number') {
      if (this.#own !== undefined) close(this.#own);
      const hint =
        errnoName(handle) === 'EPERM' ? 'Regular files are always ready; there is nothing to wait for' : undefined;
      throw new SystemError(handle, 'uv_poll_init', { path: `fd ${fd}`, hint });
    }
    this.#handle = handle;
    native.watchKeepAlive(handle, false);
  }

  add(waiter: Waiter): void {
    this.#arm(this.#armed | waiter.events);
    this.#waiters.push(waiter);
  }
  remove(waiter: Waiter): void {
    const index = this.#waiters.indexOf(waiter);
    if (index >= 0) this.#waiters.splice(index, 1);
  }
  wait(events: number, deadline: Deadline): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = deadline;
      if (signal?.aborted) return reject(signal.reason);
      let callOff = () => {};
      const waiter: Waiter = {
        events,
        settle: (error) => {
          this.remove(waiter);
          callOff();
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      try {
        this.add(waiter);
      } catch (error) {
        return reject(error);
      }
      callOff = deadline.onEnd(waiter.settle);
    });
  }
  /** The last user closes the handle. With `error`, every wait ends with it: the descriptor is about to be closed. */
  release(error?: unknown): void {
    if (error !== undefined) for (const waiter of [...this.#waiters]) this.#tell(waiter, error);
    if (--this.users > 0) return;
    watches.delete(this.fd);
    native.watchClose(this.#handle);
    if (this.#own !== undefined) close(this.#own);
  }

  #arm(events: number): void {
    if (events === this.#armed) return;
    check(events === 0 ? native.watchStop(this.#handle) : native.watchStart(this.#handle, events), 'uv_poll_start', {
      path: `fd ${this.fd}`,
    });
    this.#armed = events;
  }
  #tell(waiter: Waiter, error?: unknown): void {
    this.remove(waiter);
    waiter.settle(error);
  }
  readonly #fired = (status: number, events: number): void => {
    if (status < 0) {
      // An error on the descriptor: libuv has stopped the handle. The waiters find out by trying again.
      this.#armed = 0;
      events = READABLE | WRITABLE;
    }
    let unwanted = events;
    const waiters = this.#waiters.length === 1 ? this.#waiters : [...this.#waiters];
    for (const waiter of waiters) {
      if ((waiter.events & events) === 0) continue;
      unwanted &= ~waiter.events;
      this.#tell(waiter);
    }
    if (status >= 0 && this.users > 0 && unwanted !== 0) this.#arm(this.#armed & ~unwanted);
  };
}

const watches = new Map<number, Watch>();
function acquire(fd: number): Watch {
  let watch = watches.get(fd);
  if (watch === undefined) {
    watch = new Watch(fd);
    watches.set(fd, watch);
  }
  watch.users++;
  return watch;
}

/**
 * The readiness of a descriptor, for an object that owns the descriptor: it keeps the poll handle between waits. Call `close()` before you
 * close the descriptor; waits then end with {@link ClosedError}.
 */
export class Readiness {
  readonly #fd: number;
  readonly #what: string;
  readonly #keepAlive: KeepAlive;
  #watch: Watch | undefined;
  #closed = false;
  /**
   * @param what the owner, for errors: `"pipe reader (fd 5)"`
   * @param keepAlive whether {@link readable} and {@link writable} keep the program running while they wait
   */
  constructor(fd: number, what: string, keepAlive: KeepAlive = new KeepAlive()) {
    this.#fd = fd;
    this.#what = what;
    this.#keepAlive = keepAlive;
  }
  /** Waits until a read does not block, or the other side is gone. */
  readable(deadline: Deadline): Promise<void> {
    return this.#wait(READABLE, deadline);
  }
  /** Waits until a write does not block, or the other side is gone. */
  writable(deadline: Deadline): Promise<void> {
    return this.#wait(WRITABLE, deadline);
  }
  /**
   * Notifies `waiter` once, from the event loop, without a promise: for owners with a queue of their own. It does not keep the program
   * running.
   */
  notify(waiter: Waiter): void {
    this.#open().add(waiter);
  }
  /** Forgets a waiter that was not notified yet. */
  cancel(waiter: Waiter): void {
    this.#watch?.remove(waiter);
  }
  #wait(events: number, deadline: Deadline): Promise<void> {
    return this.#keepAlive.during(async () => this.#open().wait(events, deadline));
  }
  #open(): Watch {
    if (this.#closed) throw new ClosedError(this.#what);
    return (this.#watch ??= acquire(this.#fd));
  }
  /** Ends every wait with {@link ClosedError}; the descriptor stays open. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch?.release(new ClosedError(this.#what));
    this.#watch = undefined;
  }
}

/**
 * Resolves once `fd` can be read without blocking, is at its end, or has failed: try, and see which. Does not block the event loop, and
 * uses no thread. Do not close `fd` meanwhile.
 */
export async function readable(fd: number, options?: WaitOptions): Promise<void> {
  return once(fd, READABLE, new Deadline(`wait until fd ${fd} is readable`, options));
}
/** Resolves once `fd` can be written without blocking, or has failed. See {@link readable}. */
export async function writable(fd: number, options?: WaitOptions): Promise<void> {
  return once(fd, WRITABLE, new Deadline(`wait until fd ${fd} is writable`, options));
}
async function once(fd: number, events: number, deadline: Deadline): Promise<void> {
  const watch = acquire(checkDescriptor('fd', fd));
  try {
    await program.during(() => watch.wait(events, deadline));
  } finally {
    watch.release();
  }
}
