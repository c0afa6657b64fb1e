/** A line of the control file that its channel's owner keeps about somebody else: who it is, and how much has passed. */
import { SEAT_COUNTERS, SEAT_PID, SEAT_ROLE } from './control-file.js';
import type { Place } from './place.js';

/** The role of a line that is about a connection. */
export const CONNECTION_ROLE = 1;

export class Row {
  #place: Place;
  readonly #word: number;
  readonly #counters: number;
  #open = true;

  constructor(place: Place, seat: number, pid: number) {
    this.#place = place;
    this.#word = place.wordOf(seat);
    this.#counters = (this.#word >> 1) + SEAT_COUNTERS;
    place.doubles.fill(0, this.#counters, this.#counters + 4);
    place.words[this.#word + SEAT_ROLE] = CONNECTION_ROLE;
    place.words[this.#word + SEAT_PID] = pid;
  }
  /** To the same line of another control file: the first was removed. */
  move(place: Place): void {
    const { doubles, words } = this.#place;
    const counted = doubles.slice(this.#counters, this.#counters + 4);
    place.words[this.#word + SEAT_ROLE] = CONNECTION_ROLE;
    place.words[this.#word + SEAT_PID] = words[this.#word + SEAT_PID]!;
    place.doubles.set(counted, this.#counters);
    this.#place = place;
  }
  /** So many messages and bytes have gone out. After {@link close} it does nothing. */
  sent(messages: number, bytes: number): void {
    if (!this.#open) return; // a store to memory that is gone would do nothing, slowly
    const { doubles } = this.#place;
    doubles[this.#counters] = messages;
    doubles[this.#counters + 1] = bytes;
  }
  received(messages: number, bytes: number): void {
    if (!this.#open) return;
    const { doubles } = this.#place;
    doubles[this.#counters + 2] = messages;
    doubles[this.#counters + 3] = bytes;
  }
  /** Before the place is closed. Idempotent. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#place.words[this.#word + SEAT_PID] = 0;
  }
}
