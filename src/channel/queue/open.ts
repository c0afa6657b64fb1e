/** The options of a queue. */

import {
  checkGeometry,
  type Geometry,
  MAX_CAPACITY,
  MAX_MESSAGE_BYTES,
  MAX_PRIORITIES,
} from '../../lock-free/slot-queue/layout.js';
import { checkInteger, checkOptions, type OptionNames } from '../../system/arguments.js';
import { close } from '../../system/file.js';
import { openFile } from '../../system/open-existing.js';
import { Spin } from '../../system/spin.js';
import type { Codec, CodecName } from '../codec/index.js';
import { readControl } from '../directory/control-file.js';
import { type ChannelDirectory, DIRECTORY_OPTIONS, type DirectoryOptions } from '../directory/directory.js';

export interface QueueOptions<T = unknown> extends DirectoryOptions {
  /** How values become bytes. Default: the codec of the existing queue, or `'msgpack'`. */
  codec?: Codec<T>;
  /** Messages that it holds, ready or in flight: 1 to 65536. Default: 1024. */
  capacity?: number;
  /** The most bytes of an encoded message: 1 to 16 MiB. Default: 1024. */
  messageSize?: number;
  /** Levels of priority: 1 to 32. Default: 4. */
  priorities?: number;
  /** Microseconds that a waiting call spins before it sleeps. By default it adapts, and is 0 on one core. */
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

/** The checked options, and those that must match an existing queue. */
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
  take('capacity', MAX_CAPACITY);
  take('messageSize', MAX_MESSAGE_BYTES);
  take('priorities', MAX_PRIORITIES);
  checkGeometry(geometry);
  return { name, geometry, insist, spin: new Spin(given.spin) };
}
/** The requested codec, or otherwise the codec of the existing queue. */
export function codecOf(name: string, asked: Codec | undefined, directory: ChannelDirectory): Codec {
  if (asked !== undefined) return asked;
  let fd = -1;
  try {
    fd = openFile(`${directory.path}/${name}/control`, 'read');
    const { codec } = readControl(fd, name);
    if (NAMED.includes(codec)) return codec as CodecName;
  } catch {
    // It does not exist, or will be refused in a moment.
  } finally {
    if (fd >= 0) close(fd);
  }
  return 'msgpack';
}
