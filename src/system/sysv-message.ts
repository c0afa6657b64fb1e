/** System V message queues, svipc(7): msgget(2), msgsnd(2), msgrcv(2), msgctl(2). EINTR is retried. */

import { checkBytes, checkInteger, checkMode } from './arguments.js';
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
import { E2BIG, EINTR, EPERM } from './errno.js';
import { check, errno, SystemError } from './errors.js';
import { describeLimit } from './limits.js';
import { native } from './native.js';
import { checkKey, type SysVKey } from './sysv-key.js';

declare module './native.js' {
  interface Native {
    // sysv_message.c
    msgget(key: number, flags: number): number;
    msgsnd(id: number, type: number, view: Uint8Array, flags: number): number;
    msgrcv(id: number, type: number, flags: number, buffer: Uint8Array): number;
    msgrcvPooled(id: number, type: number, flags: number, offset: number, size: number): number;
    msgStat(id: number, out: Float64Array): number;
    msgSetLimit(id: number, bytes: number): number;
    msgRemove(id: number): number;
    msgWaitStart(id: number, type: number, flags: number): number;
    msgWaitFinish(event: number, cancel: boolean, type: Float64Array): number;
    msgWaitRest(event: number, type: Float64Array): number;
    msgWaitResume(event: number): number;
    msgSendStart(id: number, type: number, view: Uint8Array): number;
    msgSendFinish(event: number, cancel: boolean): number;
  }
}
const { msgrcvPooled } = native;

/** A message of a System V queue. */
export interface SysVMessage {
  /**
   * 1 or more. The kernel's type is a `long`: for a value beyond 2^53 - 1, which only other programs can send, this is the nearest number.
   */
  type: number;
  /** Its bytes, yours to keep. */
  content: Bytes;
}
/** The result of msgctl(2) IPC_STAT. */
export interface SysVQueueStatus {
  /** Messages that it holds. */
  messages: number;
  /** Bytes of content that it holds. */
  bytes: number;
  /** The most bytes of content that it holds (and the most messages). */
  limit: number;
  /** The process that sent last; 0 for none yet. */
  lastSender: number;
  /** The process that received last; 0 for none yet. */
  lastReceiver: number;
}

/** The id of the queue with a key. `flags`: `constants.IPC_CREAT`, `IPC_EXCL`. `mode` is for a new queue; no umask applies. */
export function msgget(key: SysVKey, flags = 0, mode = 0o600): number {
  const number = checkKey('key', key);
  checkInteger('flags', flags, 0);
  const id = native.msgget(number, flags | checkMode('mode', mode));
  if (id >= 0) return id;
  const path = key === 'private' ? 'private' : `key 0x${(number >>> 0).toString(16)}`;
  const hint = whyNot(-id);
  throw new SystemError(id, 'msgget', { path, hint });
}
function whyNot(number: number): string | undefined {
  switch (number) {
    case errno['ENOENT']:
      return 'No queue has that key: create it first';
    case errno['EEXIST']:
      return 'A queue with that key exists already: open it, or remove it first';
    case errno['EACCES']:
      return "The queue's mode does not allow this access to this user";
    case errno['ENOSPC']:
      return `The limit of queues is reached: ${describeLimit('kernel.msgmni')}, or remove unused queues (ipcs -q, ipcrm -q ID)`;
    default:
      return undefined;
  }
}

const status = new Float64Array(5);
/** IPC_STAT. */
export function msgStat(id: number): SysVQueueStatus {
  check(native.msgStat(checkId(id), status), 'msgctl', { path: `id ${id}` });
  const [messages, bytes, limit, lastSender, lastReceiver] = status as unknown as [
    number,
    number,
    number,
    number,
    number,
  ];
  return { messages, bytes, limit, lastSender, lastReceiver };
}
/** IPC_SET of the most bytes that the queue holds. More than kernel.msgmnb needs a privilege. */
export function msgSetLimit(id: number, bytes: number): void {
  const result = native.msgSetLimit(checkId(id), checkInteger('bytes', bytes, 1, 0x7fffffff));
  const path = `id ${id}`;
  const hint = `More than ${describeLimit('kernel.msgmnb')}`;
  check(result, 'msgctl', result === EPERM ? { path, hint } : { path });
}
/** IPC_RMID: removes the queue at once, with its messages; waiters fail with EIDRM. */
export function msgRemove(id: number): void {
  check(native.msgRemove(checkId(id)), 'msgctl', { path: `id ${id}` });
}
function checkId(id: number): number {
  return checkInteger('id', id, 0, 0x7fffffff);
}

/** Sends a message. Blocks while the queue is full, unless `flags` has `IPC_NOWAIT`. */
export function msgsnd(id: number, type: number, bytes: Uint8Array, flags = 0): void {
  checkId(id);
  checkInteger('type', type, 1);
  checkBytes('bytes', bytes);
  let result: number;
  do result = native.msgsnd(id, type, bytes, flags);
  while (result === EINTR);
  check(result, 'msgsnd', { path: `id ${id}` });
}
/**
 * Receives the first message of `type` (0: of any; below 0: of the lowest type up to `-type`; with `MSG_EXCEPT`: of any other),
 * whatever its length. Blocks while there is none, unless `flags` has `IPC_NOWAIT`.
 */
export function msgrcv(id: number, type = 0, flags = 0): SysVMessage {
  checkId(id);
  checkInteger('type', type, Number.MIN_SAFE_INTEGER);
  let result: SysVMessage | number;
  do result = receiveFresh(id, type, flags, FIRST_ROOM);
  while (result === EINTR);
  if (typeof result === 'number') throw new SystemError(result, 'msgrcv', { path: `id ${id}` });
  return result;
}

/**
 * As {@link msgrcv}, into memory that you reuse: `room` has {@link MESSAGE_HEADER} bytes for vecino, then room for the content. A longer
 * message causes `E2BIG` and stays in the queue. Returns the message's length.
 */
export function msgrcvInto(id: number, room: Uint8Array, type = 0, flags = 0): number {
  checkId(id);
  checkBytes('room', room);
  checkInteger('type', type, Number.MIN_SAFE_INTEGER);
  let result: number;
  do result = native.msgrcv(id, type, flags, room);
  while (result === EINTR);
  return check(result, 'msgrcv', { path: `id ${id}` });
}

/** The kernel's default limit for a message (kernel.msgmax). */
export const FIRST_ROOM = 8192;
/** msgrcv(2) with room for `size` bytes first, and more if that is too little: the message, or the errno negated. */
export function receiveFresh(id: number, type: number, flags: number, size: number): SysVMessage | number {
  if (size <= MAX_POOLED_BYTES) {
    const offset = messageRoom(size);
    const count = msgrcvPooled(id, type, flags, offset, size);
    if (count >= 0) return { type: messageHeader(offset), content: messageContent(offset, count) };
    if (count !== E2BIG) return count;
  }
  for (;;) {
    // A message that is too long stays in the queue, so it is not longer than the content of the queue.
    const result = native.msgStat(id, status);
    size = Math.max(size * 2, result === 0 ? status[1]! : 0);
    const buffer = largeBuffer(size);
    const count = native.msgrcv(id, type, flags, buffer);
    if (count >= 0) return { type: largeHeader(buffer), content: largeContent(buffer, count) };
    if (count !== E2BIG) return count;
  }
}
