/** A line of the control file that its channel's owner keeps about somebody else: who it is, and how much has passed. */
import { SEAT_COUNTERS, SEAT_PID, SEAT_ROLE } from './control-file.js';
import type { Participant } from './participant.js';

/** The role of a line that is about a connection. */
export const CONNECTION_ROLE = 1;

export class Statistics {
  #participant: Participant;
  readonly #word: number;
  readonly #counters: number;
  #open = true;

  constructor(participant: Participant, seat: number, pid: number) {
    this.#participant = participant;
    this.#word = participant.wordOf(seat);
    this.#counters = (this.#word >> 1) + SEAT_COUNTERS;
    participant.doubles.fill(0, this.#counters, this.#counters + 4);
    participant.words[this.#word + SEAT_ROLE] = CONNECTION_ROLE;
    participant.words[this.#word + SEAT_PID] = pid;
  }
  /** To the same line of another control file: the first was removed. */
  move(participant: Participant): void {
    const { doubles, words } = this.#participant;
    const counted = doubles.slice(this.#counters, this.#counters + 4);
    participant.words[this.#word + SEAT_ROLE] = CONNECTION_ROLE;
    participant.words[this.#word + SEAT_PID] = words[this.#word + SEAT_PID]!;
    participant.doubles.set(counted, this.#counters);
    this.#participant = participant;
  }
  /** So many messages and bytes have gone out. After {@link close} it does nothing. */
  sent(messages: number, bytes: number): void {
    if (!this.#open) return; // a store to memory that is gone would do nothing, slowly
    const { doubles } = this.#participant;
    doubles[this.#counters] = messages;
    doubles[this.#counters + 1] = bytes;
  }
  received(messages: number, bytes: number): void {
    if (!this.#open) return;
    const { doubles } = this.#participant;
    doubles[this.#counters + 2] = messages;
    doubles[this.#counters + 3] = bytes;
  }
  /** Before the place is closed. Idempotent. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#participant.words[this.#word + SEAT_PID] = 0;
  }
}
