/** Which of many descriptors are ready: one job, the kernel's three ways. */
import { Epoll } from './epoll.js';
import { poll, pollSync, tryPoll } from './poll.js';
import { select, selectSync, trySelect } from './select.js';

export type { Epoll, EpollEvent, EpollInterest, EpollSyncWaitOptions, EpollWaitOptions } from './epoll.js';
export type { Events, Interest } from './events.js';
export type { PollEntry, PollResult } from './poll.js';
export type { SelectResult, SelectSets } from './select.js';

/** select(2), poll(2) and epoll(7), over any descriptors. */
export const readiness = { select, trySelect, selectSync, poll, tryPoll, pollSync, Epoll } as const;
