/** The sending side of a socket. */

import { checkBytes, checkDescriptor, checkOptions, type OptionNames } from '../system/arguments.js';
import { Deadline, type SyncWaitOptions, WAIT_OPTIONS, type WaitOptions } from '../system/deadline.js';
import { EAGAIN, EINTR, ENOTCONN } from '../system/errno.js';
import { errnoName, type IpcError, invalidArgument, MessageTooLargeError, SystemError } from '../system/errors.js';
import { constants, native } from '../system/native.js';
import { pollNow, pollOne } from '../system/poll.js';
import { connect, MAX_DESCRIPTORS, type SocketType, socket } from '../system/socket.js';
import { unixAddress } from '../system/socket-address.js';
import { getsockopt } from '../system/socket-option.js';
import { type Task, WaitQueue } from '../system/wait-queue.js';
import { BLOCKING } from './blocking-mode.js';
import { withBytesSent } from './errors.js';
import { Handle } from './handle.js';

/** What to send along with the bytes. */
export interface Attachments {
  /** At most 253 descriptors; the receiver gets copies. They stay yours; you may close them when the send is complete. */
  descriptors?: readonly number[] | undefined;
  /** Datagrams only: the receiver's path or `@name`. Without it, the socket that this one is connected to. */
  to?: string | undefined;
}
const SEND_OPTIONS: OptionNames<Attachments & WaitOptions> = { descriptors: true, to: true, ...WAIT_OPTIONS };

const { send, sendmsg, sendWhole } = native;
const MSG_DONTWAIT = constants['MSG_DONTWAIT']!;
const SHUT_WR = constants['SHUT_WR']!;
const POLLOUT = constants['POLLOUT']!;
/** The most bytes of a stream in one go: a fast receiver must not keep the sender from its event loop. */
const MAX_BYTES_AT_A_TIME = 1024 * 1024;
const NONE = new Int32Array(0);
const nothing = () => {};
const HINTS: Record<string, string> = {
  EPIPE: 'The peer closed the connection, or this side has ended its sending direction',
  ECONNREFUSED: 'No process has this address open',
  ECONNRESET: 'The peer closed the connection before it had read everything',
  EPERM: 'The receiver is connected, and accepts datagrams from its peer only',
  EBADF: 'One of the descriptors is not open',
  ENOTCONN: 'Pass an address in the option `to`, or connect first',
  EDESTADDRREQ: 'Pass an address in the option `to`, or connect first',
  ETOOMANYREFS: 'Too many sent descriptors were not received yet (getrlimit(2), RLIMIT_NOFILE)',
  ENOBUFS: 'The kernel has no memory for a message of this size; send smaller ones',
};

/** One send, and what is left of it. */
class Job implements Task<true> {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly to: Uint8Array | undefined;
  rights: Int32Array | undefined;
  sent = 0;
  /** For a full receiver of datagrams that this socket is not connected to: another socket, which is connected and can be waited on. */
  elsewhere: Handle | undefined;
  readonly #outbox: Outbox;
  #queued = 0;

  constructor(outbox: Outbox, bytes: Uint8Array, rights: Int32Array | undefined, to: Uint8Array | undefined) {
    this.#outbox = outbox;
    this.bytes = bytes;
    this.length = bytes.length;
    this.rights = rights;
    this.to = to;
  }
  attempt(): true | undefined {
    return this.#outbox.attempt(this, MSG_DONTWAIT);
  }
  interrupted(error: unknown): unknown {
    return withBytesSent(error, this.sent);
  }
  progress(count: number): void {
    this.sent += count;
    if (this.#queued > 0) this.#count(-count);
  }
  queue(): void {
    this.#count(this.length - this.sent);
  }
  over(): void {
    this.elsewhere?.close();
    this.#count(-this.#queued);
  }
  #count(change: number): void {
    this.#queued += change;
    this.#outbox.queued += change;
  }
}

export class Outbox {
  /** Bytes of pending sends. */
  queued = 0;
  readonly #handle: Handle;
  readonly #type: SocketType;
  readonly #domain: 'unix' | 'inet';
  #waitQueue: WaitQueue | undefined;
  /** The socket, so that it is not collected while a call waits for it. */
  readonly owner: object;

  constructor(owner: object, handle: Handle, type: SocketType, domain: 'unix' | 'inet') {
    this.owner = owner;
    this.#handle = handle;
    this.#type = type;
    this.#domain = domain;
  }

