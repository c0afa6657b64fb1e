/**
 * The layout of a topic's ring: the file `ring-N`, which one publisher writes and all subscribers map read-only.
 *
 *     byte    0  magic, version, capacity (i32 each), written before the file has its name
 *           128  tail     position behind the last committed record
 *           256  oldest   position of the oldest record that is intact
 *          4096  the data: `capacity` bytes, a power of two; records begin at multiples of 16
 *
 *     +------------+----------+--------------+---------------+---------------------+--------+
 *     | length i32 | kind i32 | sequence low | sequence high | payload             | to 16  |   a record
 *     +------------+----------+--------------+---------------+---------------------+--------+
 *     | (anything) | (anything) | sequence of the next one |                                     at the tail
 *     +------------+----------+--------------+---------------+
 *
 * Positions count units of 16 bytes since the beginning and wrap at 2^32; a record lies at `position & (capacity / 16 - 1)` and is never
 * split: where it does not fit before the end, a record of the kind PAD, with the sequence number of the one that follows, fills the rest.
 * Sequence numbers count messages from 0, in 64 bits. They do not wrap, so a reader that was stopped until positions repeat is not fooled,
 * and the numbers that it missed are what it lost.
 *
 * The writer moves `oldest` past what it is about to overwrite BEFORE it writes there; a reader checks `oldest` AFTER it has read. If its
 * record was not behind `oldest` by then, everything that it read is intact. (A sequence lock, with one number for all records.)
 *
 * Crash guarantee: a record exists once `tail` is behind it. Before that, the writer has written only where `oldest` says that nothing is;
 * so a writer that is killed at any instruction leaves a valid ring. `oldest`, `tail` and the number at the tail, which is stored before
 * `tail` points at it, say how to continue.
 * Hostility: see writer.ts and reader.ts. A reader maps the file read-only, so it cannot write, by mistake or otherwise.
 */
import { checkInteger } from '../../system/arguments.js';
import { invalidArgument } from '../../system/errors.js';

export const MAGIC = 0x76636e74;
export const VERSION = 1;
/** In the file, in bytes: where the data begins. */
export const DATA = 4096;
/** In the file, in words (i32). */
export const WORD_MAGIC = 0;
export const WORD_VERSION = 1;
export const WORD_CAPACITY = 2;
export const TAIL = 32;
export const OLDEST = 64;

/** In a record, in words. */
export const LENGTH = 0;
export const KIND = 1;
export const SEQUENCE_LOW = 2;
export const SEQUENCE_HIGH = 3;
/** Bytes before the payload. */
export const RECORD_HEADER = 16;
/** 0 is no kind: memory that was never written is not a record. */
export const MESSAGE = 1;
export const PAD = 2;

export const MIN_CAPACITY_BYTES = 4096;
export const MAX_CAPACITY_BYTES: number = 2 ** 30;
export const DEFAULT_CAPACITY: number = 2 ** 20;

/** The size of a record, in units of 16 bytes. */
export function unitsOf(length: number): number {
  return (length + RECORD_HEADER + 15) >> 4;
}
/** The longest payload: with the pad before it and the number behind it, it fits at every position. */
export function longestMessage(capacity: number): number {
  return (capacity >> 1) - RECORD_HEADER;
}
/** Combines two words to a sequence number; exact up to 2^53. */
export function sequenceOf(low: number, high: number): number {
  return high * 2 ** 32 + (low >>> 0);
}
export function isCapacity(value: number): boolean {
  return value >= MIN_CAPACITY_BYTES && value <= MAX_CAPACITY_BYTES && (value & (value - 1)) === 0;
}
export function checkCapacity(argument: string, value: unknown): number {
  const capacity = checkInteger(argument, value, MIN_CAPACITY_BYTES, MAX_CAPACITY_BYTES);
  if (isCapacity(capacity)) return capacity;
  throw invalidArgument('ERR_INVALID_ARG_VALUE', argument, 'a power of two', value);
}
