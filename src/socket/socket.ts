/** What Unix and TCP sockets have in common: three voices for send and receive, half-close, streams. */
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

/** For the sends that wait. */
export type SendOptions = Attachments & WaitOptions;
/** For the sends that block the thread. */
export type SyncSendOptions = Attachments & SyncWaitOptions;

const SOL_SOCKET = constants['SOL_SOCKET']!;

/**
 * A connected socket (or a datagram socket), of {@link unix} or {@link tcp}.
 *
 * Sends are done in the order of their calls, and never mixed; so are receives. Nothing here uses a thread. One that is dropped
 * without close() is closed with a warning.
 */
export abstract class Socket implements AsyncIterable<SocketMessage>, Disposable, AsyncDisposable {
  /** `stream`: bytes in order, without borders. `seqpacket`, `datagram`: whole messages. */
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
    // A time stamp comes with every message, and so tells an empty one from the end of the connection.
    if (type === 'seqpacket') setsockopt(fd, SOL_SOCKET, constants['SO_TIMESTAMP']!, 1);
    this.handle.belongTo(this);
  }

  /** The descriptor, for calls that are not here; close-on-exec. It stays the socket's. {@link ClosedError} after `close()`. */
  get fd(): number {
    return this.handle.open();
  }
  /** Whether it was closed. */
  get closed(): boolean {
    return this.handle.fd < 0;
  }

  /**
   * Sends all of `bytes`: on a stream in as many pieces as the kernel likes, otherwise as one message, whole or not at all
   * (`MessageTooLargeError` if it can never fit). Waits, without blocking, as long as the receiver is behind. Do not change
   * `bytes` before it resolves.
   *
   * A time-out or abort before the first byte has gone leaves nothing half done. If some of a stream's bytes have gone, the
   * error's `bytesSent` tells how many (an abort is then an `AbortError` whose `cause` is the signal's reason), and the only
   * sensible thing to do is to close. `EPIPE`, `ECONNRESET`: the peer is gone. send(2), sendmsg(2).
   */
  send(bytes: Uint8Array, options?: SendOptions): Promise<void> {
    return this.#outbox.send(bytes, options);
  }
  /**
   * Sends what can go at once. On a stream: the number of bytes taken, from 0 (full) to all; descriptors go with the first of them.
   * Otherwise: whether the message went. Sends that wait come first, so this is 0 or `false` while there are any.
   */
  trySend(bytes: Uint8Array, options?: Attachments): number | boolean {
    return this.#outbox.trySend(bytes, options);
  }
  /** As {@link send}, blocking the thread; sends that wait go first. */
  sendSync(bytes: Uint8Array, options?: SyncSendOptions): void {
    this.#outbox.sendSync(bytes, options);
  }
  /** Bytes of {@link send} that the kernel has not taken yet: how far the receiver is behind. */
  get bufferedAmount(): number {
    return this.#outbox.queued;
  }
  /** Resolves when {@link trySend} may succeed again (or fail: the peer is gone), after the sends that wait. */
  writable(options?: WaitOptions): Promise<void> {
    return this.#outbox.writable(options);
  }

  /**
   * What comes next: on a stream the bytes that are there (at most 64 KiB), otherwise one message, never cut. `null` at the end:
   * the peer has ended its direction, or is gone; a datagram socket never learns that, and has none. An empty message is no end.
   *
   * The descriptors that came are the reader's once `descriptors` of the message was read; see {@link SocketMessage}.
   * A time-out or abort takes nothing. `ECONNRESET`: the peer closed or died without reading all it was sent (what it had sent
   * before is delivered first). {@link DescriptorsLostError}: it came with more descriptors than this process may open. recvmsg(2).
   */
  receive(options?: WaitOptions): Promise<SocketMessage | null> {
    return this.#inbox.receive(options);
  }
  /** What is there now; `undefined`: nothing yet; `null`: the end. Receives that wait come first. */
  tryReceive(): SocketMessage | null | undefined {
    return this.#inbox.tryReceive();
  }
  /** As {@link receive}, blocking the thread; receives that wait are served first. */
  receiveSync(options?: SyncWaitOptions): SocketMessage | null {
    return this.#inbox.receiveSync(options);
  }
  /**
   * Messages until the end, or until this side closes. Descriptors of a message that the loop did not look at are closed when it
   * asks for the next. Leaving the loop leaves the socket open.
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

  /** Half-close: the peer reads what was sent, then its end; this side goes on receiving. After the sends that wait. */
  end(options?: WaitOptions): Promise<void> {
    return this.#outbox.end(options);
  }
  /** shutdown(2) at once: no more sending (`'write'`, the default), no more receiving (`'read'`), or neither. Sends that wait fail. */
  shutdown(how: 'read' | 'write' | 'both' = 'write'): void {
    const directions = { read: 'SHUT_RD', write: 'SHUT_WR', both: 'SHUT_RDWR' };
    if (typeof how !== 'string' || !Object.hasOwn(directions, how)) {
      throw invalidArgument('ERR_INVALID_ARG_VALUE', 'how', "'read', 'write' or 'both'", how);
    }
    shutdown(this.fd, constants[directions[how]]!);
    if (how !== 'write') this.#inbox.ended = true;
  }
  /** SO_SNDBUF in bytes: how much may be on its way, and the longest message. Set, the kernel doubles it, up to its limit. */
  get sendBufferSize(): number {
    return getsockopt(this.fd, SOL_SOCKET, constants['SO_SNDBUF']!);
  }
  /** Asks the kernel for so many bytes, 0 to 2^30 - 1. */
  set sendBufferSize(bytes: number) {
    setsockopt(this.fd, SOL_SOCKET, constants['SO_SNDBUF']!, checkInteger('sendBufferSize', bytes, 0, 0x3fffffff));
  }

  /**
   * A Node stream over this socket, with half-open support: its end is {@link end}, its destruction {@link close}. Bytes only:
   * descriptors that come are closed. Over messages it is in object mode, one chunk a message. Do not receive otherwise.
   */
  toStream(): Duplex {
    return duplex(this);
  }

  /** What waits here keeps the program running: so it is unless {@link unref} was called. */
  ref(): this {
    this.handle.keepAlive.ref();
    return this;
  }
  /** What waits here, now or later, does not keep the program running. */
  unref(): this {
    this.handle.keepAlive.unref();
    return this;
  }
  /** Gives up the descriptor without closing it, and tells its number: it outlives this thread, too. What waits ends with {@link ClosedError}. */
  detach(): number {
    const fd = this.handle.detach();
    disown(fd);
    return fd;
  }
  /** @internal As {@link detach}, but it still ends with this thread. */
  handOver(): number {
    return this.handle.detach();
  }
  /** Ends what waits with {@link ClosedError}. What the kernel has taken still arrives; sends that wait are lost: {@link end} first. */
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
