/** POSIX message queues, mq_overview(7): mq_open(3), mq_unlink(3), mq_getattr(3), mq_send(3), mq_receive(3). */

import { checkBytes, checkDescriptor, checkInteger, checkMode, checkName } from './arguments.js';
import {
  largeBuffer,
  largeContent,
  largeHeader,
  MAX_POOLED_BYTES,
  messageContent,
  messageHeader,
  messageRoom,
} from './buffer-pool.js';
import type { Bytes } from './bytes.js';
import { EINTR, ENOENT } from './errno.js';
import { check, errno, SystemError } from './errors.js';
import { eventfd } from './eventfd.js';
import { close } from './file.js';
import { describeLimit, getrlimit, kernelLimit } from './limits.js';
import { constants, native } from './native.js';

declare module './native.js' {
  interface Native {
    // mqueue.c
    mqOpen(name: string, flags: number, mode: number, maxMessages: number, messageSize: number): number;
    mqUnlink(name: string): number;
    mqGetattr(fd: number, out: Float64Array): number;
    mqSend(fd: number, view: Uint8Array, priority: number): number;
    mqReceive(fd: number, buffer: Uint8Array): number;
    mqReceivePooled(fd: number, offset: number, size: number): number;
  }
}
const { mqReceivePooled } = native;

/** The highest priority, the kernel's MQ_PRIO_MAX - 1. */
export const MAX_PRIORITY = 32767;

/** The limits of a queue, and how full it is. */
export interface QueueAttributes {
  /** The most messages that it holds. */
  maxMessages: number;
  /** The most bytes that one message has. */
  messageSize: number;
  /** The number of messages in it now. */
  currentMessages: number;
}
/** A message of a POSIX queue. */
export interface PosixMessage {
  /** Its bytes, yours to keep. */
  content: Bytes;
  /** 0 (lowest) to 32767 */
  priority: number;
}

/** The kernel's default for a queue that is created without a size, mq_overview(7). */
function preset(most: string, standard: string, fallback: number): number {
  return Math.min(kernelLimit(`fs.mqueue.${most}`) ?? fallback, kernelLimit(`fs.mqueue.${standard}`) ?? fallback);
}

/**
 * Opens a queue, close-on-exec. With `O_CREAT` in `flags` (`constants.O_…`) it is created if necessary, with `attributes` (or the kernel's
 * defaults) and with `mode` minus the umask. If a limit of the kernel was exceeded, the error names it.
 */
export function mqOpen(
  name: string,
  flags: number,
  mode = 0o600,
  attributes: Partial<Pick<QueueAttributes, 'maxMessages' | 'messageSize'>> = {},
): number {
  name = checkName('name', name);
  checkInteger('flags', flags, 0);
  checkMode('mode', mode);
  const making = (flags & constants['O_CREAT']!) !== 0;
  const maxMessages = attributes.maxMessages ?? (making ? preset('msg_max', 'msg_default', 10) : 1);
  const messageSize = attributes.messageSize ?? (making ? preset('msgsize_max', 'msgsize_default', 8192) : 1);
  checkInteger('maxMessages', maxMessages, 1);
  checkInteger('messageSize', messageSize, 1);
  const fd = native.mqOpen(name, flags, mode, maxMessages, messageSize);
  if (fd >= 0) return fd;
  const hint = whyNot(-fd, maxMessages, messageSize);
  throw new SystemError(fd, 'mq_open', { path: `/${name}`, hint });
}
function whyNot(number: number, maxMessages: number, messageSize: number): string | undefined {
  switch (number) {
    case errno['ENOENT']:
      return 'No queue has that name: create it first';
    case errno['EEXIST']:
      return 'A queue of that name exists already: open it, or unlink it first';
    case errno['EACCES']:
      return "The queue's mode does not allow this access to this user";
    case errno['EINVAL']:
    case errno['EOVERFLOW']:
      return tooLarge(maxMessages, messageSize);
    case errno['ENOSPC']:
      return `The limit of queues is reached: ${describeLimit('fs.mqueue.queues_max')}, or unlink unused queues`;
    case errno['EMFILE']:
      return outOfQueueBytes(maxMessages, messageSize);
    case errno['ENOSYS']:
      return 'This kernel was built without POSIX message queues (CONFIG_POSIX_MQUEUE)';
    default:
      return undefined;
  }
}
/** Limits for privileged processes, which may exceed msg_max and msgsize_max, and for sysctl (linux/ipc_namespace.h). */
const HARD_MAX_MESSAGES = 65536;
const HARD_MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
function tooLarge(maxMessages: number, messageSize: number): string {
  const reasons: string[] = [];
  const examine = (what: string, value: number, limit: string, hard: number) => {
    if (value > Math.min(hard, kernelLimit(limit) ?? hard)) {
      reasons.push(`${what} ${value} is too large: ${describeLimit(limit)} (up to ${hard})`);
    }
  };
  examine('maxMessages', maxMessages, 'fs.mqueue.msg_max', HARD_MAX_MESSAGES);
  examine('messageSize', messageSize, 'fs.mqueue.msgsize_max', HARD_MAX_MESSAGE_BYTES);
  return reasons.join('. ') || `${maxMessages} messages of ${messageSize} bytes are too large together`;
}
/** EMFILE has two causes: no descriptor is free, or this user's queues have used up their bytes. */
function outOfQueueBytes(maxMessages: number, messageSize: number): string {
  try {
    close(eventfd());
  } catch {
    return `This process has reached its limit of file descriptors (RLIMIT_NOFILE, ${getrlimit('RLIMIT_NOFILE')}): close some, or raise it with \`ulimit -n NUMBER\``;
  }
  // The kernel counts the room for the messages, a pointer for each, and a tree node for each priority (mq_overview(7)).
  const needed = maxMessages * (messageSize + 8) + Math.min(maxMessages, MAX_PRIORITY + 1) * 48;
  return (
    `RLIMIT_MSGQUEUE is ${getrlimit('RLIMIT_MSGQUEUE')} bytes for all queues of this user, and this one needs ${needed}: ` +
    'make it smaller, unlink unused queues, or raise the limit with `ulimit -q BYTES` before the program starts (`prlimit --pid PID --msgqueue=BYTES` while it runs)'
  );
}

