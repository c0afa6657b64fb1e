/**
 * The system calls, typed: one function per call, named as its man page; errors; waiting for a descriptor.
 *
 * @module vecino/system
 */

export { MESSAGE_HEADER } from './buffer-pool.js';
export { Deadline } from './deadline.js';
export { epollCreate, epollCtl, epollRoom, epollWait } from './epoll.js';
export * from './essentials.js';
export { eventfd } from './eventfd.js';
export {
  close,
  dup,
  dup3,
  type FileStatus,
  fallocate,
  fchmod,
  fcntl,
  flock,
  fstat,
  ftruncate,
  isKind,
  linkDescriptor,
  open,
} from './file.js';
export { setFileLock, setFileLockWait, testFileLock } from './file-lock.js';
export { type Mapping, memfdCreate, mmap, shmOpen, shmUnlink } from './memory.js';
export { MAX_PRIORITY, mqGetattr, mqOpen, mqReceive, mqReceiveInto, mqSend, mqUnlink } from './mqueue.js';
export { constants } from './native.js';
export { mkfifo, pipe2 } from './pipe.js';
export { pollNow, readableSync, writableSync } from './poll.js';
export { Readiness } from './readiness.js';
export { DescriptorSets, FD_SETSIZE, select } from './select.js';
export { kill, sigqueue } from './signal.js';
export {
  accept4,
  bind,
  connect,
  getpeername,
  getsockname,
  listen,
  MAX_DESCRIPTORS,
  recvmsg,
  sendmsg,
  shutdown,
  socket,
  socketpair,
} from './socket.js';
export { type InetAddress, inetAddress, inetName, unixAddress, unixName } from './socket-address.js';
export { getsockopt, peerCredentials, setsockopt } from './socket-option.js';
export { type SystemCallCounters, systemCallCounters } from './system-call-counters.js';
export type { SysVMemoryStatus } from './sysv-memory.js';
export { msgget, msgRemove, msgrcv, msgrcvInto, msgSetLimit, msgStat, msgsnd } from './sysv-message.js';
export { semGetAll, semget, semRemove, semSetAll, semStat } from './sysv-semaphore.js';
export { copyFileRange, read, sendfile, splice, write } from './transfer.js';
