/**
 * The files of the rings: create, take over, open, list.
 *
 * Ring N belongs to the process that holds the lock of byte `FIRST_LOCK + N` of the control file, which the kernel releases when it dies. A
 * publisher takes the lowest free ring, so there are never more rings than there were publishers at the same time. The messages of a dead
 * publisher stay until later publishers have overwritten them or the last participant leaves.
 *
 * Crash guarantee: a file gets its name when it is complete. A process that is killed between the lock and the name leaves nothing.
 */

import {
  DATA,
  MAGIC,
  VERSION,
  WORD_CAPACITY,
  WORD_MAGIC,
  WORD_VERSION,
} from '../../lock-free/broadcast-ring/layout.js';
import { CorruptError, errnoName, SystemError } from '../../system/errors.js';
import { close, fchmod, fstat, isKind } from '../../system/file.js';
import { type Mapping, mmap } from '../../system/memory.js';
import { allocate, newFile } from '../../system/new-file.js';
import { openFile } from '../../system/open-existing.js';
import { readdir } from '../../system/path.js';
import { SEATS } from '../directory/control-file.js';
import { giveToOwner } from '../directory/directory.js';
import type { Participant } from '../directory/participant.js';

const FIRST_LOCK = 1024;
/** Every publisher has a seat, so there is always a free ring. */
const RINGS = SEATS;

/** A ring that we may write, until {@link giveRing}. */
export interface OwnRing {
  readonly number: number;
  readonly mapping: Mapping;
}
/**
 * Takes over a ring without a writer, or creates one.
 *
 * @throws SystemError `ENOSPC` if `/dev/shm` has no room for it, `EMFILE`
 */
export function takeRing(participant: Participant, capacity: number): OwnRing {
  for (let number = 0; number < RINGS; number++) {
    if (!participant.tryLock(FIRST_LOCK + number)) continue;
    try {
      return { number, mapping: map(participant, number, capacity, false) ?? make(participant, number, capacity) };
    } catch (error) {
      participant.unlock(FIRST_LOCK + number);
      throw error;
    }
  }
  throw new CorruptError(
    `topic '${participant.name}' is corrupt: more of its rings are locked than it can have publishers`,
  );
}
/** Unmaps and unlocks it; the next publisher continues where it ends. */
export function giveRing(participant: Participant, { number, mapping }: OwnRing): void {
  mapping.unmap();
  participant.unlock(FIRST_LOCK + number);
}
/** The numbers of the existing rings. */
export function ringNumbers(participant: Participant): number[] {
  const numbers: number[] = [];
  for (const name of readdir(participant.path('.'))) {
    const number = /^ring-(\d{1,3})$/.exec(name)?.[1];
    if (number !== undefined && Number(number) < RINGS) numbers.push(Number(number));
  }
  return numbers.sort((a, b) => a - b);
}
/** Maps a ring for reading; undefined if it does not exist. */
export function openRing(participant: Participant, number: number, capacity: number): Mapping | undefined {
  return map(participant, number, capacity, true);
}

function map(participant: Participant, number: number, capacity: number, readOnly: boolean): Mapping | undefined {
  const name = `ring ${number} of topic '${participant.name}'`;
  let fd: number;
  try {
    fd = openFile(participant.path(`ring-${number}`), readOnly ? 'read' : 'both');
  } catch (error) {
    if (error instanceof SystemError && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const status = fstat(fd);
    if (!isKind(status, 'S_IFREG') || status.size !== DATA + capacity) throw damaged(name, `${status.size} bytes`);
    const mapping = mmap(fd, DATA + capacity, { readOnly, name });
    const words = new Int32Array(mapping.buffer, 0, DATA >> 2);
    if (words[WORD_MAGIC] === MAGIC && words[WORD_VERSION] === VERSION && words[WORD_CAPACITY] === capacity)
      return mapping;
    mapping.unmap();
    throw damaged(name, 'an invalid header');
  } finally {
    close(fd);
  }
}
function make(participant: Participant, number: number, capacity: number): Mapping {
  const file = newFile(participant.path('.'));
  let mapping: Mapping | undefined;
  try {
    allocate(file.fd, DATA + capacity, `${participant.folder}/ring-${number}`);
    mapping = mmap(file.fd, DATA + capacity, { name: `ring ${number} of topic '${participant.name}'` });
    const words = new Int32Array(mapping.buffer, 0, DATA >> 2);
    words[WORD_MAGIC] = MAGIC;
    words[WORD_VERSION] = VERSION;
    words[WORD_CAPACITY] = capacity;
    if (participant.mode !== 0o600) fchmod(file.fd, participant.mode);
    giveToOwner(participant.directory, `/proc/self/fd/${file.fd}`);
    file.publish(participant.path(`ring-${number}`));
    return mapping;
  } catch (error) {
    mapping?.unmap();
    file.withdraw();
    if (!(error instanceof SystemError) || errnoName(error.errno) !== 'ENOSPC') throw error;
    const hint = `The file system has no room for another ring of ${capacity} bytes. Use a smaller capacity or a larger file system`;
    throw new SystemError(error.errno, error.syscall, { path: `${participant.folder}/ring-${number}`, hint });
  } finally {
    close(file.fd);
  }
}
function damaged(name: string, what: string): CorruptError {
  return new CorruptError(`${name} is corrupt: it has ${what}`);
}
