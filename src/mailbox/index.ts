/**
 * Message queues of the kernel, POSIX and System V. Messages stay whole.
 *
 * @module vecino/mailbox
 */

export type { PosixMessage, QueueAttributes } from '../system/mqueue.js';
export { ftok, type SysVKey } from '../system/sysv-key.js';
export type { SysVMessage, SysVQueueStatus } from '../system/sysv-message.js';
export type { Content } from './content.js';
export {
  MessageQueue,
  type MessageQueueAccess,
  type MessageQueueOptions,
  type PriorityOptions,
} from './message-queue.js';
export { type SelectOptions, SysVMessageQueue, type SysVQueueOptions, type TypeOptions } from './sysv-message-queue.js';
