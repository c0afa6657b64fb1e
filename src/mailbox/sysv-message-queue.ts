/** System V message queues: a queue in the kernel under a number, whose messages have types to select by. */

import { checkInteger, checkMode, checkOptions, type OptionNames } from '../system/arguments.js';
import { Deadline, type SyncWaitOptions, WAIT_OPTIONS, type WaitOptions } from '../system/deadline.js';
import { EACCES, EAGAIN, EIDRM, EINTR, EINVAL, ENOMSG } from '../system/errno.js';
import { ClosedError, invalidArgument, MessageTooLargeError, SystemError } from '../system/errors.js';
import { KeepAlive } from '../system/keep-alive.js';
import { describeLimit, kernelLimit } from '../system/limits.js';
import { constants, native } from '../system/native.js';
import { pollOne } from '../system/poll.js';
import { readOnly } from '../system/read-only.js';
import type { SysVKey } from '../system/sysv-key.js';
import {
  FIRST_ROOM,
  msgget,
  msgRemove,
  msgSetLimit,
  msgStat,
  receiveFresh,
  type SysVMessage,
  type SysVQueueStatus,
} from '../system/sysv-message.js';
import { type Content, toBytes } from './content.js';
import { Selection, type SelectOptions } from './selection.js';
import { finishWait, SysVReceivers, startWait } from './sysv-receivers.js';
import { finishSend, SysVSenders, startSend } from './sysv-senders.js';

export type { SelectOptions } from './selection.js';

const { msgsnd } = native;
const IPC_NOWAIT = constants['IPC_NOWAIT']!;
const POLLIN = constants['POLLIN']!;

/** Options of a new System V queue. */
export interface SysVQueueOptions {
  /** Permission bits, used exactly (System V objects have no umask). Default: 0600. */
  mode?: number;
  /**
   * The most bytes of content (and the most messages) that the queue holds. Default: `kernel.msgmnb` (usually 16384); more needs a
   * privilege.
   */
  limit?: number;
}
/** Options for sending a message to a System V queue. */
export interface TypeOptions {
  /** 1 to 2^53 - 1. The kernel's type is a `long`: stay below 2^31 if a 32-bit program receives it. */
  type: number;
}

const QUEUE_OPTIONS: OptionNames<SysVQueueOptions> = { mode: true, limit: true };
const SEND_OPTIONS: OptionNames<TypeOptions & WaitOptions> = { type: true, ...WAIT_OPTIONS };
const RECEIVE_OPTIONS: OptionNames<SelectOptions & WaitOptions> = { type: true, except: true, ...WAIT_OPTIONS };

/**
 * A System V message queue, msgget(2). Each message has a type, and the receiver selects by type; among those it wants, it gets the oldest
 * first. Messages stay whole. Any number of processes, in any language, can send and receive; each message is received once.
 *
 * The queue belongs to the kernel and stays, with its messages, until {@link remove}: even the end of all its users does not remove it.
 * When it is removed, all waiting calls fail at once with `EIDRM`, in all three blocking modes.
 *
 * Such a queue has no file descriptor. A call that waits in the event loop uses a thread of its own in the addon, never one of libuv's
 * four: one for the sends of an object, and one for each type of message that its receives wait for. Without waiting calls there is no
 * thread. The thread sleeps in the kernel; abort, time-out and `close()` end it at once.
 *
 * @example
 * ```ts
 * import { SysVMessageQueue } from 'vecino/mailbox';
 * const queue = SysVMessageQueue.create('private');
 * await queue.send('low', { type: 3 });
 * await queue.send('high', { type: 1 });
 * const { type, content } = await queue.receive({ type: -2 }); // the lowest type up to 2: 1, 'high'
 * queue.remove();
 * queue.close();
 * ```
 */
export class SysVMessageQueue implements Disposable, AsyncDisposable, AsyncIterable<SysVMessage> {
  /** The kernel's id of the queue, for `open({ id })` in another process and for ipcs(1). */
  readonly id: number;
  readonly #senders: SysVSenders;
  readonly #receivers: SysVReceivers;
  readonly #keepAlive = new KeepAlive();
  /** Room for the longest message seen so far. */
  #room = FIRST_ROOM;
  #closed = false;

