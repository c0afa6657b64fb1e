/** Locks in shared memory, between unrelated processes, that survive the death of whoever holds them. */
export { Barrier } from './barrier.js';
export { Condition } from './condition.js';
export type { Guard } from './guard.js';
export { Mutex } from './mutex.js';
export type { NamedOptions } from './named.js';
export type { LockMemory } from './robust-lock.js';
export { RwLock } from './rw-lock.js';
