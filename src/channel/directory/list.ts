/** Lists channels, and removes those that dead processes left behind. */
import { IpcError } from '../../system/errors.js';
import { close, fstat } from '../../system/file.js';
import { testFileLock } from '../../system/file-lock.js';
import { type Mapping, mmap } from '../../system/memory.js';
import { openFile } from '../../system/open-existing.js';
import { readdir } from '../../system/path.js';
import {
  CONTROL_SIZE,
  COUNTERS,
  type Description,
  readControl,
  SEAT_COUNTERS,
  SEAT_PID,
  SEAT_ROLE,
  SEAT_SIZE,
  SEATS,
  SEATS_OFFSET,
} from './control-file.js';
import { directoryOf } from './directory.js';
import { removeDead, UNLINKED } from './folder.js';
import { isRemoved } from './life.js';
import { CONNECTION_ROLE } from './statistics.js';

/** A participant; self-reported, not verified. */
export interface ParticipantEntry {
  seat: number;
  pid: number;
  role: number;
  counters: number[];
}
/** A channel that was found. */
export interface Found {
  name: string;
  folder: string;
  description: Description;
  participants: ParticipantEntry[];
}

/** A channel that exists and cannot be read. */
export interface Unreadable {
  name: string;
  error: IpcError;
}

/**
 * All channels of this user. Channels without participants are removed on the way, unless they persist. Those that cannot be read go to
 * `unreadable`.
 */
export function findChannels(unreadable: Unreadable[] = [], { path: root } = directoryOf(undefined)): Found[] {
  const found: Found[] = [];
  for (const name of readdir(root).sort()) {
    if (name.startsWith(UNLINKED)) {
      removeDead(root, name);
      continue;
    }
    const channel = look(name, `${root}/${name}`);
    if (channel instanceof IpcError) unreadable.push({ name, error: channel });
    else if (channel !== undefined && channel.participants.length > 0) found.push(channel);
    else if (!removeDead(root, name) && channel !== undefined) found.push(channel);
  }
  return found;
}
function look(name: string, folder: string): Found | IpcError | undefined {
  let fd = -1;
  let mapping: Mapping | undefined;
  try {
    fd = openFile(`${folder}/control`, 'read');
    const description = readControl(fd, folder);
    mapping = mmap(fd, CONTROL_SIZE, { readOnly: true, name: folder });
    const list = participants(fd, mapping.buffer);
    if (isRemoved(new Int32Array(mapping.buffer)) || fstat(fd).links === 0) return undefined; // checked last: it may have been removed meanwhile
    if (list[0]?.seat === 0 && (description.kind === 'connection' || description.kind === 'service')) {
      list.push(...connections(mapping.buffer));
    }
    return { name, folder, description, participants: list };
  } catch (error) {
    if (!(error instanceof IpcError)) throw error;
    // Removed meanwhile, or not ours: not a folder, or one without a control file.
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    return error;
  } finally {
    mapping?.unmap();
    if (fd >= 0) close(fd);
  }
}
function participants(fd: number, buffer: ArrayBuffer): ParticipantEntry[] {
  const list: ParticipantEntry[] = [];
  for (let seat = 0; seat < SEATS; seat++) {
    const taken = testFileLock(fd, seat, SEATS - seat);
    if (taken < 0) break;
    seat = Math.max(seat, taken);
    list.push(participant(buffer, seat));
  }
  return list;
}
/** The connections that a live listener has written down. */
function connections(buffer: ArrayBuffer): ParticipantEntry[] {
  const list: ParticipantEntry[] = [];
  for (let seat = 1; seat < SEATS; seat++) {
    const each = participant(buffer, seat);
    if (each.role === CONNECTION_ROLE && each.pid > 0) list.push(each);
  }
  return list;
}
function participant(buffer: ArrayBuffer, seat: number): ParticipantEntry {
  const offset = SEATS_OFFSET + seat * SEAT_SIZE;
  const words = new Int32Array(buffer, offset, SEAT_SIZE / 4);
  const counters = new Float64Array(buffer, offset + SEAT_COUNTERS * 8, COUNTERS);
  return { seat, pid: words[SEAT_PID]!, role: words[SEAT_ROLE]!, counters: Array.from(counters) };
}
