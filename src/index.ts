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
export * from './system/essentials.js';
