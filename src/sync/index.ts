/**
 * Synchronisation between processes: locks and semaphores. Those in shared memory live at an offset of it or under a name; file locks and
 * System V semaphores belong to the kernel.
 *
 * @module vecino/sync
 */
export { Barrier } from './barrier.js';
export { Condition } from './condition.js';
export type { FileGuard } from './file-guard.js';
export { FileLock, type FileLockKind } from './file-lock.js';
export type { Guard } from './guard.js';
export type { FileLockOpenOptions } from './lock-file.js';
export { Mutex } from './mutex.js';
export type { NamedOptions } from './named.js';
export type { RangeOptions } from './range.js';
export type { LockMemory } from './robust-lock.js';
export { RwLock } from './rw-lock.js';
export { Semaphore } from './semaphore.js';
export {
  type SemaphoreOperation,
  SysVSemaphore,
  type SysVSemaphoreState,
  type SysVSemaphoreStatus,
} from './sysv-semaphore.js';
