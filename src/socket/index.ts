/**
 * Unix and TCP sockets (three blocking modes, descriptors, credentials, half-close, back-pressure), and readiness of many descriptors.
 *
 * @module vecino/socket
 */

export { DescriptorsLostError, HostError } from './errors.js';
export { SocketMessage } from './message.js';
export type { Attachments } from './outbox.js';
export {
  type Epoll,
  type EpollEvent,
  type EpollInterest,
  type EpollSyncWaitOptions,
  type EpollWaitOptions,
  type Events,
  type Interest,
  type PollEntry,
  type PollResult,
  readiness,
  type SelectResult,
  type SelectSets,
} from './readiness/index.js';
export type { Server } from './server.js';
export type { SendOptions, Socket, SyncSendOptions } from './socket.js';
export {
  type TcpConnectOptions,
  type TcpConnectSyncOptions,
  type TcpListenOptions,
  TcpServer,
  TcpSocket,
  tcp,
} from './tcp.js';
export {
  type UnixConnectOptions,
  type UnixConnectSyncOptions,
  UnixDatagramServer,
  type UnixListenOptions,
  UnixServer,
  UnixSocket,
  unix,
} from './unix.js';
