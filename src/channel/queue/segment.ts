/** The file `slots` of a queue: made whole, by whoever comes first, then mapped by all. */
import { existsSync } from 'node:fs';
import { CorruptError, SystemError } from '../../system/errors.js';
import { close, fallocate, fchmod, fstat, linkDescriptor, open, pwrite } from '../../system/file.js';
import { type Mapping, mmap } from '../../system/memory.js';
import { constants } from '../../system/native.js';
import { openFile } from '../../system/open-existing.js';
import { giveToOwner } from '../place/directory.js';
import { removeUnlinked } from '../place/folder.js';
import type { Place } from '../place/place.js';
import { MAGIC, type Plan, VERSION } from './layout.js';

const FILE = 'slots';
const { O_RDWR, O_TMPFILE } = constants as Record<string, number>;

/** Maps it, making it first if it is not there. Throws a SystemError `ENOSPC` if there is no memory for it. */
export function mapSegment(place: Place, plan: Plan): Mapping {
  const fd = openSegment(place) ?? makeSegment(place, plan);
  try {
    const { size } = fstat(fd);
    const mapping = mmap(fd, plan.byteLength, { name: `queue '${place.name}'` });
    const words = new Int32Array(mapping.buffer, 0, 2);
    if (size === plan.byteLength && words[0] === MAGIC && words[1] === VERSION) return mapping;
    const older = words[0] === MAGIC && words[1] !== VERSION;
    mapping.unmap();
    throw new CorruptError(
      older
        ? `queue '${place.name}' cannot be used: it was made by another version of vecino. Empty it with that one, or unlink it`
        : `queue '${place.name}' cannot be used: '${place.folder}/${FILE}' is not what its control file says. Unlink it if nobody uses it`,
    );
  } finally {
    close(fd);
  }
}
/** Needs no descriptor, so that it can be asked when there is none. */
export function hasSegment(place: Place): boolean {
  return existsSync(place.path(FILE));
}
function openSegment(place: Place): number | undefined {
  try {
    return openFile(place.path(FILE), 'both');
  } catch (error) {
    if (error instanceof SystemError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
function makeSegment(place: Place, plan: Plan): number {
  removeUnlinked(place.directory.path);
  const fd = open(place.path('.'), O_TMPFILE! | O_RDWR!, 0o600);
  try {
    allocate(fd, plan, place);
    const head = Buffer.alloc(8);
    head.writeInt32LE(MAGIC, 0);
    head.writeInt32LE(VERSION, 4);
    pwrite(fd, head, 0);
    if (place.mode !== 0o600) fchmod(fd, place.mode);
    giveToOwner(place.directory, `/proc/self/fd/${fd}`);
    linkDescriptor(fd, place.path(FILE));
    return fd;
  } catch (error) {
    close(fd);
    if (error instanceof SystemError && error.code === 'EEXIST') {
      const other = openSegment(place); // somebody was faster
      if (other !== undefined) return other;
    }
    throw error;
  }
}
function allocate(fd: number, plan: Plan, place: Place): void {
  try {
    fallocate(fd, 0, plan.byteLength);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new SystemError(error.errno, 'fallocate', {
      path: `${place.folder}/${FILE}`,
      hint: `The queue needs ${plan.byteLength} bytes of memory there. Ask for less capacity or messageSize, or make room`,
      cause: error,
    });
  }
}
