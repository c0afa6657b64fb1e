/** vecino: inter-process communication for TypeScript on Linux. */
export * from './system/index.js';
