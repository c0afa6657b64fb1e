/**
 * The layout of a ring: bytes that one process writes and another one reads.
 *
 *     the control block, each line on two cache lines of its own (the processor fetches them in pairs)
 *     byte    0  tail      producer: the position behind the last committed record
 *           128  head      consumer: the position of the next record that it will read
 *           256  consumer  AWAKE, ASLEEP (wake it for the next record), BUSY (see below) or CLOSED (reads no more)
 *           260  record    producer: when it committed the record that it last woke the consumer for (spin.ts)
 *           384  producer  AWAKE, ASLEEP (wake it when there is room) or CLOSED (nothing follows what is committed)
 *           388  room      consumer: when it released the room that it last woke the producer for
 *
 *     the data: `capacity` bytes, a power of two; records begin at multiples of 8
 *     +-----------+-----------+----------------------+-------+
 *     | length i32| kind i32  | payload              | to 8  |     a record
 *     +-----------+-----------+----------------------+-------+
 *
 * Positions count bytes since the beginning and wrap at 2^32; a record lies at `position & (capacity - 1)` and is never split: where it
 * does not fit before the end, a record of the kind PAD fills the rest.
 *
 * Sleeping: the consumer stores ASLEEP and polls once more; the producer stores `tail` and checks whether the consumer sleeps. Between its
 * store and its load each needs a barrier, or both could miss the other. A barrier per message would cost the producer more than the
 * message (it waits until the reader's processor has given up the line of `tail`). So a consumer that has read much without sleeping marks
 * itself BUSY: then the producer needs no barrier, and the consumer makes up for both, by membarrier(2), before it next sleeps.
 *
 * Crash guarantee: a record exists once `tail` is behind it. A producer that is killed before that has sent nothing, and one that is killed
 * after it has sent the whole record. A consumer that is killed at any instruction has taken nothing away from memory that others rely on.
 * Hostility: both sides read each shared word once and check its bounds before use; see producer.ts and consumer.ts.
 */
import { checkInteger } from '../../system/arguments.js';
import { invalidArgument } from '../../system/errors.js';

/** Bytes of a control block. */
export const CONTROL = 512;
/** Words of the control block. */
export const TAIL = 0;
export const HEAD = 32;
export const CONSUMER = 64;
export const RECORD_TIME = 65;
export const PRODUCER = 96;
export const ROOM_TIME = 97;
/** The state of an end. */
export const AWAKE = 0;
export const ASLEEP = 1;
export const CLOSED = 2;
export const BUSY = 3;

/** Bytes before the payload: its length and its kind. */
export const RECORD_HEADER = 8;

/** A whole message. */
export const MESSAGE = 0;
/** Not a message: fills the rest of the ring before its end. */
export const PAD = 1;
/** The first fragment of a message, which begins with the length of the whole message (u32, then 4 bytes unused). */
export const FIRST_FRAGMENT = 2;
export const MIDDLE_FRAGMENT = 3;
export const LAST_FRAGMENT = 4;

export const MIN_CAPACITY_BYTES = 4096;
/** Every offset in memory with two such rings is a positive number of 32 bits. */
export const MAX_CAPACITY_BYTES: number = 2 ** 29;

/** The longest payload of one record: at every position it fits beside the pad, once the ring is at most a quarter full. */
export function longestRecord(capacity: number): number {
  return (capacity >> 3) * 3 - RECORD_HEADER;
}
/** The size of a record in the ring. */
export function recordSize(length: number): number {
  return (length + RECORD_HEADER + 7) & ~7;
}
export function checkCapacity(argument: string, value: unknown): number {
  checkInteger(argument, value, MIN_CAPACITY_BYTES, MAX_CAPACITY_BYTES);
  const capacity = value as number;
  if ((capacity & (capacity - 1)) === 0) return capacity;
  throw invalidArgument('ERR_INVALID_ARG_VALUE', argument, 'a power of two', value);
}
