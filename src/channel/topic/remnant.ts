/** What is seen to when nobody refers to a topic any more, neither by itself nor by a subscription: it counts as killed. */
import type { Remains } from '../../system/dropped.js';
import type { Line } from '../../system/line.js';
import type { Mapping } from '../../system/memory.js';
import type { Closings } from '../place/closings.js';
import type { Seat } from './seat.js';
import type { Waking } from './waking.js';

export class TopicRemnant implements Remains {
  readonly what: string;
  /** Its own, and those of its subscriptions. */
  readonly seats = new Set<Seat>();
  readonly lines = new Set<Line>();
  readonly closings = new Set<Pick<Closings, 'close'>>();
  ring: Mapping | undefined;
  waking: Waking | undefined;

  constructor(seat: Seat) {
    this.what = `topic '${seat.place.name}'`;
    this.seats.add(seat);
  }
  abandon(): boolean {
    for (const line of this.lines) line.close();
    for (const closings of this.closings) closings.close();
    this.waking?.close();
    this.ring?.unmap();
    for (const seat of this.seats) seat.close();
    return true;
  }
}
