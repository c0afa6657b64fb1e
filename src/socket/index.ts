/** Sockets, and readiness of many descriptors. */
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
