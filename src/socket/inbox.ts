/** The receiving side of a socket. */

import type { Bytes } from '../system/bytes.js';
import { Deadline, type SyncWaitOptions, type WaitOptions } from '../system/deadline.js';
import { EAGAIN, ECONNRESET, EINTR } from '../system/errno.js';
import { MessageTooLargeError, SystemError } from '../system/errors.js';
import { constants } from '../system/native.js';
import { pollOne } from '../system/poll.js';
import {
  descriptorsLost,
  hadAncillary,
  isPlain,
  receiveChunk,
  receivedDescriptors,
  receiveWhole,
  senderAddress,
  wasCut,
} from '../system/receive.js';
import type { SocketType } from '../system/socket.js';
import { unixName } from '../system/socket-address.js';
import { type Task, WaitQueue } from '../system/wait-queue.js';
import { BLOCKING } from './blocking-mode.js';
import { DescriptorsLostError } from './errors.js';
import type { Handle } from './handle.js';
import { messageWith, RightsHolder, SocketMessage } from './message.js';

const MSG_DONTWAIT = constants['MSG_DONTWAIT']!;
const MAX_TRUST_READS = 31;
const POLLIN = constants['POLLIN']!;

export class Inbox implements Task<SocketMessage | null> {
  readonly #handle: Handle;
  readonly #type: SocketType;
  #waitQueue: WaitQueue | undefined;
  /** The socket, so that it is not collected while a call waits for it. */
  readonly owner: object;
  /** A seqpacket connection was reset, but earlier messages are still to be delivered. */
  #reset = false;
  /** How many receives in a row go to the event loop without a try: doubled after each failed try. */
  #trust = 0;
  #maxTrust = 0;
  /** This side has ended receiving. */
  ended = false;

  constructor(owner: object, handle: Handle, type: SocketType) {
    this.owner = owner;
    this.#handle = handle;
    this.#type = type;
  }

  receive(options?: WaitOptions): Promise<SocketMessage | null> {
    try {
      let deadline: Deadline | undefined;
      if (options !== undefined) {
        deadline = new Deadline(`receive from ${this.#handle.what}`, options);
        deadline.signal?.throwIfAborted();
      }
      const waitQueue = this.#waitQueue ?? this.#makeLine();
      if (waitQueue.mayTry() && (deadline !== undefined || this.#isLikely())) {
        const message = this.#take(MSG_DONTWAIT);
        if (message !== undefined) {
          this.#trust = this.#maxTrust = 0;
          return Promise.resolve(message);
        }
        if (deadline?.expired) throw deadline.error();
      }
      return waitQueue.join<SocketMessage | null>(this, deadline);
    } catch (error) {
      return Promise.reject(error);
    }
  }
  tryReceive(): SocketMessage | null | undefined {
    if (this.#waitQueue !== undefined && !this.#waitQueue.idle) return undefined;
    return this.#take(MSG_DONTWAIT);
  }
  receiveSync(options?: SyncWaitOptions): SocketMessage | null {
    let deadline: Deadline | undefined;
    if (options !== undefined) deadline = new Deadline(`receive from ${this.#handle.what}`, options);
    if (this.#waitQueue !== undefined && !this.#waitQueue.idle) {
      this.#waitQueue.finishSync((deadline ??= new Deadline(`receive from ${this.#handle.what}`)));
    }
    for (;;) {
      const message = this.#take(deadline === undefined ? BLOCKING : MSG_DONTWAIT);
      if (message !== undefined) return message;
      deadline ??= new Deadline(`receive from ${this.#handle.what}`);
      pollOne(this.#handle.fd, POLLIN, deadline);
    }
  }
  /**
   * Whether a try is worth its system call. Where request and response alternate, nothing is there yet, and the event loop, which polls
   * anyway, will say so.
   */
  #isLikely(): boolean {
    if (this.#trust > 0) {
      this.#trust--;
      return false;
    }
    this.#maxTrust = Math.min(2 * this.#maxTrust + 1, MAX_TRUST_READS);
    this.#trust = this.#maxTrust;
    return true;
  }
  /** For the wait queue. */
  attempt(): SocketMessage | null | undefined {
    return this.#take(MSG_DONTWAIT);
  }

  #makeLine(): WaitQueue {
    const { what, keepAlive } = this.#handle;
    this.#waitQueue = this.#handle.reading = new WaitQueue(this.#handle.open(), what, 'readable', keepAlive);
    return this.#waitQueue;
  }
  #take(flags: number): SocketMessage | null | undefined {
    const fd = this.#handle.open();
    const stream = this.#type === 'stream';
    for (;;) {
      const got = stream ? receiveChunk(fd, flags) : receiveWhole(fd, flags, this.#type === 'datagram');
      if (typeof got !== 'number') return this.#unwrap(got);
      // A datagram socket whose receiving was shut down answers EAGAIN for ever.
      if (got === EAGAIN) return this.ended ? null : undefined;
      if (got === 0) {
        if (!stream && !this.ended && (this.#type === 'datagram' || hadAncillary())) {
          return this.#unwrap(new Uint8Array(0));
        }
        if (!this.#reset) return null;
        this.#reset = false;
        throw this.#error(ECONNRESET);
      }
      if (got === EINTR) continue;
      if (got !== ECONNRESET || this.#type !== 'seqpacket' || this.#reset) throw this.#error(got);
      this.#reset = true;
    }
  }
  /** Builds the message from the received bytes and descriptors. */
  #unwrap(bytes: Bytes): SocketMessage {
    if (isPlain() && this.#type !== 'datagram') return new SocketMessage(bytes);
    const fds = receivedDescriptors();
    const sender = this.#type === 'datagram' ? senderAddress() : null;
    const cut = wasCut();
    const lost = descriptorsLost();
    const rights = fds.length === 0 ? undefined : (this.#handle.held ??= new RightsHolder()).hold(fds);
    const message = messageWith(bytes, rights, sender === null ? undefined : unixName(sender));
    if (cut) {
      rights?.close();
      throw new MessageTooLargeError(
        `receive from ${this.#handle.what}: the message was longer than the buffer of ${bytes.length} bytes, and is lost`,
      );
    }
    if (lost) throw new DescriptorsLostError(this.#handle.what, message);
    return message;
  }
  #error(result: number): SystemError {
    const reset = result === ECONNRESET;
    const hint = 'The peer closed the connection before it had read everything, or its machine reset it';
    return new SystemError(result, 'recvmsg', reset ? { path: this.#handle.what, hint } : { path: this.#handle.what });
  }
}