  send(bytes: Uint8Array, options?: Attachments & WaitOptions): Promise<void> {
    try {
      let deadline: Deadline | undefined;
      if (options !== undefined) {
        deadline = new Deadline(`send to ${this.#handle.what}`, options, SEND_OPTIONS);
        deadline.signal?.throwIfAborted();
      }
      const waitQueue = this.#getLine();
      const free = waitQueue.mayTry();
      const sent = free && options === undefined ? this.#sendAtOnce(bytes, MSG_DONTWAIT) : 0;
      if (sent > 0 && sent === bytes.length) return Promise.resolve();
      const job = this.#job(bytes, options);
      job.sent = sent;
      if (free) {
        if (this.attempt(job, MSG_DONTWAIT)) return Promise.resolve();
        if (deadline?.expired) {
          job.elsewhere?.close();
          throw job.interrupted(deadline.error());
        }
      }
      job.queue();
      return waitQueue.join(job, deadline).then(nothing);
    } catch (error) {
      return Promise.reject(error);
    }
  }
  trySend(bytes: Uint8Array, options?: Attachments): number | boolean {
    const stream = this.#type === 'stream';
    const free = this.#waitQueue === undefined || this.#waitQueue.idle;
    if (free && options === undefined) {
      const sent = this.#sendAtOnce(bytes, MSG_DONTWAIT);
      if (sent > 0) return stream ? sent : true;
    }
    const job = this.#job(bytes, options);
    this.#handle.open();
    if (!free) return stream ? 0 : false;
    const result = this.attempt(job, MSG_DONTWAIT, false);
    return stream ? job.sent : result === true;
  }
  sendSync(bytes: Uint8Array, options?: Attachments & SyncWaitOptions): void {
    const free = this.#waitQueue === undefined || this.#waitQueue.idle;
    const sent = free && options === undefined ? this.#sendAtOnce(bytes, BLOCKING) : 0;
    if (sent > 0 && sent === bytes.length) return;
    const deadline = new Deadline(`send to ${this.#handle.what}`, options, SEND_OPTIONS);
    const job = this.#job(bytes, options);
    job.sent = sent;
    try {
      if (!free) this.#waitQueue!.finishSync(deadline);
      while (!this.attempt(job, MSG_DONTWAIT)) {
        pollOne((job.elsewhere ?? this.#handle).open(), POLLOUT, deadline);
      }
    } catch (error) {
      throw job.interrupted(error);
    } finally {
      job.elsewhere?.close();
    }
  }
  /** Resolves when another try is worthwhile. */
  writable(options?: WaitOptions): Promise<void> {
    try {
      const deadline = new Deadline(`wait until ${this.#handle.what} is writable`, options);
      deadline.signal?.throwIfAborted();
      const fd = this.#handle.open();
      return this.#getLine()
        .join(() => pollNow(fd, POLLOUT) !== 0 || undefined, deadline)
        .then(nothing);
    } catch (error) {
      return Promise.reject(error);
    }
  }
  /** Ends this direction after all pending sends. */
  end(options?: WaitOptions): Promise<void> {
    try {
      const deadline = new Deadline(`end ${this.#handle.what}`, options);
      deadline.signal?.throwIfAborted();
      const attempt = () => {
        const result = native.shutdown(this.#handle.open(), SHUT_WR);
        // ENOTCONN: the peer is gone, and this direction with it.
        if (result < 0 && result !== ENOTCONN) throw this.#error(result, 0, 'shutdown');
        return true;
      };
      if (this.#waitQueue !== undefined && !this.#waitQueue.idle)
        return this.#waitQueue.join(attempt, deadline).then(nothing);
      attempt();
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** For a job: everything was sent, or the kernel takes no more now. With `!all`, a part of a stream's bytes is enough. */
  attempt(job: Job, flags: number, all = true): true | undefined {
    const stream = this.#type === 'stream';
    const fd = this.#handle.open();
    if (stream && job.length === 0) return true;
    const stop = job.sent + MAX_BYTES_AT_A_TIME;
    for (;;) {
      if (job.bytes.length !== job.length) throw detached(job.bytes);
      const left = job.length - job.sent;
      const result =
        job.rights === undefined && job.to === undefined
          ? send(fd, job.bytes, job.sent, left, flags)
          : sendmsg(fd, job.bytes, job.sent, left, job.rights ?? NONE, flags, job.to);
      if (result >= 0) {
        job.progress(result);
        if (!stream || job.sent === job.length) return true;
        job.rights = undefined; // they were sent with the first bytes
        if (!all || job.sent >= stop) return undefined;
      } else if (result === EAGAIN) {
        if (all && job.to !== undefined) this.#watchReceiver(job, fd);
        return undefined;
      } else if (result !== EINTR) {
        throw withBytesSent(this.#error(result, job.length), job.sent);
      }
    }
  }

  /** The hot path: only bytes, one call. Returns how many were sent; 0 if the slow path is needed. */
  #sendAtOnce(bytes: Uint8Array, flags: number): number {
    if (!(bytes instanceof Uint8Array) || bytes.length === 0 || this.#handle.fd < 0) return 0;
    const result = sendWhole(this.#handle.fd, bytes, flags);
    if (result >= 0) return result;
    if (result === EAGAIN || result === EINTR) return 0;
    throw this.#error(result, bytes.length);
  }
  #job(bytes: Uint8Array, options?: Attachments): Job {
    checkBytes('bytes', bytes);
    checkOptions('options', options, SEND_OPTIONS);
    const to = options?.to;
    let address: Uint8Array | undefined;
    if (to !== undefined) {
      if (this.#type !== 'datagram') {
        throw invalidArgument(
          'ERR_INVALID_ARG_VALUE',
          'options.to',
          'left out: only datagram sockets can choose a receiver',
          to,
        );
      }
      address = unixAddress('options.to', to);
    }
    return new Job(this, bytes, this.#rights(bytes, options?.descriptors), address);
  }
  #rights(bytes: Uint8Array, descriptors: readonly number[] | undefined): Int32Array | undefined {
    if (descriptors === undefined) return undefined;
    if (!Array.isArray(descriptors)) {
      throw invalidArgument('ERR_INVALID_ARG_TYPE', 'options.descriptors', 'an array of numbers', descriptors);
    }
    if (descriptors.length === 0) return undefined;
    if (this.#domain !== 'unix') {
      throw invalidArgument(
        'ERR_INVALID_ARG_VALUE',
        'options.descriptors',
        'left out: only Unix sockets can pass descriptors',
        descriptors,
      );
    }
    if (descriptors.length > MAX_DESCRIPTORS) {
      const expected = `at most ${MAX_DESCRIPTORS} descriptors (the kernel's SCM_MAX_FD)`;
      throw invalidArgument('ERR_OUT_OF_RANGE', 'options.descriptors', expected, descriptors.length);
    }
    if (this.#type === 'stream' && bytes.length === 0) {
      const expected = 'sent with at least one byte on a stream: the kernel drops them otherwise';
      throw invalidArgument('ERR_INVALID_ARG_VALUE', 'options.descriptors', expected, descriptors);
    }
    return Int32Array.from(descriptors, (fd, index) => checkDescriptor(`options.descriptors[${index}]`, fd));
  }
  #getLine(): WaitQueue {
    const { what, keepAlive } = this.#handle;
    return (this.#waitQueue ??= this.#handle.writing = new WaitQueue(this.#handle.open(), what, 'writable', keepAlive));
  }
  /** A full receiver makes only those sockets unwritable that are connected to it. */
  #watchReceiver(job: Job, own: number): void {
    if (job.elsewhere === undefined) {
      const fd = socket('unix', 'datagram', constants['SOCK_NONBLOCK']!);
      job.elsewhere = new Handle(fd, 'the receive buffer');
      try {
        connect(fd, job.to as Uint8Array);
      } catch (error) {
        job.elsewhere.close();
        throw error instanceof SystemError ? this.#error(error.errno, job.length) : error;
      }
    } else if (pollNow(job.elsewhere.open(), POLLOUT) !== 0 && pollNow(own, POLLOUT) === 0) {
      job.elsewhere.close(); // the receiver has room: this socket's own buffer is full
      job.elsewhere = undefined;
    }
  }
  #error(result: number, length: number, syscall = 'sendmsg'): IpcError {
    const code = errnoName(result);
    if (code === 'EMSGSIZE' || (code === 'ENOBUFS' && this.#type !== 'stream' && length > 1 << 20)) {
      const limit = getsockopt(this.#handle.open(), constants['SOL_SOCKET']!, constants['SO_SNDBUF']!);
      return new MessageTooLargeError(
        `a message of ${length} bytes is too large for ${this.#handle.what}: its SO_SNDBUF is ${limit} bytes. Send less, or set sendBufferSize (up to /proc/sys/net/core/wmem_max, and about 4 MiB)`,
        { cause: new SystemError(result, 'sendmsg', { path: this.#handle.what }) },
      );
    }
    const hint = HINTS[code];
    const path = this.#handle.what;
    return new SystemError(result, syscall, { path, hint });
  }
}

function detached(bytes: Uint8Array): Error {
  return invalidArgument('ERR_INVALID_ARG_VALUE', 'bytes', 'a Uint8Array whose buffer is not detached', bytes);
}
