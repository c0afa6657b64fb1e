/**
 * What the dead had in hand: the slots that they were writing become free, and the messages that they had taken are given back.
 *
 * First the death is proven (the seat's lock is free), so that the dead one writes no more; then the slots are noted with their words,
 * all that he had; then the lock is looked at again, and each word exchanged, if it and the incarnation are what they were. A word that
 * was noted before the lock was free belongs to somebody dead; whoever has the seat by now has changed the incarnation before it took or
 * sent anything, and writes no word that somebody is about to exchange (hazards.ts). So any number of processes may do this at once, and each may be
 * stopped or killed at any instruction: what it has adopted by then is in its hands, as with any consumer.
 */
import { SEATS } from '../seats.js';
import { HIGHEST_SEAT, INCARNATIONS, SENT, STATE } from './layout.js';
import type { Messages } from './messages.js';

/** Who takes part. */
export interface Participants {
  /** Our own. */
  readonly seat: number;
  /** Whether a seat has a living owner, by the kernel's word. */
  isTaken(seat: number): boolean;
}
/** What was found. */
export interface Recovered {
  /** Messages given back. */
  returned: number;
  /** Slots freed. */
  freed: number;
}

/** Takes part as the owner of `seat`, after what a predecessor in it left was recovered. Before the seat is used in any way. */
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
/** Ends that, when nothing is owned any more. */
export function leave(messages: Messages, seat: number): void {
  const { words } = messages;
  messages.noteGeneration();
  Atomics.store(words, INCARNATIONS + seat, words[INCARNATIONS + seat]! & ~1);
}
/** Looks for the dead: a system call for each other seat that was not left properly. */
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
/** Gives back all that the owner of a seat has taken, if that is proven to be right, while nobody `isSame` denies has the seat. */
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
  // The dead put no more entries in; one that goes while we look goes after the state of its slot has changed.
  const entries = new Map<number, () => void>();
  for (const index of messages.indexes) {
    index.each((slot, position, entry) => entries.set(slot, () => index.clear(position, entry)));
  }
  for (const [slot, word] of noted) {
    if (!messages.expects(slot, word) || !isSame()) continue;
    const clear = entries.get(slot);
    if ((word & STATE) === SENT) {
      // With an entry it is committed, and anybody's.
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
