/** fifo(7): a pipe with a name in the file system, for processes without a common ancestor. */

import { checkBoolean, checkMode, checkOptions, checkPath, type OptionNames } from '../system/arguments.js';
import { Deadline, type SyncWaitOptions, WAIT_OPTIONS, type WaitOptions } from '../system/deadline.js';
import { EINTR, ENOENT, ENXIO } from '../system/errno.js';
import { IpcError, SystemError } from '../system/errors.js';
import { close, type FileStatus, fcntl, fstat } from '../system/file.js';
import { KeepAlive, program } from '../system/keep-alive.js';
import { constants, native } from '../system/native.js';
import { checkOpen, openWaiting, openWaitingSync } from '../system/opener.js';
import { chmod, lstat, unlink } from '../system/path.js';
import { mkfifo } from '../system/pipe.js';
import { readOnly } from '../system/read-only.js';
import { NOT_A_PIPE } from './end.js';
import { PipeReader } from './reader.js';
import { PipeWriter } from './writer.js';

/** Options for opening a FIFO for reading. */
export interface FifoReaderOptions {
  /**
   * Writers may come and go: the reader never sees an end, and opening does not wait for a writer. For a server that reads from any number
   * of clients. It opens the FIFO for writing too (which Linux allows, see fifo(7)), so it needs both permissions.
   */
  persistent?: boolean | undefined;
}
const READER_OPTIONS: OptionNames<FifoReaderOptions & WaitOptions> = { persistent: true, ...WAIT_OPTIONS };

const { F_GETFL, F_SETFL, O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_WRONLY, S_IFMT } =
  constants as Record<string, number>;

/**
 * A FIFO (named pipe): create it, open both sides, remove it.
 *
 * Opening waits until the other side opens too, as open(2) does, but in a thread of its own: it blocks neither the event loop nor the
 * threads of `fs`, and you can abort it. `tryOpenReader` and `tryOpenWriter` do not wait. Symbolic links are followed. A file that is not a
 * FIFO is refused with `ERR_VECINO_NOT_A_PIPE`, before it is opened.
 *
 * @example
 * ```ts
 * import { spawn } from 'node:child_process';
 * import { tmpdir } from 'node:os';
 * import { Fifo } from 'vecino';
 *
 * using fifo = Fifo.create(`${tmpdir()}/vecino-example-fifo`);
 * spawn('sh', ['-c', 'printf hello > "$0"', fifo.path]);
 * using reader = await fifo.openReader(); // waits for the shell to open it
 * for await (const bytes of reader) console.log(`${Buffer.from(bytes)}`); // hello
 * ```
 */
export class Fifo implements Disposable {
  /** The path that it was created with. */
  readonly path: string;
  readonly #keepAlive = new KeepAlive();
  private constructor(path: string) {
    this.path = path;
    readOnly(this, 'path');
  }

  /**
   * Creates a FIFO with exactly these permissions, whatever the umask. Throws `EEXIST` if the name is taken. The returned object only knows
   * the path: it removes the FIFO with `unlink()` or `using`.
   */
  static create(path: string, mode = 0o600): Fifo {
    checkMode('mode', mode);
    mkfifo(path, mode);
    try {
      // The umask has removed bits. Restore them on the inode itself, because the name may belong to another file by now.
      const place = locate(path, O_NOFOLLOW!);
      try {
        if ((place.status.mode & 0o7777) !== mode) chmod(`/proc/self/fd/${place.fd}`, mode);
      } finally {
        close(place.fd);
      }
    } catch (error) {
      Fifo.unlink(path);
      throw named(error, path);
    }
    return new Fifo(path);
  }
  /** Removes a FIFO's name. Returns `false` if it does not exist. A process that has it open is not affected. Removes only FIFOs. */
  static unlink(path: string): boolean {
    checkPath('path', path);
    try {
      refuseOther(Number(lstat(path).mode), path); // by its path: this must work without a free descriptor, too
      return unlink(path);
    } catch (error) {
      if (error instanceof SystemError && error.code === 'ENOENT') return false;
      throw error;
    }
  }

  /** Opens for reading; waits in a thread until there is a writer (not with `persistent`). */
  static async openReader(path: string, options?: FifoReaderOptions & WaitOptions): Promise<PipeReader> {
    return openReader(path, options, program);
  }
  /** As {@link openReader}, but blocks the thread. */
  static openReaderSync(path: string, options?: FifoReaderOptions & SyncWaitOptions): PipeReader {
    const deadline = limit(path, 'reading', options, READER_OPTIONS);
    const persistent = persistentOf(options);
    expectFifo(path);
    const fd = persistent ? checkOpen(openNow(path, O_RDWR!), path) : openWaitingSync(path, O_RDONLY!, deadline);
    return adopt(fd, path, PipeReader.fromFd);
  }
  /** Opens for reading at once. Until the first writer comes, `tryRead()` returns `undefined` and other reads wait. */
  static tryOpenReader(path: string, options?: FifoReaderOptions): PipeReader {
    checkPath('path', path);
    const persistent = persistentOf(checkOptions('options', options, READER_OPTIONS));
    expectFifo(path);
    return adopt(checkOpen(openNow(path, persistent ? O_RDWR! : O_RDONLY!), path), path, PipeReader.fromFd);
  }

  /** Opens for writing; waits in a thread until there is a reader. */
  static async openWriter(path: string, options?: WaitOptions): Promise<PipeWriter> {
    return openWriter(path, options, program);
  }
  /** As {@link openWriter}, but blocks the thread. */
  static openWriterSync(path: string, options?: SyncWaitOptions): PipeWriter {
    const deadline = limit(path, 'writing', options);
    return Fifo.tryOpenWriter(path) ?? adopt(openWaitingSync(path, O_WRONLY!, deadline), path, PipeWriter.fromFd);
  }
  /** Opens for writing at once. Returns `null` if no process has the FIFO open for reading. */
  static tryOpenWriter(path: string): PipeWriter | null {
    checkPath('path', path);
    expectFifo(path);
    const fd = openNow(path, O_WRONLY!);
    return fd === ENXIO ? null : adopt(checkOpen(fd, path), path, PipeWriter.fromFd);
  }

