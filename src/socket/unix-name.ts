/**
 * The file of a Unix socket: created with exact permissions, taken over from a dead process, removed if it is still ours.
 *
 * The kernel says whether a socket file is stale: a connect(2) with a datagram socket finds the socket behind the file by its inode. It
 * fails with `ECONNREFUSED` if there is none, and with `EPROTOTYPE` if there is one of another type, listening already or not. The owner
 * does not notice it.
 */

import { basename, dirname, join, resolve } from 'node:path';
import { threadId } from 'node:worker_threads';
import { EADDRINUSE } from '../system/errno.js';
import { errnoName, SystemError } from '../system/errors.js';
import { close, fchmod, flock, open } from '../system/file.js';
import { constants, native } from '../system/native.js';
import { withHeld } from '../system/open-existing.js';
import { chmod, link, lstat, rename, unlink } from '../system/path.js';
import { pause } from '../system/pause.js';
import { socket } from '../system/socket.js';
import { isAbstract, unixAddress } from '../system/socket-address.js';

/** How long another process may take over sockets in the same folder before this gives up. Usually that takes microseconds. */
const GIVE_UP_MS = 2000;

/** A name that this process has bound. */
export class UnixName {
  readonly name: string;
  readonly #path: string;
  readonly #file: { dev: bigint; ino: bigint } | undefined;
  constructor(name: string, file?: { dev: bigint; ino: bigint }) {
    this.name = name;
    this.#path = resolve(name); // the working directory may change
    this.#file = file;
  }
  /** Removes the file, before the socket closes, unless another process has replaced it. */
  remove(): void {
    if (this.#file === undefined) return;
    try {
      const { dev, ino } = lstat(this.#path);
      if (dev === this.#file.dev && ino === this.#file.ino) unlink(this.#path);
    } catch {
      // Removed already, or not reachable any more: nothing to do.
    }
  }
}

/** Binds `fd` to `name` (a path or `@name`); the file gets exactly `mode`. */
export function bindName(fd: number, name: string, mode: number, address: Uint8Array): UnixName {
  if (isAbstract(name)) {
    const result = native.bind(fd, address);
    if (result < 0) {
      throw new SystemError(result, 'bind', {
        path: name,
        hint: result === EADDRINUSE ? 'Another socket uses this name' : undefined,
      });
    }
    return new UnixName(name);
  }
  // The file gets the descriptor's mode without the bits of the umask, so it never has more permissions than requested.
  fchmod(fd, mode);
  const result = native.bind(fd, address);
  if (result === EADDRINUSE) takeOver(fd, name, address);
  else if (result < 0) throw new SystemError(result, 'bind', { path: name, hint: bindHint(result) });
  const file = lstat(name);
  if ((Number(file.mode) & 0o7777) !== mode) withHeld(name, 'S_IFSOCK', (held) => chmod(held, mode));
  return new UnixName(name, file);
}

/** The name is taken. If its owner is dead, we take it over; one process of a folder at a time decides that. */
function takeOver(fd: number, name: string, address: Uint8Array): void {
  refuseUnlessStale(name);
  const folder = lockFolder(name);
  try {
    // Try again, now that we hold the lock.
    let result = native.bind(fd, address);
    if (result === EADDRINUSE) {
      refuseUnlessStale(name);
      // Move the file aside and check once more: a program that ignores the lock may have put its own socket there just now.
      const aside = join(dirname(name), `.${basename(name).slice(0, 40)}.${process.pid}.${threadId}`);
      try {
        rename(name, aside);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        const hint = 'A dead socket has this name and could not be removed';
        throw new SystemError(error.errno, 'rename', { path: name, hint, cause: error });
      }
      if (probe(aside) !== 'ECONNREFUSED') {
        try {
          link(aside, name);
        } finally {
          unlink(aside);
        }
        throw inUse(name);
      }
      unlink(aside);
      result = native.bind(fd, address);
    }
    if (result < 0) throw result === EADDRINUSE ? inUse(name) : new SystemError(result, 'bind', { path: name });
  } finally {
    close(folder);
  }
}
function refuseUnlessStale(name: string): void {
  let isSocket: boolean;
  try {
    isSocket = lstat(name).isSocket();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (!isSocket)
    throw new SystemError(EADDRINUSE, 'bind', {
      path: name,
      hint: 'A file that is not a socket has this name; it was left alone',
    });
  const found = probe(name);
  if (found === 'ECONNREFUSED' || found === 'ENOENT') return;
  throw found === 'EACCES'
    ? new SystemError(EADDRINUSE, 'bind', {
        path: name,
        hint: 'A socket has this name, and without permission to connect it is unknown whether its owner lives',
      })
    : inUse(name);
}
function inUse(name: string): SystemError {
  return new SystemError(EADDRINUSE, 'bind', { path: name, hint: 'A running process has a socket there' });
}
/** The result of a connection to the file: `ECONNREFUSED` if no process has the socket open. */
function probe(path: string): string {
  const fd = socket('unix', 'datagram', constants['SOCK_NONBLOCK']!);
  let file = -1;
  try {
    file = open(path, constants['O_PATH']! | constants['O_NOFOLLOW']!);
    // By its descriptor, because a path may be too long for an address.
    const result = native.connect(fd, unixAddress('path', `/proc/self/fd/${file}`));
    return result < 0 ? errnoName(result) : 'connected';
  } catch (error) {
    if (error instanceof SystemError && error.code === 'ENOENT') return error.code;
    throw error;
  } finally {
    close(fd);
    if (file >= 0) close(file);
  }
}
function lockFolder(name: string): number {
  const path = dirname(name);
  let folder: number;
  try {
    folder = open(path, constants['O_RDONLY']! | constants['O_DIRECTORY']!);
  } catch (cause) {
    const hint = 'A dead socket has this name, but its folder cannot be locked to replace it; remove the file';
    throw new SystemError(EADDRINUSE, 'bind', { path: name, hint, cause });
  }
  const end = performance.now() + GIVE_UP_MS;
  while (!flock(folder, constants['LOCK_EX']! | constants['LOCK_NB']!)) {
    if (performance.now() > end) {
      close(folder);
      throw new SystemError(EADDRINUSE, 'bind', {
        path: name,
        hint: `A dead socket has this name, but another process holds a lock (flock) on its folder; remove the file`,
      });
    }
    pause(1);
  }
  return folder;
}
function bindHint(result: number): string | undefined {
  const code = errnoName(result);
  if (code === 'ENOENT') return 'Its folder does not exist';
  if (code === 'EACCES') return 'No permission to create a file in this folder';
  return undefined;
}
