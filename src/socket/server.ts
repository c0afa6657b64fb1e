/** A listening socket. */
import { Deadline, type SyncWaitOptions, type WaitOptions } from '../system/deadline.js';
import { ClosedError, errno, errnoName, SystemError } from '../system/errors.js';
import { close } from '../system/file.js';
import { constants, native } from '../system/native.js';
import { pollOne } from '../system/poll.js';
import { READABLE } from '../system/readiness.js';
import { Handle } from './handle.js';
import { AGAIN, Lane, mustRest, type Task } from './lane.js';
import type { Socket } from './socket.js';

const CLOEXEC = constants['SOCK_CLOEXEC']!;
const POLLIN = constants['POLLIN']!;
const EAGAIN = -errno['EAGAIN']!;
/** Connections that were gone before they were accepted, and what accept(2) says is to be treated like that. */
const GONE = new Set(
  ['EINTR', 'ECONNABORTED', 'EPROTO', 'EPERM', 'ENETDOWN', 'ENETUNREACH', 'EHOSTDOWN', 'EHOSTUNREACH', 'ENONET'].map(
    (name) => -errno[name]!,
  ),
);

/** Takes connections: of {@link unix} or {@link tcp}. */
export abstract class Server<S extends Socket> implements AsyncIterable<S>, Disposable, AsyncDisposable, Task<S> {
  /** @internal */
  protected readonly handle: Handle;
  #lane: Lane | undefined;

  /** @internal */
  protected constructor(fd: number, kind: string) {
    this.handle = new Handle(fd, kind);
  }
  /** @internal */
  protected abstract adopt(fd: number): S;

  /** The descriptor; non-blocking, close-on-exec. It stays the server's. */
  get fd(): number {
    return this.handle.open();
  }
  get closed(): boolean {
    return this.handle.fd < 0;
  }
  /**
   * The next connection. Those that ended before they were accepted are skipped. `EMFILE`, `ENFILE`: there is no descriptor left
   * for it; it goes on waiting, so close something before the next try. accept4(2).
   */
  accept(options?: WaitOptions): Promise<S> {
    try {
      let deadline: Deadline | undefined;
      if (options !== undefined) {
        deadline = new Deadline(`accept on ${this.handle.what}`, options);
        deadline.signal?.throwIfAborted();
      }
      const rest = mustRest();
      if (!rest && (this.#lane === undefined || this.#lane.idle)) {
        const socket = this.attempt();
        if (socket !== AGAIN) return Promise.resolve(socket);
        if (deadline?.expired) throw deadline.error();
      }
      this.handle.open();
      this.#lane ??= new Lane(this.handle, READABLE);
      return this.#lane.add(this, deadline, rest);
    } catch (error) {
      return Promise.reject(error);
    }
  }
  /** The next connection if there is one now; `undefined` otherwise. */
  tryAccept(): S | undefined {
    if (this.#lane !== undefined && !this.#lane.idle) return undefined;
    const socket = this.attempt();
    return socket === AGAIN ? undefined : socket;
  }
  /** As {@link accept}, blocking the thread. */
  acceptSync(options?: SyncWaitOptions): S {
    const deadline = new Deadline(`accept on ${this.handle.what}`, options);
    this.#lane?.finish(deadline);
    for (;;) {
      const socket = this.attempt();
      if (socket !== AGAIN) return socket;
      pollOne(this.handle.fd, POLLIN, deadline);
    }
  }
  /** Connections, until the server closes. Leaving the loop leaves the server open. */
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
  /** Takes no more connections; those that were not accepted are reset. Waits end with {@link ClosedError}. */
  close(): void {
    if (this.closed) return;
    this.#lane?.fail(new ClosedError(this.handle.what));
    this.handle.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** @internal for the lane */
  attempt(): S | typeof AGAIN {
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
      if (fd === EAGAIN) return AGAIN;
      if (GONE.has(fd)) continue;
      const path = this.handle.what;
      const code = errnoName(fd);
      if (code !== 'EMFILE' && code !== 'ENFILE') throw new SystemError(fd, 'accept4', { path });
      const hint =
        'The connection goes on waiting: close descriptors, or raise the limit (ulimit -n), before the next try';
      throw new SystemError(fd, 'accept4', { path, hint });
    }
  }
}
