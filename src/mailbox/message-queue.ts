/** POSIX message queues: a named queue in the kernel, whose messages have priorities. */

import { checkInteger, checkMode, checkName, checkOptions, type OptionNames } from '../system/arguments.js';
import { Deadline, type SyncWaitOptions, WAIT_OPTIONS, type WaitOptions } from '../system/deadline.js';
import { closed, closeIfOwned, type Remains, whenDropped } from '../system/dropped.js';
import { EAGAIN, EBADF, EINTR, EMSGSIZE } from '../system/errno.js';
import { ClosedError, invalidArgument, MessageTooLargeError, SystemError } from '../system/errors.js';
import { close, fchmod } from '../system/file.js';
import { KeepAlive } from '../system/keep-alive.js';
import { describeLimit } from '../system/limits.js';
import {
  MAX_PRIORITY,
  mqGetattr,
  mqOpen,
  mqReopenBlocking,
  mqUnlink,
  type PosixMessage,
  type QueueAttributes,
  receiveFresh,
} from '../system/mqueue.js';
import { constants, native } from '../system/native.js';
import { own } from '../system/owned-descriptor.js';
import { pollOne } from '../system/poll.js';
import { readOnly } from '../system/read-only.js';
import { WaitQueue } from '../system/wait-queue.js';
import { type Content, toBytes } from './content.js';

const { mqSend } = native;
const POLLIN = constants['POLLIN']!;
const POLLOUT = constants['POLLOUT']!;

/** Options of a new POSIX queue. */
export interface MessageQueueOptions {
  /** The most messages that the queue holds. Default: the kernel's (usually 10). At most `fs.mqueue.msg_max` unless privileged. */
  maxMessages?: number;
  /** The most bytes of one message. Default: the kernel's (usually 8192). At most `fs.mqueue.msgsize_max` unless privileged. */
  messageSize?: number;
  /** Permission bits, used exactly (no umask). Default: 0600. */
  mode?: number;
}
/** What a queue is opened for: receiving, sending or both. */
export type MessageQueueAccess = 'read' | 'write' | 'both';
/** Options for sending a message to a POSIX queue. */
export interface PriorityOptions {
  /** 0 (the default) to 32767; higher is received first. */
  priority?: number | undefined;
}

const CREATE_OPTIONS: OptionNames<MessageQueueOptions> = { maxMessages: true, messageSize: true, mode: true };
const OPEN_OPTIONS: OptionNames<{ access: MessageQueueAccess }> = { access: true };
const SEND_OPTIONS: OptionNames<PriorityOptions & WaitOptions> = { priority: true, ...WAIT_OPTIONS };

const FOREVER = new Deadline('wait for a message queue');
/** Whether this thread may block in a call without a limit; a worker must return for `terminate()`. */
const MAY_BLOCK = FOREVER.block() < 0;
const NONE = Object.freeze({});
const ACCESS = { read: 'O_RDONLY', write: 'O_WRONLY', both: 'O_RDWR' } as const;

/**
 * A POSIX message queue, mq_overview(7). Messages stay whole: the highest priority is received first, and within one priority the oldest
 * message. Any number of processes, in any language, can send and receive; each message is received once.
 *
 * The queue belongs to the kernel: it lives, with its messages, until it is unlinked and the last process that has it open closes it or
 * dies. A process that is killed while it waits takes no message with it. Waiting calls on one object are served in order.
 *
 * @example
 * ```ts
 * import { MessageQueue } from 'vecino/mailbox';
 * const queue = MessageQueue.create('jobs', { maxMessages: 4, messageSize: 128 });
 * await queue.send('later');
 * await queue.send('now', { priority: 5 });
 * const { content, priority } = await queue.receive(); // 'now', 5
 * queue.unlink();
 * queue.close();
 * ```
 */
export class MessageQueue implements Disposable, AsyncDisposable, AsyncIterable<PosixMessage> {
  /** The name, without the leading slash. */
  readonly name: string;
  readonly #fd: number;
  readonly #access: MessageQueueAccess;
  readonly #size: number;
  readonly #senders: WaitQueue;
  readonly #receivers: WaitQueue;
  readonly #keepAlive = new KeepAlive();
  /** A second open file that blocks, for the blocking mode: one call instead of three. */
  readonly #blocking: Blocking = { fd: -1, serial: 0, tried: false };
  readonly #remains: Remains;
  #closed = false;

