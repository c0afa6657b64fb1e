/** What every part needs of the system: errors, options of waits, and types that several parts share. */
export type { Bytes } from './bytes.js';
export type { SyncWaitOptions, WaitOptions } from './deadline.js';
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
} from './errors.js';
export { futexWait, futexWaitAsync, futexWake } from './futex.js';
export { readable, writable } from './readiness.js';
export type { SocketType } from './socket.js';
export type { Credentials } from './socket-option.js';
export { ftok } from './sysv-key.js';
