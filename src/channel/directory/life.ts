/**
 * Whether a channel is there or removed: one word of its control file, and no lock, so that a process that is stopped while it removes or
 * opens one holds up nobody.
 *
 *     LIVE ── a remover ──> REMOVING (a number of its own) ── the same remover, after it has found all seats empty ──> REMOVED, for ever
 *      ^─────────────────────── whoever has taken a seat ───────────────────────┘
 *
 * An opener takes its seat and THEN looks at the word; a remover changes the word and THEN looks at the seats. One comes first: either the
 * remover finds the seat taken, or the opener finds the channel being removed and takes that back, whereupon the remover's last step fails.
 * Each removal has another number, so that a remover that was stopped cannot end somebody else's.
 *
 * Killed at any instruction, either leaves a word with which the next goes on.
 */
import { LIFE_WORD, REMOVALS_WORD } from './control-file.js';

const LIVE = 0;
const REMOVED = -1;
/** Of the numbers of removals; one is used again after 2^30 others. */
const NUMBERS = 0x3fffffff;

/** Whether it is removed for ever. Its files may be there still; whoever finds them clears them away. */
export function isRemoved(words: Int32Array): boolean {
  return Atomics.load(words, LIFE_WORD) === REMOVED;
}
/** For one who has taken a seat: whether it takes part. False: the channel is removed. */
export function stay(words: Int32Array): boolean {
  for (;;) {
    const found = Atomics.load(words, LIFE_WORD); // pairs with the exchange in remove()
    if (found === LIVE) return true;
    if (found === REMOVED) return false;
    Atomics.compareExchange(words, LIFE_WORD, found, LIVE);
  }
}
/**
 * Removes the channel, unless somebody takes part in it.
 *
 * @param isEmpty looks at the seats; asked once
 */
export function remove(words: Int32Array, isEmpty: () => boolean): boolean {
  const mine = (Atomics.add(words, REMOVALS_WORD, 1) & NUMBERS) + 1;
  let found = Atomics.load(words, LIFE_WORD);
  for (;;) {
    if (found === REMOVED) return true;
    const before = Atomics.compareExchange(words, LIFE_WORD, found, mine); // somebody else's removal too: it may be stopped or dead
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
