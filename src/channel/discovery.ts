/** Lists this user's channels, their participants and their counters. */

import { checkOptions } from '../system/arguments.js';
import type { IpcError } from '../system/errors.js';
import type { ChannelKind } from './directory/control-file.js';
import { DIRECTORY_OPTIONS, type DirectoryOptions, directoryOf } from './directory/directory.js';
import { findChannels, type ParticipantEntry, type Unreadable } from './directory/list.js';

/** A participant of a channel. */
export interface ChannelParticipant {
  /** Its process id. */
  pid: number;
  /** `listener`, or `connection` (a connected process, as its listener counts it), otherwise `member`. */
  role: 'listener' | 'connection' | 'member';
  /** Totals by name; the names depend on the kind of channel. */
  counters: Record<string, number>;
}
/** A live channel, or a queue, which exists until it is unlinked. */
export interface ChannelInfo {
  /** Its name, as passed to `listen()` or `open()`. */
  name: string;
  /** `'unknown'` if it cannot be read: then `error` says why, and the rest is empty. */
  kind: ChannelKind | 'unknown';
  /** The name of its codec. */
  codec: string;
  /** Sizes in bytes and counts, by name. */
  geometry: Readonly<Record<string, number>>;
  /** The current participants; a process that opened the channel twice is listed twice. */
  participants: ChannelParticipant[];
  /** Why it cannot be read: CorruptError if it is not a channel of this version of vecino; SystemError for `EMFILE` and the like. */
  error?: IpcError;
}
/** The names of the counters of a seat, in order. */
const counters: Record<ChannelKind, readonly string[]> = {
  connection: ['sent', 'sentBytes', 'received', 'receivedBytes'],
  service: ['sent', 'sentBytes', 'received', 'receivedBytes'],
  topic: ['published', 'publishedBytes', 'received', 'receivedBytes', 'lost'],
  queue: ['sent', 'received', 'acknowledged', 'returned'],
};

/**
 * Lists the channels in this user's runtime folder, by name. It also removes what dead processes have left behind. The pid and counters of
 * a participant are self-reported and not verified; that it is alive comes from the kernel.
 *
 * An entry that cannot be read is listed too, with an `error`.
 *
 * @throws SystemError if the runtime folder itself cannot be read or used: see `VECINO_RUNTIME_DIR`
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
