/** Memory shared between processes. */
export { SharedMemory } from './shared-memory.js';
export { type SysVKey, SysVSharedMemory } from './sysv-shared-memory.js';
