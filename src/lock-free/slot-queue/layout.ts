/**
 * The layout of a queue: the file `slots` beside the control file, which all participants map.
 *
 *     byte      0  magic, version, highest seat ever used + 1, whether a participant needs fences (hazards.ts)
 *             128  consumers asleep   a word: bit 0 there may be a sleeper, bit 1 an eager one (waiter-table.ts), the rest counts changes;
 *                                     and the last ticket that was given to a sleeper
 *             256  producers asleep   the same for waits for room
 *             384  returned           the same for messages to redeliver (redelivery.ts)
 *             512  for each of 256 seats: its incarnation; odd while the seat is in use
 *            1536  … : where the generations of its state words continue (generations.ts)
 *            2560  … : its ticket as a sleeping consumer, 0 awake
 *            3584  … : its ticket as a sleeping producer
 *            5120  for each seat, 128 bytes: the state words that it is about to exchange (hazards.ts)
 *           37888  for each priority: head and tail of its ready index, hints, 128 bytes each
 *                  states   a word for each slot
 *                  returned a bit for each slot
 *                  rings    for each priority the ready index (ready-index.ts): at least twice as many words as slots
 *                  slots    each of 32 bytes and the payload, to multiples of 64:
 *                           0 length  4 priority  8 type  12 attempts  16 position in the order of commit  20 … unused  32 payload
 *                           The sender writes all but the attempts, before it commits: the position too, again for each position
 *                           that it tries. So a later owner, or a process that recovers it from a dead one, knows its position.
 *
 * The state word is the only truth about a slot:
 *
 *     bit 31 … 11 generation | 10 … 3 seat | 2 … 0 state
 *
 *     FREE ──put──> SENT ──take──> TAKEN ──acknowledge──> FREE
 *                                    │  ^
 *                            reject  v  │  take
 *                                  RETURNED
 *
 * Every change of ownership is one compare-and-exchange on it, which records the seat of the new owner; freeing is a store of the owner.
 * The generation makes each word of a seat differ from all words that are in a slot or that a process is about to exchange. So a word that
 * was read is never taken for a later one, however long ago it was read (generations.ts).
 * Only a slot's owner writes to the slot: SENT, until its entry is in the ready index, the seat that sent it; TAKEN, the seat that took it.
 * FREE is 0.
 *
 * Commit: a message exists once its entry is in the ready index, which is one compare-and-exchange. A producer that is killed before that
 * has sent nothing; recovery.ts finds its slot SENT and without an entry, and frees it.
 *
 * An entry is cleared before the slot that it names is freed. So an entry that is still there after the slot's state was read proves that
 * the state is the one of that entry's message, and not of a later one in the same slot.
 *
 * No process waits for another: each step of a process that is stopped is either complete, or the others can skip it.
 */

import { CorruptError, invalidArgument } from '../../system/errors.js';
import { SEATS } from '../seats.js';

export const MAGIC = 0x76637175;
export const VERSION = 4;

/** Words of the beginning. */
export const HIGHEST_SEAT = 2;
export const FENCES = 3;
export const CONSUMERS = 32;
export const PRODUCERS = 64;
/** Words from the summary of the sleepers to the last ticket given. */
export const LAST_TICKET = 1;
export const RETURNED_HINT = 96;
export const INCARNATIONS = 128;
export const GENERATIONS: number = INCARNATIONS + SEATS;
export const CONSUMER_TICKETS: number = GENERATIONS + SEATS;
export const PRODUCER_TICKETS: number = CONSUMER_TICKETS + SEATS;
/** Words that seats are about to exchange: the distance from one seat to the next. */
export const HAZARDS = 1280;
export const HAZARD_STRIDE = 32;
/** Hints of a priority: words from one to the next, and from the head to the tail. */
export const HINTS: number = HAZARDS + SEATS * HAZARD_STRIDE;
export const HINT_STRIDE = 64;
export const TAIL_HINT = 32;

/** In a slot's header, in words. */
export const LENGTH = 0;
export const PRIORITY = 1;
export const TYPE = 2;
export const ATTEMPTS = 3;
export const POSITION = 4;
/** Bytes before the payload. */
export const HEADER = 32;

/** States. */
export const STATE = 7;
export const FREE = 0;
export const SENT = 1;
export const TAKEN = 2;
export const RETURNED = 3;
const SEAT_SHIFT = 3;
export const GENERATION_SHIFT = 11;
export const GENERATION_MASK: number = 2 ** 21 - 1;
/** Composes a state word. */
export function stateWord(state: number, seat: number, generation: number): number {
  return (generation << GENERATION_SHIFT) | (seat << SEAT_SHIFT) | state;
}
export function seatOf(word: number): number {
  return (word >>> SEAT_SHIFT) & (SEATS - 1);
}

export const MAX_CAPACITY = 65536;
export const MAX_MESSAGE_BYTES: number = 2 ** 24;
export const MAX_PRIORITIES = 32;
const MAX_FILE_BYTES: number = 2 ** 31 - 4096;

/** What the processes that open a queue agree on. */
export interface Geometry {
  /** The number of messages. */
  readonly capacity: number;
  /** The most bytes of a message. */
  readonly messageSize: number;
  readonly priorities: number;
}
/** The offsets, which follow from the geometry alone: word indices, unless they say bytes. */
export interface Plan extends Geometry {
  readonly states: number;
  readonly returned: number;
  readonly rings: number;
  /** Entries of a ready index: a power of two. */
  readonly ringSize: number;
  readonly slots: number;
  /** From one slot to the next. */
  readonly stride: number;
  /** The size of the file. */
  readonly byteLength: number;
}
export function planOf(geometry: Geometry): Plan {
  const { capacity, messageSize, priorities } = geometry;
  const line = (word: number) => (word + 31) & ~31;
  const states = HINTS + priorities * HINT_STRIDE;
  const returned = line(states + capacity);
  const rings = line(returned + ((capacity + 31) >> 5));
  const ringSize = 2 ** Math.max(5, Math.ceil(Math.log2(2 * capacity)));
  const slots = rings + priorities * ringSize;
  const stride = (HEADER + messageSize + 63) & ~63;
  const byteLength = slots * 4 + capacity * stride;
  return {
    capacity,
    messageSize,
    priorities,
    states,
    returned,
    rings,
    ringSize,
    slots,
    stride: stride / 4,
    byteLength,
  };
}
/** The plan for the description in a control file, which is not trusted. */
export function planOfFound(geometry: Readonly<Record<string, number>>, name: string): Plan {
  const { capacity, messageSize, priorities } = geometry;
  if (
    isWithin(capacity, MAX_CAPACITY) &&
    isWithin(messageSize, MAX_MESSAGE_BYTES) &&
    isWithin(priorities, MAX_PRIORITIES)
  ) {
    const plan = planOf({ capacity, messageSize, priorities });
    if (plan.byteLength <= MAX_FILE_BYTES) return plan;
  }
  throw new CorruptError(`queue '${name}' is corrupt: its description has invalid sizes`);
}
function isWithin(value: number | undefined, most: number): value is number {
  return value !== undefined && value >= 1 && value <= most;
}
/** Refuses sizes that are too large together. */
export function checkGeometry(geometry: Geometry): void {
  if (planOf(geometry).byteLength <= MAX_FILE_BYTES) return;
  const expected = 'so that capacity times messageSize is less than 2 GiB';
  throw invalidArgument('ERR_OUT_OF_RANGE', 'options.capacity', expected, geometry.capacity);
}
