/**
 * Whether a channel is live or removed: one word of its control file, and no lock, so that a process that is stopped while it removes or
 * opens one blocks no other.
 *
 *     LIVE ── a remover ──> REMOVING (a number of its own) ── the same remover, after it has found all seats empty ──> REMOVED, for ever
 *      ^─────────────────────── a process that has taken a seat ────────────────┘
 *
 * An opener takes its seat and THEN reads the word; a remover changes the word and THEN checks the seats. One comes first: either the
 * remover finds the seat taken, or the opener finds the channel being removed and reverts that, so that the remover's last step fails. Each
 * removal has another number, so that a remover that was stopped cannot complete another one's removal.
 *
 * A process that is killed at any instruction leaves a word from which the next one continues.
 */
import { LIFE_WORD, REMOVALS_WORD } from './control-file.js';

const LIVE = 0;
const REMOVED = -1;
/** The numbers of removals; one is used again after 2^30 others. */
const NUMBERS = 0x3fffffff;

/** Whether it is removed for ever. Its files may still exist; the next process that finds them removes them. */
export function isRemoved(words: Int32Array): boolean {
  return Atomics.load(words, LIFE_WORD) === REMOVED;
}
/** For a process that has taken a seat: whether it participates. False: the channel is removed. */
export function stay(words: Int32Array): boolean {
  for (;;) {
    const found = Atomics.load(words, LIFE_WORD); // pairs with the exchange in remove()
    if (found === LIVE) return true;
    if (found === REMOVED) return false;
    Atomics.compareExchange(words, LIFE_WORD, found, LIVE);
  }
}
/**
 * Removes the channel, unless it has participants.
 *
 * @param isEmpty checks the seats; called once
 */
export function remove(words: Int32Array, isEmpty: () => boolean): boolean {
  const mine = (Atomics.add(words, REMOVALS_WORD, 1) & NUMBERS) + 1;
  let found = Atomics.load(words, LIFE_WORD);
  for (;;) {
    if (found === REMOVED) return true;
    const before = Atomics.compareExchange(words, LIFE_WORD, found, mine); // also another process's removal, because that one may be stopped or dead
    if (before === found) break;
    found = before;
  }
  let empty = false;
  try {
    empty = isEmpty();
  } finally {
    Atomics.compareExchange(words, LIFE_WORD, mine, empty ? REMOVED : LIVE);
  }
  return isRemoved(words);
}
