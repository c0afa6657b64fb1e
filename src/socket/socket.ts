/** What Unix and TCP sockets have in common: three blocking modes for send and receive, half-close, streams. */
import type { Duplex } from 'node:stream';
import { checkInteger } from '../system/arguments.js';
import type { SyncWaitOptions, WaitOptions } from '../system/deadline.js';
import { ClosedError, invalidArgument } from '../system/errors.js';
import { constants } from '../system/native.js';
import { disown } from '../system/owned-descriptor.js';
import { readOnly } from '../system/read-only.js';
import { type SocketType, shutdown } from '../system/socket.js';
import { getsockopt, setsockopt } from '../system/socket-option.js';
import { Handle } from './handle.js';
import { Inbox } from './inbox.js';
import type { SocketMessage } from './message.js';
import { type Attachments, Outbox } from './outbox.js';
import { duplex } from './stream.js';

/** Options of asynchronous sends. */
export type SendOptions = Attachments & WaitOptions;
/** Options of sends that block the thread. */
export type SyncSendOptions = Attachments & SyncWaitOptions;

const SOL_SOCKET = constants['SOL_SOCKET']!;

/**
 * A connected socket (or a datagram socket), of {@link unix} or {@link tcp}.
 *
 * Sends are done in the order of their calls, and never mixed; the same holds for receives. It uses no thread. A socket that you drop
 * without close() is closed with a warning.
 */
export abstract class Socket implements AsyncIterable<SocketMessage>, Disposable, AsyncDisposable {
  /** `stream`: bytes in order, without message boundaries. `seqpacket`, `datagram`: whole messages. */
  readonly type: SocketType;
  /** @internal */
  protected readonly handle: Handle;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;

  /** @internal */
  protected constructor(fd: number, type: SocketType, domain: 'unix' | 'inet', kind: string) {
    this.type = type;
    readOnly(this, 'type');
    this.handle = new Handle(fd, kind);
    Object.defineProperty(this, 'handle', { writable: false, configurable: false, enumerable: false });
    this.#inbox = new Inbox(this, this.handle, type);
    this.#outbox = new Outbox(this, this.handle, type, domain);
    // Every message comes with a time stamp, which distinguishes an empty message from the end of the connection.
    if (type === 'seqpacket') setsockopt(fd, SOL_SOCKET, constants['SO_TIMESTAMP']!, 1);
    this.handle.belongTo(this);
  }

  /**
   * The file descriptor, for calls that vecino does not have; close-on-exec. It belongs to the socket. Throws {@link ClosedError} after
   * `close()`.
   */
  get fd(): number {
    return this.handle.open();
  }
  /** Whether it was closed. */
  get closed(): boolean {
    return this.handle.fd < 0;
  }

  /**
   * Sends all of `bytes`: on a stream in as many pieces as the kernel needs, otherwise as one message, whole or not at all. Waits, without
   * blocking the event loop, while the receiver is behind. Do not change `bytes` before it resolves. send(2), sendmsg(2).
   *
   * A time-out or abort before the first byte was sent leaves nothing half done. If some bytes of a stream were sent, `bytesSent` of the
   * error says how many (an abort is then an `AbortError` whose `cause` is the signal's reason); close the socket then.
   *
   * @throws SystemError `EPIPE`, `ECONNRESET`: the peer has closed or died
   * @throws MessageTooLargeError if the message can never fit
   */
  send(bytes: Uint8Array, options?: SendOptions): Promise<void> {
    return this.#outbox.send(bytes, options);
  }
  /**
   * Sends what can be sent at once. On a stream it returns the number of bytes sent, from 0 (full) to all; descriptors go with the first
   * byte. Otherwise it returns whether the message was sent. Earlier sends go first, so this is 0 or `false` while one waits.
   */
  trySend(bytes: Uint8Array, options?: Attachments): number | boolean {
    return this.#outbox.trySend(bytes, options);
  }
  /** As {@link send}, but blocks the thread; pending sends go first. */
  sendSync(bytes: Uint8Array, options?: SyncSendOptions): void {
    this.#outbox.sendSync(bytes, options);
  }
  /** Bytes of {@link send} that the kernel has not taken yet: how far the receiver is behind. */
  get bufferedAmount(): number {
    return this.#outbox.queued;
  }
  /** Resolves when {@link trySend} may succeed again (or fails, because the peer is gone), after the pending sends. */
  writable(options?: WaitOptions): Promise<void> {
    return this.#outbox.writable(options);
  }

