/** A place in a topic, with its bell: what everybody needs who publishes or subscribes. */

import { TOPIC_SEAT } from '../../lock-free/broadcast-ring/waiter-table.js';
import type { Description } from '../place/control-file.js';
import { COUNTERS, SEAT_COUNTERS, SEAT_ROLE } from '../place/control-file.js';
import type { ChannelDirectory } from '../place/directory.js';
import { Doorbell } from '../place/doorbell.js';
import { Place } from '../place/place.js';

/** Bits of what the owner of a seat does. */
export const PUBLISHES = 1;
export const SUBSCRIBES = 2;
/** Its counters, for whoever lists channels: published, its bytes, received, its bytes, lost. */
export const PUBLISHED = 0;
export const FIRST_RECEIVED = 2;

export class Seat {
  readonly place: Place;
  readonly bell: Doorbell;
  /** The counters that others see. Nothing depends on them. */
  readonly shown: Float64Array;

  constructor(name: string, wanted: Description, insist: readonly string[], directory: ChannelDirectory) {
    this.place = Place.open(name, wanted, { directory, insist, seats: [0, TOPIC_SEAT] });
    try {
      this.bell = new Doorbell(this.place);
    } catch (error) {
      this.place.close();
      throw error;
    }
    const first = (this.place.wordOf(this.place.seat) >> 1) + SEAT_COUNTERS;
    this.shown = this.place.doubles.subarray(first, first + COUNTERS);
  }
  /** Says what this seat does, or does no more. */
  plays(role: number, yes: boolean): void {
    const index = this.place.wordOf(this.place.seat) + SEAT_ROLE;
    const before = this.place.words[index]!;
    this.place.words[index] = yes ? before | role : before & ~role;
  }
  close(): void {
    this.bell.close();
    this.place.close();
  }
}
