/** What channels this user has, who takes part in them, and how much has passed through. */

import { checkOptions } from '../system/arguments.js';
import type { IpcError } from '../system/errors.js';
import type { ChannelKind } from './directory/control-file.js';
import { DIRECTORY_OPTIONS, type DirectoryOptions, directoryOf } from './directory/directory.js';
import { findChannels, type ParticipantEntry, type Unreadable } from './directory/list.js';

/** Somebody who takes part in a channel. */
export interface ChannelParticipant {
  /** Its process. */
  pid: number;
  /** `listener` and `connection` (the process that has connected, as its listener counts), else `member`. */
  role: 'listener' | 'connection' | 'member';
  /** Totals by name; what there is depends on the kind. */
  counters: Record<string, number>;
}
/** A channel that lives, or a queue, which lives until it is unlinked. */
export interface ChannelInfo {
  /** Its name, as `listen()` or `open()` takes it. */
  name: string;
  /** `'unknown'` if it cannot be read: then `error` says why, and the rest is empty. */
  kind: ChannelKind | 'unknown';
  /** The name of its codec. */
  codec: string;
  /** Sizes in bytes and counts, by name. */
  geometry: Readonly<Record<string, number>>;
  /** The processes that take part in it now; a process that opened it twice is there twice. */
  participants: ChannelParticipant[];
  /** Why it cannot be read: CorruptError for what is no channel or of another version of vecino; SystemError `EMFILE`, say. */
  error?: IpcError;
}
/** The names of the counters of a seat, in their order. */
const counters: Record<ChannelKind, readonly string[]> = {
  connection: ['sent', 'sentBytes', 'received', 'receivedBytes'],
  service: ['sent', 'sentBytes', 'received', 'receivedBytes'],
  topic: ['published', 'publishedBytes', 'received', 'receivedBytes', 'lost'],
  queue: ['sent', 'received', 'acknowledged', 'returned'],
};

/**
 * Lists the channels in this user's runtime folder, by name. What processes that died have left behind is removed on the way.
 * What stands there about a participant is his own word; that he lives is the kernel's.
 *
 * What has a channel's name and cannot be read is listed too, with an `error`.
 *
 * @throws SystemError if the runtime folder itself cannot be read, or may not be used: see `VECINO_RUNTIME_DIR`
 *
 * @example
 * ```ts
 * import { listChannels, listen } from 'vecino';
 *
 * await using listener = await listen('example-listed', { codec: 'json' });
 * const found = listChannels().find(({ name }) => name === listener.name);
 * console.log(found?.kind, found?.codec, found?.participants.length); // connection json 1
 * ```
 */
export function listChannels(options?: DirectoryOptions): ChannelInfo[] {
  const directory = directoryOf(checkOptions('options', options, DIRECTORY_OPTIONS));
  const unreadable: Unreadable[] = [];
  const list = findChannels(unreadable, directory).map(
    ({ name, description: { kind, codec, geometry }, participants }): ChannelInfo => {
      return { name, kind, codec, geometry, participants: participants.map((each) => named(kind, each)) };
    },
  );
  for (const { name, error } of unreadable)
    list.push({ name, kind: 'unknown', codec: '', geometry: {}, participants: [], error });
  return list.sort((a, b) => (a.name < b.name ? -1 : 1));
}
function named(kind: ChannelKind, { pid, role, seat, counters: values }: ParticipantEntry): ChannelParticipant {
  const connects = kind === 'connection' || kind === 'service';
  return {
    pid,
    role: !connects ? 'member' : seat === 0 ? 'listener' : 'connection',
    counters: connects && role === 0 ? {} : Object.fromEntries(counters[kind].map((name, i) => [name, values[i] ?? 0])),
  };
}
