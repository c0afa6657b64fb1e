/**
 * What a channel is and its participants, in a file that all of them map: `RUNTIME/NAME/control`.
 *
 *     byte     0  magic, version, length of the description (each i32)
 *             16  the description: JSON
 *           4088  whether it is live or removed, and how many removals were begun (each i32, life.ts)
 *           4096  SEATS seats of 128 bytes:
 *                 0 pid  4 role  8 sleeps  12 when what it was last woken for was committed (spin.ts)
 *                 16 … six counters (f64), the rest is the kind's own
 *
 * A seat belongs to the process that holds the write lock (open file description, fcntl(2)) of the byte of its number. The kernel releases
 * the lock when the owner dies, in whatever way. The content of a seat is self-reported information for others, and never proof of
 * anything.
 * Crash guarantee: the file gets its name when its description is complete.
 */
import { SEAT_OWN, SEAT_SLEEPS, SEATS } from '../../lock-free/seats.js';
import { CorruptError } from '../../system/errors.js';
import { pread, pwrite } from '../../system/file.js';
import { allocate } from '../../system/new-file.js';

const MAGIC = 0x76636e6f;
const VERSION = 2;
const DESCRIPTION = 16;
/** In words: see life.ts. */
export const LIFE_WORD = 1022;
export const REMOVALS_WORD = 1023;
const MAX_DESCRIPTION_BYTES = LIFE_WORD * 4 - DESCRIPTION;
/** Where the seats begin. */
export const SEATS_OFFSET = 4096;
export const SEAT_SIZE = 128;
export { SEAT_OWN, SEAT_SLEEPS, SEATS };
export const CONTROL_SIZE: number = SEATS_OFFSET + SEATS * SEAT_SIZE;

/** In a seat, in words (i32). */
export const SEAT_PID = 0;
export const SEAT_ROLE = 1;
export const SEAT_WAKE_TIME = 3;
/** In a seat, in doubles: the first counter. */
export const SEAT_COUNTERS = 2;
export const COUNTERS = 6;
/** The number of words in a seat that are the kind's own, from SEAT_OWN. */
export const SEAT_OWN_WORDS = 16;

/** The kinds of channels. */
export type ChannelKind = 'connection' | 'topic' | 'queue' | 'service';
const KINDS: readonly ChannelKind[] = ['connection', 'topic', 'queue', 'service'];
/** What all processes that open a channel must agree on. */
export interface Description {
  readonly kind: ChannelKind;
  readonly codec: string;
  /** Sizes and counts, by name: `capacity`, `messageSize`. */
  readonly geometry: Readonly<Record<string, number>>;
}

/** Fills a new file, which no other process can see yet. `path` is for the error. */
export function writeControl(fd: number, description: Description, path: string): void {
  const text = Buffer.from(JSON.stringify(description));
  const page = Buffer.alloc(SEATS_OFFSET);
  page.writeInt32LE(MAGIC, 0);
  page.writeInt32LE(VERSION, 4);
  page.writeInt32LE(text.length, 8);
  if (text.length > MAX_DESCRIPTION_BYTES) throw new RangeError('the description of the channel is too long');
  text.copy(page, DESCRIPTION);
  allocate(fd, CONTROL_SIZE, path);
  pwrite(fd, page, 0, path);
}
/** Reads a description without trusting it. `path` is for the error. */
export function readControl(fd: number, path: string): Description {
  const page = Buffer.alloc(SEATS_OFFSET);
  const count = pread(fd, page, 0, path);
  if (count < DESCRIPTION || page.readInt32LE(0) !== MAGIC)
    throw damaged(path, 'it is not the control file of a channel');
  const version = page.readInt32LE(4);
  if (version !== VERSION)
    throw damaged(
      path,
      `it has format ${version}, which another version of vecino made; this version reads format ${VERSION}`,
    );
  const length = page.readInt32LE(8);
  if (length < 0 || length > Math.min(count - DESCRIPTION, MAX_DESCRIPTION_BYTES))
    throw damaged(path, 'its description is truncated');
  let value: unknown;
  try {
    value = JSON.parse(page.toString('utf8', DESCRIPTION, DESCRIPTION + length));
  } catch (cause) {
    throw damaged(path, 'its description is not JSON', cause);
  }
  if (isDescription(value)) return value;
  throw damaged(path, 'its description is incomplete');
}
function isDescription(value: unknown): value is Description {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, codec, geometry } = value as Partial<Description>;
  return (
    KINDS.includes(kind as ChannelKind) &&
    typeof codec === 'string' &&
    typeof geometry === 'object' &&
    geometry !== null &&
    Object.values(geometry).every((each) => Number.isSafeInteger(each) && each >= 0)
  );
}
function damaged(path: string, why: string, cause?: unknown): CorruptError {
  return new CorruptError(`'${path}' cannot be used: ${why}. Remove its folder if no process uses it`, { cause });
}
