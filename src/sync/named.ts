/**
 * Named locks: a segment of shared memory that holds one lock, created by the first process that opens it.
 *
 * The segment gets its name only when it is complete, so of all processes that race to create it one wins, and the others open its segment.
 * A process that is killed on the way leaves nothing.
 *
 *     vecino.mutex.NAME:  0 magic  4 kind  8 version  12 -        64 the lock itself
 */
import { SharedMemory } from '../memory/index.js';
import { checkMode, checkName, checkOptions, type OptionNames } from '../system/arguments.js';
import { CorruptError, invalidArgument, SystemError } from '../system/errors.js';
import { pause } from '../system/pause.js';

const MAGIC = 0x76656369; // 'veci'
const VERSION = 1;
const KINDS = ['mutex', 'rwlock', 'condition', 'barrier'] as const;
export type NamedKind = (typeof KINDS)[number];
/** Where the lock begins, in bytes. */
export const NAMED_OFFSET = 64;
/** Longest name; a segment's may have 200 characters. */
const MAX_NAME_LENGTH = 180;
/** Milliseconds to wait for a segment without size or header. Ours get both before their name; those of other programs may not. */
const UNFINISHED_TIMEOUT_MS = 1000;

/** Options of named locks. */
export interface NamedOptions {
  /** Permission bits for a new lock. Default: 0600. Every process that uses the lock must be able to read and write it. */
  mode?: number;
}

const OPTIONS: OptionNames<NamedOptions> = { mode: true };

/** Opens the segment of that lock, or creates it. `initialize` fills the memory from {@link NAMED_OFFSET}. */
export function openNamed(
  kind: NamedKind,
  name: string,
  bytes: number,
  initialize: (words: Int32Array, index: number) => void,
  options: NamedOptions = {},
): SharedMemory {
  const full = fullName(kind, name);
  const what = `${kind === 'rwlock' ? 'read-write lock' : kind} '${full.slice(`vecino.${kind}.`.length)}'`;
  const mode = checkMode('options.mode', checkOptions('options', options, OPTIONS)!.mode ?? 0o600);
  const end = performance.now() + UNFINISHED_TIMEOUT_MS;
  for (;;) {
    try {
      const memory = SharedMemory.open(full);
      memory.dropAs(what);
      if (isWhole(memory, kind, bytes, end)) return memory;
      memory.close();
    } catch (error) {
      const waiting = error instanceof CorruptError && performance.now() < end;
      if (!waiting && !(error instanceof SystemError && error.code === 'ENOENT')) throw error;
      if (waiting) pause(1);
    }
    try {
      const memory = SharedMemory.create(full, NAMED_OFFSET + bytes, {
        mode,
        initialize({ buffer }) {
          const words = new Int32Array(buffer);
          initialize(words, NAMED_OFFSET / 4);
          words[1] = KINDS.indexOf(kind);
          words[2] = VERSION;
          Atomics.store(words, 0, MAGIC);
        },
      });
      memory.dropAs(what);
      return memory;
    } catch (error) {
      if (!(error instanceof SystemError && error.code === 'EEXIST')) throw error;
    }
  }
}
/** Removes the name. Returns false if it does not exist. A process that has the lock open keeps it; later ones create another. */
export function unlinkNamed(kind: NamedKind, name: string): boolean {
  return SharedMemory.unlink(fullName(kind, name));
}

function fullName(kind: NamedKind, name: string): string {
  const plain = checkName('name', name);
  if (plain.length > MAX_NAME_LENGTH) {
    throw invalidArgument('ERR_INVALID_ARG_VALUE', 'name', `a name of at most ${MAX_NAME_LENGTH} characters`, name);
  }
  return `vecino.${kind}.${plain}`;
}
/** False: it is still being initialised. */
function isWhole(memory: SharedMemory, kind: NamedKind, bytes: number, end: number): boolean {
  const words = memory.size < NAMED_OFFSET ? new Int32Array(4) : new Int32Array(memory.buffer, 0, 4);
  const magic = Atomics.load(words, 0);
  if (magic === 0 && performance.now() < end) {
    pause(1);
    return false;
  }
  if (
    magic === MAGIC &&
    words[1] === KINDS.indexOf(kind) &&
    words[2] === VERSION &&
    memory.size >= NAMED_OFFSET + bytes
  )
    return true;
  const { name } = memory;
  memory.close();
  throw new CorruptError(
    `shared memory '${name}' holds no ${kind} of this version of vecino. Unlink it if no process uses it, or use another name`,
  );
}