  /**
   * Receives the next bytes of a stream (those that are there, at most 64 KiB), otherwise one message, never truncated. Returns `null` at
   * the end: the peer has ended its direction, closed or died. A datagram socket never learns that, and has no end. An empty message is not
   * the end. recvmsg(2).
   *
   * Once you read `descriptors` of the message, they are yours to close; see {@link SocketMessage}. A time-out or abort loses nothing.
   *
   * @throws SystemError `ECONNRESET`: the peer closed or died before it had read everything (what it had sent before is delivered first)
   * @throws DescriptorsLostError if the message has more descriptors than this process may open
   */
  receive(options?: WaitOptions): Promise<SocketMessage | null> {
    return this.#inbox.receive(options);
  }
  /** Receives what is there now; `undefined`: nothing yet; `null`: the end. Pending receives go first. */
  tryReceive(): SocketMessage | null | undefined {
    return this.#inbox.tryReceive();
  }
  /** As {@link receive}, but blocks the thread; pending receives are served first. */
  receiveSync(options?: SyncWaitOptions): SocketMessage | null {
    return this.#inbox.receiveSync(options);
  }
  /**
   * The messages until the end, or until this side closes. Unread descriptors of a message are closed when the loop asks for the next one.
   * Leaving the loop leaves the socket open.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<SocketMessage, void, undefined> {
    for (;;) {
      let message: SocketMessage | null;
      try {
        message = await this.receive();
      } catch (error) {
        if (error instanceof ClosedError && this.closed) return;
        throw error;
      }
      if (message === null) return;
      try {
        yield message;
      } finally {
        message[Symbol.dispose]();
      }
    }
  }

  /** Half-close, after the pending sends: the peer reads everything that was sent, then the end. This side can still receive. */
  end(options?: WaitOptions): Promise<void> {
    return this.#outbox.end(options);
  }
  /** shutdown(2) at once: no more sending (`'write'`, the default), no more receiving (`'read'`), or both. Pending sends fail. */
  shutdown(how: 'read' | 'write' | 'both' = 'write'): void {
    const directions = { read: 'SHUT_RD', write: 'SHUT_WR', both: 'SHUT_RDWR' };
    if (typeof how !== 'string' || !Object.hasOwn(directions, how)) {
      throw invalidArgument('ERR_INVALID_ARG_VALUE', 'how', "'read', 'write' or 'both'", how);
    }
    shutdown(this.fd, constants[directions[how]]!);
    if (how !== 'write') this.#inbox.ended = true;
  }
  /** SO_SNDBUF in bytes: the limit of unreceived bytes and of one message. If you set it, the kernel doubles the value, up to its limit. */
  get sendBufferSize(): number {
    return getsockopt(this.fd, SOL_SOCKET, constants['SO_SNDBUF']!);
  }
  /** Requests so many bytes from the kernel, 0 to 2^30 - 1. */
  set sendBufferSize(bytes: number) {
    setsockopt(this.fd, SOL_SOCKET, constants['SO_SNDBUF']!, checkInteger('sendBufferSize', bytes, 0, 0x3fffffff));
  }

  /**
   * A Node stream over this socket, with half-open support: ending it calls {@link end}, destroying it {@link close}. Bytes only: received
   * descriptors are closed. On a message socket it is in object mode, one chunk per message. Do not receive in other ways as well.
   */
  toStream(): Duplex {
    return duplex(this);
  }

  /** Pending waits keep the program running. This is the default. */
  ref(): this {
    this.handle.keepAlive.ref();
    return this;
  }
  /** Pending waits, now and later, do not keep the program running. */
  unref(): this {
    this.handle.keepAlive.unref();
    return this;
  }
  /**
   * Gives up the descriptor without closing it, and returns its number; it outlives this thread, too. Pending waits end with
   * {@link ClosedError}.
   */
  detach(): number {
    const fd = this.handle.detach();
    disown(fd);
    return fd;
  }
  /** @internal As {@link detach}, but it still ends with this thread. */
  handOver(): number {
    return this.handle.detach();
  }
  /**
   * Closes the socket; pending waits end with {@link ClosedError}. Bytes that the kernel has taken still arrive; pending sends are lost:
   * call {@link end} first.
   */
  close(): void {
    this.handle.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
