/** The experiment of the seed texts: what it costs two processes to move a file, for each way of doing it. */
export type { Account } from './account.js';
export { type CopyOptions, type CopyResult, copy } from './coordinator.js';
export type { Transport } from './transport.js';
export { transports } from './transports/index.js';
