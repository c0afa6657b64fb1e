/** An entry of the control file in which the channel's owner publishes the counters of a peer. */
import { SEAT_COUNTERS, SEAT_PID, SEAT_ROLE } from './control-file.js';
import type { Participant } from './participant.js';

/** The role of an entry for a connection. */
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
  /** Moves to the same entry of another control file, because the first was removed. */
  move(participant: Participant): void {
    const { doubles, words } = this.#participant;
    const counted = doubles.slice(this.#counters, this.#counters + 4);
    participant.words[this.#word + SEAT_ROLE] = CONNECTION_ROLE;
    participant.words[this.#word + SEAT_PID] = words[this.#word + SEAT_PID]!;
    participant.doubles.set(counted, this.#counters);
    this.#participant = participant;
  }
  /** Counts sent messages and bytes. After {@link close} it does nothing. */
  sent(messages: number, bytes: number): void {
    if (!this.#open) return; // a store to unmapped memory would do nothing, slowly
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
  /** Call it before the participant is closed. Idempotent. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#participant.words[this.#word + SEAT_PID] = 0;
  }
}
