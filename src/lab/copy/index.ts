/** An experiment: what it costs two processes to copy a file, by each mechanism. */
export type { Account } from './account.js';
export { type CopyOptions, type CopyResult, copy } from './coordinator.js';
export type { Transport } from './transport.js';
export { transports } from './transports/index.js';
