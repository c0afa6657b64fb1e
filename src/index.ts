/**
 * vecino: inter-process communication for TypeScript on Linux. The system calls themselves are in `vecino/system`.
 *
 * @module vecino
 */
export * from './channel/index.js';
export * from './mailbox/index.js';
export * from './memory/index.js';
export * from './pipe/index.js';
export * from './signal/index.js';
export * from './socket/index.js';
export * from './sync/index.js';
export type { Bytes } from './system/bytes.js';
export type { SyncWaitOptions, WaitOptions } from './system/deadline.js';
export {
  ClosedError,
  CorruptError,
  errno,
  errnoName,
  IpcError,
  MessageTooLargeError,
  MismatchError,
  NotEncodableError,
  PeerDiedError,
  RemovedError,
  SystemError,
  type SystemErrorContext,
  TimeoutError,
  UnsupportedError,
} from './system/errors.js';
export { futexWait, futexWaitAsync, futexWake } from './system/futex.js';
export { readable, writable } from './system/readiness.js';
export type { SocketType } from './system/socket.js';
export type { Credentials } from './system/socket-option.js';
export { ftok } from './system/sysv-key.js';
