/**
 * Recovery after a death: the slots that the dead process was writing become free, and the messages that it had taken are redelivered.
 *
 * First the death is proven (the seat's lock is free), so the dead process writes no more. Then all its slots are noted with their words.
 * Then the lock is checked again, and each word exchanged, if it and the incarnation are unchanged. A word that was noted before the lock
 * was free belongs to a dead process. A new owner of the seat changes the incarnation before it takes or sends anything, and writes no word
 * that a process is about to exchange (hazards.ts). So any number of processes can do this at once, and each can be stopped or killed at
 * any instruction: what it has adopted by then belongs to it, as with any consumer.
 */
import { SEATS } from '../seats.js';
import { HIGHEST_SEAT, INCARNATIONS, SENT, STATE } from './layout.js';
import type { Messages } from './messages.js';

/** The participants. */
export interface Participants {
  /** Our own. */
  readonly seat: number;
  /** Whether a seat has a live owner, as reported by the kernel. */
  isTaken(seat: number): boolean;
}
/** What was recovered. */
export interface Recovered {
  /** Messages redelivered. */
  returned: number;
  /** Slots freed. */
  freed: number;
}

/** Enters as the owner of `seat`, and first recovers what a predecessor in it left. Call it before any use of the seat. */
export function enter(messages: Messages, seat: number): void {
  const { words } = messages;
  if ((Atomics.load(words, INCARNATIONS + seat) & 1) !== 0) recoverSeat(messages, seat, yes, yes);
  Atomics.store(words, INCARNATIONS + seat, ((words[INCARNATIONS + seat]! | 1) + 2) | 0);
  let highest = Atomics.load(words, HIGHEST_SEAT);
  while (highest <= seat || highest > SEATS) {
    const found = Atomics.compareExchange(words, HIGHEST_SEAT, highest, seat + 1);
    if (found === highest) return;
    highest = found;
  }
}
const yes = () => true;
/** Leaves, when nothing is owned any more. */
export function leave(messages: Messages, seat: number): void {
  const { words } = messages;
  messages.noteGeneration();
  Atomics.store(words, INCARNATIONS + seat, words[INCARNATIONS + seat]! & ~1);
}
/** Checks for dead peers: a system call for each other seat that was not left properly. */
export function recover(participants: Participants, messages: Messages): Recovered {
  const { words } = messages;
  const sum: Recovered = { returned: 0, freed: 0 };
  const count = Math.min(Atomics.load(words, HIGHEST_SEAT) >>> 0, SEATS);
  for (let seat = 0; seat < count; seat++) {
    if (seat === participants.seat) continue;
    const incarnation = Atomics.load(words, INCARNATIONS + seat);
    const isDead = () => !participants.isTaken(seat);
    if ((incarnation & 1) === 0 || !isDead()) continue;
    const isSame = () => Atomics.load(words, INCARNATIONS + seat) === incarnation;
    const found = recoverSeat(messages, seat, isDead, isSame);
    if (found === undefined) continue;
    sum.returned += found.returned;
    sum.freed += found.freed;
    Atomics.compareExchange(words, INCARNATIONS + seat, incarnation, incarnation & ~1);
  }
  return sum;
}
/** Redelivers everything that the owner of a seat has taken, if it is proven dead and `isSame` denies a new owner. */
function recoverSeat(
  messages: Messages,
  seat: number,
  isDead: () => boolean,
  isSame: () => boolean,
): Recovered | undefined {
  const noted: [slot: number, word: number][] = [];
  messages.eachOf(seat, (slot, word) => noted.push([slot, word]));
  if (!isDead()) return undefined;
  const sum: Recovered = { returned: 0, freed: 0 };
  if (noted.length === 0) return sum;
  // The dead put no more entries in. If one disappears while we look, it does so after the state of its slot has changed.
  const entries = new Map<number, () => void>();
  for (const index of messages.indexes) {
    index.each((slot, position, entry) => entries.set(slot, () => index.clear(position, entry)));
  }
  for (const [slot, word] of noted) {
    if (!messages.expects(slot, word) || !isSame()) continue;
    const clear = entries.get(slot);
    if ((word & STATE) === SENT) {
      // If it has an entry, it is committed; leave it.
      if (clear === undefined && messages.free(slot, word)) sum.freed++;
      continue;
    }
    const mine = messages.adopt(slot, word);
    if (mine === 0) continue;
    clear?.();
    messages.redeliver(slot, mine);
    sum.returned++;
  }
  return sum;
}