  private constructor(name: string, fd: number, access: MessageQueueAccess) {
    this.name = name;
    readOnly(this, 'name');
    this.#fd = fd;
    this.#access = access;
    this.#size = mqGetattr(fd).messageSize;
    this.#senders = new WaitQueue(fd, `message queue '/${name}'`, 'writable', this.#keepAlive);
    this.#receivers = new WaitQueue(fd, `message queue '/${name}'`, 'readable', this.#keepAlive);
    this.#remains = remainsOf(name, fd, [this.#senders, this.#receivers], this.#blocking);
    whenDropped(this, this.#remains);
  }

  /**
   * Creates a new queue and opens it for both. Throws {@link SystemError} `EEXIST` if the name is taken; `EINVAL`, `EMFILE` or `ENOSPC` if
   * it would exceed a limit of the kernel. The message then names the limit, its value and how to raise it.
   *
   * @param name `[A-Za-z0-9._-]{1,200}`, a leading `/` means the same
   */
  static create(name: string, options: MessageQueueOptions = NONE): MessageQueue {
    checkOptions('options', options, CREATE_OPTIONS);
    name = checkName('name', name);
    const { maxMessages, messageSize, mode = 0o600 } = options;
    const sizes: Partial<QueueAttributes> = {};
    if (maxMessages !== undefined) sizes.maxMessages = checkInteger('options.maxMessages', maxMessages, 1);
    if (messageSize !== undefined) sizes.messageSize = checkInteger('options.messageSize', messageSize, 1);
    checkMode('options.mode', mode);
    const flags = constants['O_CREAT']! | constants['O_EXCL']! | constants['O_RDWR']! | constants['O_NONBLOCK']!;
    const fd = mqOpen(name, flags, mode, sizes);
    try {
      fchmod(fd, mode); // the umask has removed bits
      return new MessageQueue(name, fd, 'both');
    } catch (error) {
      close(fd);
      mqUnlink(name);
      throw error;
    }
  }
  /** Opens an existing queue. Throws {@link SystemError} `ENOENT` if there is none, `EACCES` if its mode forbids the access. */
  static open(name: string, options: { access?: MessageQueueAccess } = NONE): MessageQueue {
    checkOptions('options', options, OPEN_OPTIONS);
    name = checkName('name', name);
    const { access = 'both' } = options;
    if (typeof access !== 'string' || !Object.hasOwn(ACCESS, access)) {
      throw invalidArgument('ERR_INVALID_ARG_VALUE', 'options.access', "'read', 'write' or 'both'", access);
    }
    const fd = mqOpen(name, constants[ACCESS[access]]! | constants['O_NONBLOCK']!);
    try {
      return new MessageQueue(name, fd, access);
    } catch (error) {
      close(fd);
      throw error;
    }
  }
  /**
   * Removes the name. Returns `false` if it does not exist. A process that has the queue open, or waits on it, keeps it and its messages.
   */
  static unlink(name: string): boolean {
    return mqUnlink(name);
  }

  /** The file descriptor: readable while there is a message, writable while there is room. It belongs to this object. */
  get fd(): number {
    this.#checkOpen();
    return this.#fd;
  }
  /** The limits of the queue, and how full it is at this moment. */
  get attributes(): QueueAttributes {
    this.#checkOpen();
    return mqGetattr(this.#fd);
  }

  /**
   * Sends a message; waits without blocking the event loop while the queue is full. You may reuse the content as soon as the call has
   * returned. Throws {@link MessageTooLargeError} if it is longer than the queue's `messageSize`. Without receivers it waits until the
   * time-out, or for ever: a queue does not know whether there are receivers.
   */
  async send(content: Content, options: PriorityOptions & WaitOptions = NONE): Promise<void> {
    const deadline = new Deadline(`send to message queue '${this.name}'`, options, SEND_OPTIONS);
    const priority = this.#priority(options);
    const bytes = this.#content(content);
    deadline.signal?.throwIfAborted();
    this.#checkOpen();
    if (this.#senders.mayTry() && this.#send(bytes, priority)) return;
    const copy = bytes.slice();
    await this.#senders.join(() => this.#send(copy, priority) || undefined, deadline);
  }
  /** Sends a message if there is room at once. Returns `false` if there is none, or if an earlier `send()` waits for room. */
  trySend(content: Content, options: PriorityOptions = NONE): boolean {
    checkOptions('options', options, SEND_OPTIONS);
    const priority = this.#priority(options);
    const bytes = this.#content(content);
    this.#checkOpen();
    return this.#senders.idle && this.#send(bytes, priority);
  }
  /** As {@link send}, but blocks the thread while the queue is full. Sends that wait already go first. */
  sendSync(content: Content, options: PriorityOptions & SyncWaitOptions = NONE): void {
    checkOptions('options', options, SEND_OPTIONS);
    const deadline =
      options.timeout === undefined
        ? FOREVER
        : new Deadline(`send to message queue '${this.name}'`, options, SEND_OPTIONS);
    const priority = this.#priority(options);
    const bytes = this.#content(content);
    this.#checkOpen();
    if (!this.#senders.idle) this.#senders.finishSync(deadline);
    const fd = deadline === FOREVER ? this.#blockingFd() : this.#fd;
    for (;;) {
      const result = mqSend(fd, bytes, priority);
      if (result === 0) return;
      if (result === EAGAIN) pollOne(fd, POLLOUT, deadline);
      else if (result !== EINTR) throw this.#failed(result, 'mq_send');
    }
  }

  /** Receives the oldest message of the highest priority; waits for one without blocking the event loop. */
  async receive(options?: WaitOptions): Promise<PosixMessage> {
    const deadline = new Deadline(`receive from message queue '${this.name}'`, options);
    deadline.signal?.throwIfAborted();
    this.#checkOpen();
    if (this.#receivers.mayTry()) {
      const message = this.#receive();
      if (message !== undefined) return message;
    }
    return this.#receivers.join(() => this.#receive(), deadline);
  }
  /** Receives a message if there is one. Returns `undefined` if not, or if an earlier `receive()` waits for it. */
  tryReceive(): PosixMessage | undefined {
    this.#checkOpen();
    return this.#receivers.idle ? this.#receive() : undefined;
  }
  /** As {@link receive}, but blocks the thread while there is no message. Receives that wait already are served first. */
  receiveSync(options?: SyncWaitOptions): PosixMessage {
    checkOptions('options', options, WAIT_OPTIONS);
    const deadline =
      options?.timeout === undefined ? FOREVER : new Deadline(`receive from message queue '${this.name}'`, options);
    this.#checkOpen();
    if (!this.#receivers.idle) this.#receivers.finishSync(deadline);
    const fd = deadline === FOREVER ? this.#blockingFd() : this.#fd;
    for (;;) {
      const result = receiveFresh(fd, this.#size);
      if (typeof result !== 'number') return result;
      if (result === EAGAIN) pollOne(fd, POLLIN, deadline);
      else if (result !== EINTR) throw this.#failed(result, 'mq_receive');
    }
  }
  /** The messages as they arrive, until the queue is closed or you leave the loop (which does not close it). */
  async *[Symbol.asyncIterator](): AsyncGenerator<PosixMessage, void, undefined> {
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
  /** As the static {@link MessageQueue.unlink}, with this queue's name. */
  unlink(): boolean {
    return mqUnlink(this.name);
  }
  /** Closes this object; the name and the messages stay. Pending calls end with {@link ClosedError}. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closed(this.#remains);
    this.#senders.close();
    this.#receivers.close();
    close(this.#fd);
    if (this.#blocking.fd >= 0) close(this.#blocking.fd);
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClosedError(`message queue '/${this.name}'`);
  }
  #priority(options: PriorityOptions): number {
    const { priority } = options;
    return priority === undefined ? 0 : checkInteger('options.priority', priority, 0, MAX_PRIORITY);
  }
  #content(content: Content): Uint8Array {
    const bytes = toBytes(content);
    if (bytes.length > this.#size) throw this.#tooLarge(bytes.length);
    return bytes;
  }
  #tooLarge(length: number): MessageTooLargeError {
    return new MessageTooLargeError(
      `a message of ${length} bytes is too large for message queue '/${this.name}': its messageSize is ${this.#size} bytes, fixed when it was created. ` +
        `Create it with a larger messageSize; for unprivileged processes ${describeLimit('fs.mqueue.msgsize_max')}`,
      { cause: new SystemError(EMSGSIZE, 'mq_send', { path: `/${this.name}` }) },
    );
  }
  /** `false` when full. */
  #send(bytes: Uint8Array, priority: number): boolean {
    for (;;) {
      const result = mqSend(this.#fd, bytes, priority);
      if (result === 0) return true;
      if (result === EAGAIN) return false;
      if (result !== EINTR) throw this.#failed(result, 'mq_send');
    }
  }
  /** `undefined` when empty. */
  #receive(): PosixMessage | undefined {
    for (;;) {
      const result = receiveFresh(this.#fd, this.#size);
      if (typeof result !== 'number') return result;
      if (result === EAGAIN) return undefined;
      if (result !== EINTR) throw this.#failed(result, 'mq_receive');
    }
  }
  /**
   * The descriptor for a call without a time-out. With one, or in a worker, the non-blocking one is used, and poll(2) waits: its clock,
   * unlike that of mq_timedreceive(2), does not follow changes of the time of day.
   */
  #blockingFd(): number {
    if (!MAY_BLOCK) return this.#fd;
    const blocking = this.#blocking;
    if (!blocking.tried) {
      blocking.tried = true;
      blocking.fd = mqReopenBlocking(this.#fd, constants[ACCESS[this.#access]]!);
      if (blocking.fd >= 0) blocking.serial = own(blocking.fd);
    }
    return blocking.fd >= 0 ? blocking.fd : this.#fd;
  }
  #failed(result: number, syscall: 'mq_send' | 'mq_receive'): SystemError {
    const path = `/${this.name}`;
    if (result !== EBADF) return new SystemError(result, syscall, { path });
    const needed = syscall === 'mq_send' ? 'write' : 'read';
    const hint = `It was opened with access '${this.#access}'; this needs '${needed}' or 'both'`;
    return new SystemError(result, syscall, { path, hint });
  }
}

interface Blocking {
  /** -1: there is none (yet). */
  fd: number;
  serial: number;
  tried: boolean;
}
function remainsOf(name: string, fd: number, waitQueues: WaitQueue[], blocking: Blocking): Remains {
  const serial = own(fd);
  return {
    what: `message queue '/${name}'`,
    abandon() {
      for (const waitQueue of waitQueues) waitQueue.close();
      if (blocking.fd >= 0) closeIfOwned(blocking.fd, blocking.serial);
      return closeIfOwned(fd, serial);
    },
  };
}
