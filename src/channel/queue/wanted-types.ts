/**
 * Which types of messages a sleeper is woken for: words of its seat, which the wakers read (waker.ts). A count and as many types; 0 for all,
 * also where they do not fit.
 */
import { SEAT_OWN, SEAT_OWN_WORDS } from '../directory/control-file.js';
import type { Participant } from '../directory/participant.js';
import type { Types } from './attempts.js';

/** Publishes what all waits of this seat together want: pending ones, and the one that blocks the thread. A wait without types wants all. */
export function wantTypes(participant: Participant, pending: Iterable<Wait>, blocking?: Wait): void {
  const wanted = new Set<number>(blocking?.types);
  let all = blocking !== undefined && blocking.types === undefined;
  for (const { types } of pending) {
    if (all || wanted.size >= SEAT_OWN_WORDS) break;
    if (types === undefined) all = true;
    else for (const type of types) wanted.add(type);
  }
  const { words } = participant;
  let at = participant.wordOf(participant.seat) + SEAT_OWN;
  if (all || wanted.size >= SEAT_OWN_WORDS) words[at] = 0;
  else {
    words[at++] = wanted.size;
    for (const type of wanted) words[at++] = type;
  }
}
interface Wait {
  readonly types: Types;
}
