/** Cleans up a topic that was dropped, when neither the program nor a subscription refers to it any more: it counts as killed. */
import type { Remains } from '../../system/dropped.js';
import type { Mapping } from '../../system/memory.js';
import type { WaitQueue } from '../../system/wait-queue.js';
import type { ExitWatcher } from '../directory/exit-watcher.js';
import type { Seat } from './seat.js';
import type { Waking } from './waking.js';

export class TopicRemnant implements Remains {
  readonly what: string;
  /** The topic's own seat, and those of its subscriptions. */
  readonly seats = new Set<Seat>();
  readonly waitQueues = new Set<WaitQueue>();
  readonly exitWatchers = new Set<Pick<ExitWatcher, 'close'>>();
  ring: Mapping | undefined;
  waking: Waking | undefined;

  constructor(seat: Seat) {
    this.what = `topic '${seat.participant.name}'`;
    this.seats.add(seat);
  }
  abandon(): boolean {
    for (const waitQueue of this.waitQueues) waitQueue.close();
    for (const exitWatcher of this.exitWatchers) exitWatcher.close();
    this.waking?.close();
    this.ring?.unmap();
    for (const seat of this.seats) seat.close();
    return true;
  }
}