  /** As the static `openReader`, with this path. */
  openReader(options?: FifoReaderOptions & WaitOptions): Promise<PipeReader> {
    return openReader(this.path, options, this.#keepAlive);
  }
  /** As the static `openReaderSync`, with this path. */
  openReaderSync(options?: FifoReaderOptions & SyncWaitOptions): PipeReader {
    return Fifo.openReaderSync(this.path, options);
  }
  /** As the static `tryOpenReader`, with this path. */
  tryOpenReader(options?: FifoReaderOptions): PipeReader {
    return Fifo.tryOpenReader(this.path, options);
  }
  /** As the static `openWriter`, with this path. */
  openWriter(options?: WaitOptions): Promise<PipeWriter> {
    return openWriter(this.path, options, this.#keepAlive);
  }
  /** As the static `openWriterSync`, with this path. */
  openWriterSync(options?: SyncWaitOptions): PipeWriter {
    return Fifo.openWriterSync(this.path, options);
  }
  /** As the static `tryOpenWriter`, with this path. */
  tryOpenWriter(): PipeWriter | null {
    return Fifo.tryOpenWriter(this.path);
  }
  /** A pending open keeps the program running. This is the default. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /** A pending open of this object, now or later, does not keep the program running. The ends have their own setting. */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /** Removes the name. Returns `false` if it does not exist. A process that has it open is not affected. */
  unlink(): boolean {
    return Fifo.unlink(this.path);
  }
  [Symbol.dispose](): void {
    this.unlink();
  }
}

async function openReader(
  path: string,
  options: (FifoReaderOptions & WaitOptions) | undefined,
  keepAlive: KeepAlive,
): Promise<PipeReader> {
  const deadline = limit(path, 'reading', options, READER_OPTIONS);
  const persistent = persistentOf(options);
  deadline.signal?.throwIfAborted();
  expectFifo(path);
  const fd = persistent
    ? checkOpen(openNow(path, O_RDWR!), path)
    : await openWaiting(path, O_RDONLY!, deadline, keepAlive);
  return adopt(fd, path, PipeReader.fromFd);
}
async function openWriter(path: string, options: WaitOptions | undefined, keepAlive: KeepAlive): Promise<PipeWriter> {
  const deadline = limit(path, 'writing', options);
  deadline.signal?.throwIfAborted();
  const now = Fifo.tryOpenWriter(path);
  return now ?? adopt(await openWaiting(path, O_WRONLY!, deadline, keepAlive), path, PipeWriter.fromFd);
}
function limit(
  path: string,
  purpose: string,
  options: WaitOptions | undefined,
  names: Readonly<Record<string, true>> = WAIT_OPTIONS,
): Deadline {
  checkPath('path', path);
  return new Deadline(`open FIFO '${path}' for ${purpose}`, options, names);
}
function persistentOf(options: FifoReaderOptions | undefined): boolean {
  return checkBoolean('options.persistent', options?.persistent ?? false);
}

/** The file at `path`, held with O_PATH, so that checking it has no side effect; throws unless it is a FIFO. */
function locate(path: string, flags: number): { fd: number; status: FileStatus } {
  const result = native.open(path, O_PATH! | O_CLOEXEC! | flags, 0);
  if (result === ENOENT) throw new SystemError(result, 'open', { path, hint: 'Create it with Fifo.create() first' });
  const fd = checkOpen(result, path);
  try {
    const status = fstat(fd);
    refuseOther(status.mode, path);
    return { fd, status };
  } catch (error) {
    close(fd);
    throw error;
  }
}
function refuseOther(mode: number, path: string): void {
  const kind = KINDS.get(mode & S_IFMT!);
  if (kind !== undefined) throw new IpcError(NOT_A_PIPE, `'${path}' is ${kind}, not a FIFO`);
}
/** All types but S_IFIFO; see inode(7). */
const KINDS: ReadonlyMap<number, string> = new Map([
  [0o140000, 'a socket'],
  [0o120000, 'a symbolic link'],
  [0o100000, 'a regular file'],
  [0o060000, 'a block device'],
  [0o040000, 'a directory'],
  [0o020000, 'a character device'],
]);
/** Other files must not be opened at all. One may still replace the FIFO after this check, so the end is checked again. */
function expectFifo(path: string): void {
  close(locate(path, 0).fd);
}
/** A non-waiting open(2). The descriptor blocks afterwards, like that of a waiting open; the ends change that at their first use. */
function openNow(path: string, flags: number): number {
  let fd: number;
  do fd = native.open(path, flags | O_NONBLOCK! | O_CLOEXEC!, 0);
  while (fd === EINTR);
  if (fd >= 0) fcntl(fd, F_SETFL!, fcntl(fd, F_GETFL!) & ~O_NONBLOCK!);
  return fd;
}
function adopt<T>(fd: number, path: string, make: (fd: number) => T): T {
  try {
    return make(fd);
  } catch (error) {
    close(fd);
    if ((error as IpcError).code !== NOT_A_PIPE) throw error;
    throw new IpcError(NOT_A_PIPE, `'${path}' was replaced by something that is not a FIFO`, { cause: error });
  }
}
/** Replaces a path of /proc in an error by the caller's path. */
function named(error: unknown, path: string): unknown {
  return error instanceof SystemError ? new SystemError(error.errno, error.syscall, { path }) : error;
}
