/** A seat in a topic, with its bell, for publishers and subscriptions. */

import { TOPIC_SEAT } from '../../lock-free/broadcast-ring/waiter-table.js';
import type { Description } from '../directory/control-file.js';
import { COUNTERS, SEAT_COUNTERS, SEAT_ROLE } from '../directory/control-file.js';
import type { ChannelDirectory } from '../directory/directory.js';
import { Doorbell } from '../directory/doorbell.js';
import { Participant } from '../directory/participant.js';

/** Bits for the roles of a seat's owner. */
export const PUBLISHES = 1;
export const SUBSCRIBES = 2;
/** Its counters, for listings of channels: published, its bytes, received, its bytes, lost. */
export const PUBLISHED = 0;
export const FIRST_RECEIVED = 2;

export class Seat {
  readonly participant: Participant;
  readonly bell: Doorbell;
  /** The counters that others see. Nothing depends on them. */
  readonly shown: Float64Array;

  constructor(name: string, wanted: Description, insist: readonly string[], directory: ChannelDirectory) {
    this.participant = Participant.open(name, wanted, { directory, insist, seats: [0, TOPIC_SEAT] });
    try {
      this.bell = new Doorbell(this.participant);
    } catch (error) {
      this.participant.close();
      throw error;
    }
    const first = (this.participant.wordOf(this.participant.seat) >> 1) + SEAT_COUNTERS;
    this.shown = this.participant.doubles.subarray(first, first + COUNTERS);
  }
  /** Sets or clears a role of this seat. */
  plays(role: number, yes: boolean): void {
    const index = this.participant.wordOf(this.participant.seat) + SEAT_ROLE;
    const before = this.participant.words[index]!;
    this.participant.words[index] = yes ? before | role : before & ~role;
  }
  close(): void {
    this.bell.close();
    this.participant.close();
  }
}