/** Removes a queue's name; `false` if it does not exist. A process that has it open keeps it. */
export function mqUnlink(name: string): boolean {
  name = checkName('name', name);
  const result = native.mqUnlink(name);
  if (result === ENOENT) return false;
  check(result, 'mq_unlink', { path: `/${name}` });
  return true;
}

const attributes = new Float64Array(3);
/** mq_getattr(3). */
export function mqGetattr(fd: number): QueueAttributes {
  check(native.mqGetattr(checkDescriptor('fd', fd), attributes), 'mq_getattr', { path: `fd ${fd}` });
  const [maxMessages, messageSize, currentMessages] = attributes as unknown as [number, number, number];
  return { maxMessages, messageSize, currentMessages };
}

/** Sends a message; blocks if the queue is full and the descriptor blocks. EINTR is retried. */
export function mqSend(fd: number, bytes: Uint8Array, priority = 0): void {
  checkDescriptor('fd', fd);
  checkBytes('bytes', bytes);
  checkInteger('priority', priority, 0, MAX_PRIORITY);
  let result: number;
  do result = native.mqSend(fd, bytes, priority);
  while (result === EINTR);
  check(result, 'mq_send', { path: `fd ${fd}` });
}
/** Receives the oldest message of the highest priority; blocks if there is none and the descriptor blocks. EINTR is retried. */
export function mqReceive(fd: number): PosixMessage {
  const { messageSize } = mqGetattr(fd);
  let result: PosixMessage | number;
  do result = receiveFresh(fd, messageSize);
  while (result === EINTR);
  if (typeof result === 'number') throw new SystemError(result, 'mq_receive', { path: `fd ${fd}` });
  return result;
}

/**
 * As {@link mqReceive}, into memory that you reuse: `room` has {@link MESSAGE_HEADER} bytes for vecino, then room for the longest message
 * of the queue. Returns the message's length.
 */
export function mqReceiveInto(fd: number, room: Uint8Array): number {
  checkDescriptor('fd', fd);
  checkBytes('room', room);
  let result: number;
  do result = native.mqReceive(fd, room);
  while (result === EINTR);
  return check(result, 'mq_receive', { path: `fd ${fd}` });
}

/** One mq_receive(3) from a queue with messages of up to `size` bytes: the message, or the errno negated. */
export function receiveFresh(fd: number, size: number): PosixMessage | number {
  if (size > MAX_POOLED_BYTES) {
    const buffer = largeBuffer(size);
    const count = native.mqReceive(fd, buffer);
    return count < 0 ? count : { content: largeContent(buffer, count), priority: largeHeader(buffer) };
  }
  const offset = messageRoom(size);
  const count = mqReceivePooled(fd, offset, size);
  return count < 0 ? count : { content: messageContent(offset, count), priority: messageHeader(offset) };
}

/**
 * A second, blocking open file for the queue of `fd`, or -1. By /proc and not by name, because the name may belong to another queue by now.
 */
export function mqReopenBlocking(fd: number, access: number): number {
  return Math.max(-1, native.open(`/proc/self/fd/${fd}`, access | constants['O_CLOEXEC']!, 0));
}
