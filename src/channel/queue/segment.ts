/** The file `slots` of a queue: created whole, by the first process that comes, then mapped by all. */
import { existsSync } from 'node:fs';
import { FREE, MAGIC, type Plan, STATE, VERSION } from '../../lock-free/slot-queue/layout.js';
import { CorruptError, SystemError } from '../../system/errors.js';
import { close, fchmod, fstat, pwrite } from '../../system/file.js';
import { type Mapping, mmap } from '../../system/memory.js';
import { allocate, newFile } from '../../system/new-file.js';
import { openFile } from '../../system/open-existing.js';
import { giveToOwner } from '../directory/directory.js';
import { removeUnlinked } from '../directory/folder.js';
import type { Participant } from '../directory/participant.js';

const FILE = 'slots';

export interface Segment {
  readonly mapping: Mapping;
  /** Whether this process has just created it. */
  readonly made: boolean;
  /** Whether all slots are free, so that it holds no message. */
  isEmpty(): boolean;
}
/** Maps it, and creates it first if it does not exist. Throws a SystemError `ENOSPC` if there is no memory for it. */
export function mapSegment(participant: Participant, plan: Plan): Segment {
  const mapping = openSegment(participant, plan);
  return mapping === undefined ? makeSegment(participant, plan) : segmentOf(mapping, plan, false);
}
function segmentOf(mapping: Mapping, plan: Plan, made: boolean): Segment {
  const states = new Int32Array(mapping.buffer, plan.states * 4, plan.capacity);
  return { mapping, made, isEmpty: () => states.every((word) => (word & STATE) === FREE) };
}
/** Needs no descriptor, so it works when there is none left. */
export function hasSegment(participant: Participant): boolean {
  return existsSync(participant.path(FILE));
}
function openSegment(participant: Participant, plan: Plan): Mapping | undefined {
  let fd: number;
  try {
    fd = openFile(participant.path(FILE), 'both');
  } catch (error) {
    if (error instanceof SystemError && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size } = fstat(fd);
    const mapping = map(fd, participant, plan);
    const words = new Int32Array(mapping.buffer, 0, 2);
    if (size === plan.byteLength && words[0] === MAGIC && words[1] === VERSION) return mapping;
    const older = words[0] === MAGIC && words[1] !== VERSION;
    mapping.unmap();
    throw new CorruptError(
      older
        ? `queue '${participant.name}' cannot be opened: another version of vecino created it. Empty it with that version, or unlink it`
        : `queue '${participant.name}' is corrupt: '${participant.folder}/${FILE}' does not match its control file. Unlink it if no process uses it`,
    );
  } finally {
    close(fd);
  }
}
/** Mapped before it gets its name, so that without address space the queue is not created. */
function makeSegment(participant: Participant, plan: Plan): Segment {
  removeUnlinked(participant.directory.path);
  const file = newFile(participant.path('.'));
  let mapping: Mapping | undefined;
  try {
    reserve(file.fd, plan, participant);
    const head = Buffer.alloc(8);
    head.writeInt32LE(MAGIC, 0);
    head.writeInt32LE(VERSION, 4);
    pwrite(file.fd, head, 0);
    mapping = map(file.fd, participant, plan);
    if (participant.mode !== 0o600) fchmod(file.fd, participant.mode);
    giveToOwner(participant.directory, `/proc/self/fd/${file.fd}`);
    file.publish(participant.path(FILE));
    return segmentOf(mapping, plan, true);
  } catch (error) {
    mapping?.unmap();
    file.withdraw();
    if (error instanceof SystemError && error.code === 'EEXIST') {
      const other = openSegment(participant, plan); // another process was faster
      if (other !== undefined) return segmentOf(other, plan, false);
    }
    throw error;
  } finally {
    close(file.fd);
  }
}
function map(fd: number, participant: Participant, plan: Plan): Mapping {
  return mmap(fd, plan.byteLength, { name: `queue '${participant.name}'` });
}
function reserve(fd: number, plan: Plan, participant: Participant): void {
  try {
    allocate(fd, plan.byteLength, participant.name);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new SystemError(error.errno, error.syscall, {
      path: `${participant.folder}/${FILE}`,
      hint: `The queue needs ${plan.byteLength} bytes there. Use a smaller capacity or messageSize, or free some memory`,
      cause: error,
    });
  }
}
