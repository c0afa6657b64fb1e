/**
 * DESTINATION, which appears complete or not at all.
 *
 * The data goes into a file without a name (O_TMPFILE), so that a process that is killed at any moment leaves nothing. Only `publish` names
 * it: by link(2), or over an existing file by a second name beside it and rename(2).
 */
import { randomUUID } from 'node:crypto';
import { lstatSync, realpathSync, renameSync, rmSync, type Stats, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  close,
  constants,
  type FileStatus,
  fchmod,
  IpcError,
  linkDescriptor,
  open,
  SystemError,
} from '../../system/index.js';

export interface Destination {
  readonly fd: number;
  /** Gives it SOURCE's permission bits and its name. */
  publish(): void;
  /** Discards it, unless it was published. Idempotent. */
  cleanUp(): void;
}

/** @throws IpcError if it is a directory, a device, or SOURCE itself; SystemError if it cannot be created */
export function openDestination(path: string, source: FileStatus): Destination {
  const target = resolve(path, source);
  const folder = dirname(target);
  const spare = join(folder, `.vecino-copy-${randomUUID()}`); // not derived from its name, which may have the maximal length
  const writable = constants['O_RDWR']!;
  let named = false;
  let fd: number;
  try {
    fd = open(folder, constants['O_TMPFILE']! | writable, 0o600);
  } catch (error) {
    // File systems without O_TMPFILE (vfat, NFS): a hidden name from the beginning.
    if (!(error instanceof SystemError)) throw error;
    if (!['EOPNOTSUPP', 'EISDIR', 'EINVAL'].includes(error.code)) throw explained(error, path);
    fd = open(spare, constants['O_CREAT']! | constants['O_EXCL']! | writable, 0o600);
    named = true;
  }
  let isOpen = true;
  return {
    fd,
    publish() {
      fchmod(fd, source.mode & 0o777);
      if (!named) {
        try {
          linkDescriptor(fd, target);
          return;
        } catch (error) {
          if (!(error instanceof SystemError && error.code === 'EEXIST')) throw explained(error, path);
        }
      }
      try {
        if (!named) linkDescriptor(fd, spare);
        named = true;
        renameSync(spare, target);
        named = false;
      } catch (error) {
        throw explained(error, path);
      }
    },
    cleanUp() {
      if (!isOpen) return;
      isOpen = false;
      close(fd);
      if (named) rmSync(spare, { force: true });
    },
  };
}

/** The final path: a symbolic link is followed, as cp does. */
function resolve(path: string, source: FileStatus): string {
  let status: Stats | undefined;
  let link: Stats | undefined;
  try {
    status = statSync(path, { throwIfNoEntry: false });
    link = lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw new IpcError('ENOTDIR', `DESTINATION '${path}' cannot be reached: ${(error as Error).message}`);
  }
  if (status === undefined) {
    if (link === undefined) return path;
    throw new IpcError(
      'ENOENT',
      `DESTINATION '${path}' is a symbolic link to nothing; remove it, or name what it points to`,
    );
  }
  if (status.isDirectory()) throw new IpcError('EISDIR', `DESTINATION '${path}' is a directory; name the file in it`);
  if (!status.isFile())
    throw new IpcError('ERR_VECINO_UNSUPPORTED', `DESTINATION '${path}' exists and is not a regular file`);
  if (status.dev === source.device && status.ino === source.inode) {
    throw new IpcError('ERR_VECINO_SAME_FILE', `SOURCE and DESTINATION '${path}' are the same file`);
  }
  return realpathSync(path);
}
function explained(error: unknown, path: string): unknown {
  const { errno, code = '', syscall = '' } = error as NodeJS.ErrnoException; // ours, or that of node:fs
  if (errno === undefined) return error;
  const hints: Record<string, string> = {
    ENOENT: 'The folder of DESTINATION does not exist; create it first',
    EACCES: 'This user has no permission to write to the folder of DESTINATION',
    EROFS: 'The file system of DESTINATION is read-only',
    EISDIR: 'A directory has taken its name meanwhile',
    ENOSPC: 'The file system of DESTINATION is full',
  };
  return new SystemError(errno, syscall, {
    path,
    hint: hints[code] ?? 'DESTINATION could not be created',
  });
}
