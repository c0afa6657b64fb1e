/** A listening socket. */

import { Deadline, type SyncWaitOptions, type WaitOptions } from '../system/deadline.js';
import { EAGAIN } from '../system/errno.js';
import { ClosedError, errno, errnoName, SystemError } from '../system/errors.js';
import { close } from '../system/file.js';
import { constants, native } from '../system/native.js';
import { pollOne } from '../system/poll.js';
import { type Task, WaitQueue } from '../system/wait-queue.js';
import { Handle } from './handle.js';
import type { Socket } from './socket.js';

const CLOEXEC = constants['SOCK_CLOEXEC']!;
const POLLIN = constants['POLLIN']!;
/** Errors of connections that ended before they were accepted, and those that accept(2) says to treat likewise. */
const GONE = new Set(
  ['EINTR', 'ECONNABORTED', 'EPROTO', 'EPERM', 'ENETDOWN', 'ENETUNREACH', 'EHOSTDOWN', 'EHOSTUNREACH', 'ENONET'].map(
    (name) => -errno[name]!,
  ),
);

/** A listening socket, of {@link unix} or {@link tcp}. */
export abstract class Server<S extends Socket> implements AsyncIterable<S>, Disposable, AsyncDisposable, Task<S> {
  /** @internal */
  protected readonly handle: Handle;
  #waitQueue: WaitQueue | undefined;

  /** @internal */
  protected constructor(fd: number, kind: string) {
    this.handle = new Handle(fd, kind);
    Object.defineProperty(this, 'handle', { writable: false, configurable: false, enumerable: false });
    this.handle.belongTo(this);
  }
  /** @internal */
  protected abstract adopt(fd: number): S;

  /** The file descriptor; non-blocking, close-on-exec. It belongs to the server. */
  get fd(): number {
    return this.handle.open();
  }
  /** Whether it was closed. */
  get closed(): boolean {
    return this.handle.fd < 0;
  }
  /**
   * Waits for the next connection, without blocking the event loop. Connections that ended before they were accepted are skipped.
   * accept4(2).
   *
   * @throws SystemError `EMFILE`, `ENFILE`: there is no descriptor left. The connection stays in the backlog, so close something before you
   * try again
   * @throws ClosedError if the server is or gets closed
   */
  accept(options?: WaitOptions): Promise<S> {
    try {
      let deadline: Deadline | undefined;
      if (options !== undefined) {
        deadline = new Deadline(`accept on ${this.handle.what}`, options);
        deadline.signal?.throwIfAborted();
      }
      const { what, keepAlive } = this.handle;
      const waitQueue =
        (this.#waitQueue ??=
        this.handle.reading =
          new WaitQueue(this.handle.open(), what, 'readable', keepAlive));
      if (waitQueue.mayTry()) {
        const socket = this.attempt();
        if (socket !== undefined) return Promise.resolve(socket);
        if (deadline?.expired) throw deadline.error();
      }
      return waitQueue.join<S>(this, deadline);
    } catch (error) {
      return Promise.reject(error);
    }
  }
  /** Returns the next connection if there is one now; `undefined` otherwise. */
  tryAccept(): S | undefined {
    if (this.#waitQueue !== undefined && !this.#waitQueue.idle) return undefined;
    return this.attempt();
  }
  /** As {@link accept}, but blocks the thread. */
  acceptSync(options?: SyncWaitOptions): S {
    const deadline = new Deadline(`accept on ${this.handle.what}`, options);
    this.#waitQueue?.finishSync(deadline);
    for (;;) {
      const socket = this.attempt();
      if (socket !== undefined) return socket;
      pollOne(this.handle.fd, POLLIN, deadline);
    }
  }
  /** The connections, until the server closes. Leaving the loop leaves the server open. */
  async *[Symbol.asyncIterator](): AsyncGenerator<S, void, undefined> {
    for (;;) {
      let socket: S;
      try {
        socket = await this.accept();
      } catch (error) {
        if (error instanceof ClosedError && this.closed) return;
        throw error;
      }
      yield socket;
    }
  }
  /** A pending accept keeps the program running. This is the default. */
  ref(): this {
    this.handle.keepAlive.ref();
    return this;
  }
  /** A pending accept, now or later, does not keep the program running. Accepted sockets have their own setting. */
  unref(): this {
    this.handle.keepAlive.unref();
    return this;
  }
  /** Stops listening; connections that were not accepted are reset. Pending waits end with {@link ClosedError}. */
  close(): void {
    this.handle.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** @internal for the wait queue */
  attempt(): S | undefined {
    const listener = this.handle.open();
    for (;;) {
      const fd = native.accept4(listener, CLOEXEC);
      if (fd >= 0) {
        try {
          return this.adopt(fd);
        } catch (error) {
          close(fd);
          throw error;
        }
      }
      if (fd === EAGAIN) return undefined;
      if (GONE.has(fd)) continue;
      const path = this.handle.what;
      const code = errnoName(fd);
      if (code !== 'EMFILE' && code !== 'ENFILE') throw new SystemError(fd, 'accept4', { path });
      const hint =
        'The connection stays in the backlog: close descriptors, or raise the limit (ulimit -n), and accept again';
      throw new SystemError(fd, 'accept4', { path, hint });
    }
  }
}
