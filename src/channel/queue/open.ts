/** What a queue is opened with. */

import {
  checkGeometry,
  type Geometry,
  LARGEST_CAPACITY,
  LARGEST_MESSAGE,
  MOST_PRIORITIES,
} from '../../lock-free/slot-queue/layout.js';
import { checkInteger, checkOptions, type OptionNames } from '../../system/arguments.js';
import { close } from '../../system/file.js';
import { openFile } from '../../system/open-existing.js';
import { Spin } from '../../system/spin.js';
import type { Codec, CodecName } from '../codec/index.js';
import { readControl } from '../directory/control-file.js';
import { type ChannelDirectory, DIRECTORY_OPTIONS, type DirectoryOptions } from '../directory/directory.js';

export interface QueueOptions<T = unknown> extends DirectoryOptions {
  /** How values become bytes: `'msgpack'` unless the queue is there with another. */
  codec?: Codec<T>;
  /** Messages that it holds, ready or in flight: 1 to 65536, 1024 by default. */
  capacity?: number;
  /** Bytes that an encoded message may have: 1 to 16 MiB, 1024 by default. */
  messageSize?: number;
  /** Levels of priority: 1 to 32, 4 by default. */
  priorities?: number;
  /** Microseconds for which a blocking call looks before it sleeps. Adapts by default, and is 0 on one core. */
  spin?: number;
}
const OPTIONS: OptionNames<QueueOptions> = {
  codec: true,
  capacity: true,
  messageSize: true,
  priorities: true,
  spin: true,
  ...DIRECTORY_OPTIONS,
};
const DEFAULT: Geometry = { capacity: 1024, messageSize: 1024, priorities: 4 };
const NAMED: readonly string[] = ['bytes', 'text', 'json', 'structured', 'msgpack'] satisfies CodecName[];

/** The options, checked, and which of them must be as they are. */
export function describe(
  name: string,
  options?: QueueOptions,
): { name: string; geometry: Geometry; insist: string[]; spin: Spin } {
  const given = checkOptions('options', options, OPTIONS) ?? {};
  const geometry = { ...DEFAULT };
  const insist: string[] = [];
  const take = (key: keyof Geometry, most: number) => {
    const value = given[key];
    if (value === undefined) return;
    geometry[key] = checkInteger(`options.${key}`, value, 1, most) as never;
    insist.push(key);
  };
  take('capacity', LARGEST_CAPACITY);
  take('messageSize', LARGEST_MESSAGE);
  take('priorities', MOST_PRIORITIES);
  checkGeometry(geometry);
  return { name, geometry, insist, spin: new Spin(given.spin) };
}
/** The codec that was asked for, or if none was, the one that the queue has. */
export function codecOf(name: string, asked: Codec | undefined, directory: ChannelDirectory): Codec {
  if (asked !== undefined) return asked;
  let fd = -1;
  try {
    fd = openFile(`${directory.path}/${name}/control`, 'read');
    const { codec } = readControl(fd, name);
    if (NAMED.includes(codec)) return codec as CodecName;
  } catch {
    // It is not there, or will be refused in a moment.
  } finally {
    if (fd >= 0) close(fd);
  }
  return 'msgpack';
}
