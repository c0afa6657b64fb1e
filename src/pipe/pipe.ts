/** pipe(7): two descriptors for the two ends of one stream of bytes. */

import { readFileSync } from 'node:fs';
import { checkInteger, checkOptions, type OptionNames } from '../system/arguments.js';
import { EPERM } from '../system/errno.js';
import { SystemError } from '../system/errors.js';
import { constants, native } from '../system/native.js';
import { pipe2 } from '../system/pipe.js';
import { PipeReader } from './reader.js';
import { PipeWriter } from './writer.js';

/** Options of a pipe. */
export interface PipeOptions {
  /**
   * How many bytes the pipe holds before writes have to wait, 1 to 2**31 - 1; rounded up to a power of two of at least a page. Default:
   * 65536. A capacity above `/proc/sys/fs/pipe-max-size` needs a privilege.
   */
  capacity?: number | undefined;
}
const OPTIONS: OptionNames<PipeOptions> = { capacity: true };
/** The two ends of a new pipe. */
export interface Pipe {
  /** The end to read from. */
  readonly reader: PipeReader;
  /** The end to write to. */
  readonly writer: PipeWriter;
}

/**
 * Creates a pipe, with pipe2(2). Both ends are close-on-exec, and blocking until they are used, so that a child that gets one through
 * `stdio` finds what it expects.
 *
 * @example
 * ```ts
 * import { pipe } from 'vecino';
 *
 * const { reader, writer } = pipe();
 * writer.tryWrite(Buffer.from('hello'));
 * console.log(`${Buffer.from(reader.tryRead()!)}`); // hello
 * console.log(reader.tryRead()); // undefined
 * writer.close();
 * console.log(reader.tryRead()); // null
 * reader.close();
 * ```
 */
export function pipe(options?: PipeOptions): Pipe {
  const capacity = checkOptions('options', options, OPTIONS)?.capacity;
  if (capacity !== undefined) checkInteger('options.capacity', capacity, 1, 0x7fffffff);
  const [readFd, writeFd] = pipe2();
  const reader = PipeReader.fromFd(readFd);
  const writer = PipeWriter.fromFd(writeFd);
  if (capacity !== undefined) {
    const result = native.fcntl(writeFd, constants['F_SETPIPE_SZ']!, capacity);
    if (result < 0) {
      reader.close();
      writer.close();
      throw new SystemError(result, 'fcntl F_SETPIPE_SZ', {
        path: `${capacity} bytes`,
        hint: whyNot(result, capacity),
      });
    }
  }
  return { reader, writer };
}

function whyNot(result: number, capacity: number): string {
  if (result !== EPERM) return 'Request less';
  const limit = setting('pipe-max-size');
  if (capacity > limit) {
    return `Without CAP_SYS_RESOURCE a pipe holds at most fs.pipe-max-size = ${limit} bytes; raise it with: sysctl fs.pipe-max-size=${capacity}`;
  }
  const pages = setting('pipe-user-pages-soft');
  return `The pipes of this user exceed fs.pipe-user-pages-soft = ${pages} pages; close some, or raise it with sysctl`;
}
function setting(name: string): number {
  try {
    return Number(readFileSync(`/proc/sys/fs/${name}`, 'utf8'));
  } catch {
    return Number.NaN;
  }
}