  private constructor(id: number) {
    this.id = id;
    readOnly(this, 'id');
    this.#senders = new SysVSenders(
      id,
      (type, bytes) => this.#put(type, bytes) || this.#checkRoom(bytes.length),
      (result, length) => this.#sendFailed(result, length),
      this.#keepAlive,
    );
    this.#receivers = new SysVReceivers(
      id,
      (selection) => this.#take(selection),
      (result) => this.#failed(result, 'msgrcv'),
      this.#keepAlive,
    );
  }

  /**
   * Creates a new queue. Throws {@link SystemError} `EEXIST` if the key is taken; `ENOSPC` or `EPERM` if it would exceed a limit of the
   * kernel, which the message then names.
   *
   * @param key a number (see {@link ftok}), or `'private'` for a queue that is found only by its {@link id}
   */
  static create(key: SysVKey, options?: SysVQueueOptions): SysVMessageQueue {
    const { mode = 0o600, limit } = checkOptions('options', options, QUEUE_OPTIONS) ?? {};
    checkMode('options.mode', mode);
    if (limit !== undefined) checkInteger('options.limit', limit, 1, 0x7fffffff);
    const id = msgget(key, constants['IPC_CREAT']! | constants['IPC_EXCL']!, mode);
    try {
      if (limit !== undefined) msgSetLimit(id, limit);
    } catch (error) {
      msgRemove(id);
      throw error;
    }
    return new SysVMessageQueue(id);
  }
  /** Opens an existing queue by its key or its id. Throws {@link SystemError} `ENOENT` or `EINVAL` if there is none. */
  static open(key: number | { id: number }): SysVMessageQueue {
    if (key === ('private' as unknown)) {
      throw invalidArgument(
        'ERR_INVALID_ARG_VALUE',
        'key',
        'a number or { id }: a private queue has no key, so open it by its id',
        key,
      );
    }
    if (typeof key !== 'object' || key === null) return new SysVMessageQueue(msgget(key, 0, 0));
    const id = checkInteger('key.id', key.id, 0, 0x7fffffff);
    try {
      msgStat(id);
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== 'EACCES') {
        const hint = 'No queue has that id';
        throw new SystemError((error as SystemError).errno, 'msgctl', { path: `id ${id}`, hint });
      }
      // It exists, and may be write-only for us.
    }
    return new SysVMessageQueue(id);
  }

  /** How full the queue is, and the processes that used it last. Needs permission to read. */
  status(): SysVQueueStatus {
    this.#checkOpen();
    try {
      return msgStat(this.id);
    } catch (error) {
      throw error instanceof SystemError ? this.#failed(error.errno, 'msgctl') : error;
    }
  }
  /**
   * Removes the queue and its messages, at once, for all processes. Returns `false` if it was removed already. Allowed to its creator, its
   * owner and the superuser.
   */
  remove(): boolean {
    this.#checkOpen();
    const result = native.msgRemove(this.id);
    if (result === EINVAL || result === EIDRM) return false;
    if (result < 0) throw this.#failed(result, 'msgctl');
    return true;
  }

  /**
   * Sends a message; waits without blocking the event loop while the queue is full. You may reuse the content as soon as the call has
   * returned. Throws {@link MessageTooLargeError} if it is longer than `kernel.msgmax` or than the whole queue. If an abort or a time-out
   * comes just after the message was sent, the call succeeds.
   */
  async send(content: Content, options: TypeOptions & WaitOptions): Promise<void> {
    const deadline = new Deadline(`send to message queue ${this.id}`, options, SEND_OPTIONS);
    const type = checkType(options);
    const bytes = toBytes(content);
    deadline.signal?.throwIfAborted();
    this.#checkOpen();
    if (this.#senders.enter() && this.#put(type, bytes)) return;
    await this.#senders.join(type, bytes, deadline);
  }
  /** Sends a message if there is room at once. Returns `false` if there is none, or if an earlier `send()` waits for room. */
  trySend(content: Content, options: TypeOptions): boolean {
    checkOptions('options', options, SEND_OPTIONS);
    const type = checkType(options);
    const bytes = toBytes(content);
    this.#checkOpen();
    return this.#senders.settled() && (this.#put(type, bytes) || this.#checkRoom(bytes.length));
  }
  /** As {@link send}, but blocks the thread while the queue is full. It does not queue behind sends that wait in the event loop. */
  sendSync(content: Content, options: TypeOptions & SyncWaitOptions): void {
    const deadline = new Deadline(`send to message queue ${this.id}`, options, SEND_OPTIONS);
    const type = checkType(options);
    const bytes = toBytes(content);
    this.#checkOpen();
    if (this.#put(type, bytes)) return;
    this.#checkRoom(bytes.length);
    if (mayBlock(deadline)) {
      let result: number;
      do result = msgsnd(this.id, type, bytes, 0);
      while (result === EINTR);
      if (result < 0) throw this.#sendFailed(result, bytes.length);
      return;
    }
    const event = startSend(this.id, type, bytes);
    let late: unknown;
    try {
      pollOne(event, POLLIN, deadline);
    } catch (error) {
      late = error;
    }
    const result = finishSend(event, late !== undefined);
    if (result === false) throw late;
    if (typeof result === 'number') throw this.#sendFailed(result, bytes.length);
  }

  /** Receives the first message of the selected type (any type, without options); waits for one without blocking the event loop. */
  async receive(options?: SelectOptions & WaitOptions): Promise<SysVMessage> {
    const deadline = new Deadline(`receive from message queue ${this.id}`, options, RECEIVE_OPTIONS);
    const selection = new Selection(options);
    deadline.signal?.throwIfAborted();
    this.#checkOpen();
    if (this.#receivers.enter()) {
      const message = this.#take(selection);
      if (message !== undefined) return message;
    }
    return this.#receivers.join(selection, deadline);
  }
  /** Receives such a message if there is one. Returns `undefined` if not, or if an earlier `receive()` waits for it. */
  tryReceive(options?: SelectOptions): SysVMessage | undefined {
    checkOptions('options', options, RECEIVE_OPTIONS);
    const selection = new Selection(options);
    this.#checkOpen();
    return this.#receivers.tryReceive(selection);
  }
  /** As {@link receive}, but blocks the thread while there is no message. It does not queue behind waiting receives. */
  receiveSync(options?: SelectOptions & SyncWaitOptions): SysVMessage {
    const deadline = new Deadline(`receive from message queue ${this.id}`, options, RECEIVE_OPTIONS);
    const selection = new Selection(options);
    this.#checkOpen();
    const held = this.#receivers.takeHeld(selection);
    if (held !== undefined) return held;
    if (mayBlock(deadline)) return this.#take(selection, 0)!;
    for (;;) {
      const message = this.#take(selection);
      if (message !== undefined) return message;
      const event = startWait(this.id, selection);
      let late: unknown;
      try {
        pollOne(event, POLLIN, deadline);
      } catch (error) {
        late = error;
      }
      const result = finishWait(event, late !== undefined);
      if (typeof result === 'object') return result;
      if (result === false) throw late;
      if (typeof result === 'number') throw this.#failed(result, 'msgrcv');
    }
  }
  /** Messages of all types as they arrive, until the queue is closed or you leave the loop (which does not close it). */
  async *[Symbol.asyncIterator](): AsyncGenerator<SysVMessage, void, undefined> {
    try {
      for (;;) yield await this.receive();
    } catch (error) {
      if (!(this.#closed && error instanceof ClosedError)) throw error;
    }
  }

  /** Pending waits keep the program running. This is the default. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /** Pending waits, now and later, do not keep the program running. */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /** Closes this object; the queue stays. Pending calls end with {@link ClosedError}. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const error = new ClosedError(`System V message queue ${this.id}`);
    this.#senders.fail(error);
    this.#receivers.fail(error);
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClosedError(`System V message queue ${this.id}`);
  }
  /** `false` when full. */
  #put(type: number, bytes: Uint8Array): boolean {
    for (;;) {
      const result = msgsnd(this.id, type, bytes, IPC_NOWAIT);
      if (result === 0) return true;
      if (result === EAGAIN) return false;
      if (result !== EINTR) throw this.#sendFailed(result, bytes.length);
    }
  }
  /** `undefined` when there is no such message (with `IPC_NOWAIT`). */
  #take(selection: Selection, wait: number = IPC_NOWAIT): SysVMessage | undefined {
    for (;;) {
      const result = receiveFresh(this.id, selection.type, selection.flags | wait, this.#room);
      if (typeof result !== 'number') {
        if (result.content.length > this.#room) this.#room = result.content.length;
        return result;
      }
      if (result === ENOMSG) return undefined;
      if (result !== EINTR) throw this.#failed(result, 'msgrcv');
    }
  }
  /** A message longer than the whole queue would wait for ever. */
  #checkRoom(length: number): false {
    let limit: number;
    try {
      ({ limit } = msgStat(this.id));
    } catch {
      return false; // not readable for us, or removed: the kernel will say so
    }
    if (length > limit) {
      throw tooLarge(
        `a message of ${length} bytes is too large for ${this.#path()}: it holds ${limit} bytes in total. ` +
          `Create it with a larger \`limit\`; for unprivileged processes ${describeLimit('kernel.msgmnb')}`,
      );
    }
    return false;
  }
  #sendFailed(result: number, length: number): Error {
    const most = kernelLimit('kernel.msgmax');
    if (result === EINVAL && most !== undefined && length > most) {
      return tooLarge(`a message of ${length} bytes is too large: ${describeLimit('kernel.msgmax')}`);
    }
    return this.#failed(result, 'msgsnd');
  }
  #failed(result: number, syscall: string): SystemError {
    const path = this.#path();
    // EINVAL is what the kernel answers for an id that it does not know any more. Its other causes were checked before.
    if (result === EINVAL || result === EIDRM) {
      return new SystemError(EIDRM, syscall, { path, hint: 'The queue was removed' });
    }
    if (result === EACCES) {
      return new SystemError(result, syscall, { path, hint: "The queue's mode does not allow this to this user" });
    }
    return new SystemError(result, syscall, { path });
  }
  #path(): string {
    return `System V message queue ${this.id}`;
  }
}

function checkType(options: TypeOptions): number {
  return checkInteger('options.type', options?.type, 1);
}
function tooLarge(message: string): MessageTooLargeError {
  return new MessageTooLargeError(message, { cause: new SystemError(EINVAL, 'msgsnd') });
}
/** Whether the thread may block in the call itself: there is no time-out, and it need not return for `terminate()`. */
function mayBlock(deadline: Deadline): boolean {
  return deadline.remaining() === Number.POSITIVE_INFINITY && deadline.block() < 0;
}
