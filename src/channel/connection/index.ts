/** Connections: one to one, ordered, in both directions. */
export { type ConnectOptions, connect } from './connect.js';
export { Connection } from './connection.js';
export type { LinkOptions } from './handshake.js';
export { Listener, type ListenOptions, listen } from './listener.js';
export { Loan } from './loan.js';
export type { Visit } from './receiver.js';
