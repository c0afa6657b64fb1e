/** A line of the control file that its channel's owner keeps about somebody else: who it is, and how much has passed. */
import { SEAT_COUNTERS, SEAT_PID, SEAT_ROLE } from './control-file.js';
import type { Place } from './place.js';

/** The role of a line that is about a connection. */
export const CONNECTION_ROLE = 1;

export class Row {
  readonly #place: Place;
  readonly #word: number;
  readonly #counters: number;

  constructor(place: Place, seat: number, pid: number) {
    this.#place = place;
    this.#word = place.wordOf(seat);
    this.#counters = (this.#word >> 1) + SEAT_COUNTERS;
    place.doubles.fill(0, this.#counters, this.#counters + 4);
    place.words[this.#word + SEAT_ROLE] = CONNECTION_ROLE;
    place.words[this.#word + SEAT_PID] = pid;
  }
  /** A message and all bytes so far have gone out. After the place is closed this does nothing. */
  sent(messages: number, bytes: number): void {
    const { doubles } = this.#place;
    doubles[this.#counters] = messages;
    doubles[this.#counters + 1] = bytes;
  }
  received(messages: number, bytes: number): void {
    const { doubles } = this.#place;
    doubles[this.#counters + 2] = messages;
    doubles[this.#counters + 3] = bytes;
  }
  close(): void {
    this.#place.words[this.#word + SEAT_PID] = 0;
  }
}
