/** Readiness of many descriptors: select, poll and epoll. */
import { Epoll } from './epoll.js';
import { poll, pollSync, tryPoll } from './poll.js';
import { select, selectSync, trySelect } from './select.js';

export type { Epoll, EpollEvent, EpollInterest, EpollSyncWaitOptions, EpollWaitOptions } from './epoll.js';
export type { Events, Interest } from './events.js';
export type { PollEntry, PollResult } from './poll.js';
export type { SelectResult, SelectSets } from './select.js';

/**
 * select(2), poll(2) and epoll(7), over any descriptors.
 * @namespace
 */
export const readiness = {
  /**
   * select(2): waits until one of a few descriptors is ready.
   * @function
   */
  select,
  /**
   * select(2): what is ready now.
   * @function
   */
  trySelect,
  /**
   * select(2), which blocks the thread.
   * @function
   */
  selectSync,
  /**
   * poll(2): waits until one of many descriptors is ready.
   * @function
   */
  poll,
  /**
   * poll(2): what is ready now.
   * @function
   */
  tryPoll,
  /**
   * poll(2), which blocks the thread.
   * @function
   */
  pollSync,
  /** epoll(7): a set of descriptors that stays in the kernel. */
  Epoll,
} as const;
