/** The file of a {@link FileLock}, opened only for locking. */

import { checkMode, checkOptions, checkPath, type OptionNames } from '../system/arguments.js';
import { EINVAL } from '../system/errno.js';
import { errnoName, invalidArgument, SystemError } from '../system/errors.js';
import { close, fchmod, fstat, isKind, open } from '../system/file.js';
import { constants } from '../system/native.js';

/** Options for opening a lock file. */
export interface FileLockOpenOptions {
  /** Create the file if it does not exist. */
  create?: boolean;
  /** Permission bits for a new file, used exactly as given. Default: 0600. */
  mode?: number;
  /** Open it for reading only. Enough for shared locks, and the only way if you have no permission to write. */
  readOnly?: boolean;
}
const OPTIONS: OptionNames<FileLockOpenOptions> = { create: true, mode: true, readOnly: true };

/** Returns its file descriptor. */
export function openLockFile(path: string, options: FileLockOpenOptions): number {
  checkPath('path', path);
  const { create = false, readOnly = false, mode = 0o600 } = checkOptions('options', options, OPTIONS)!;
  for (const [name, value] of Object.entries({ create, readOnly })) {
    if (typeof value !== 'boolean')
      throw invalidArgument('ERR_INVALID_ARG_TYPE', `options.${name}`, 'a boolean', value);
  }
  checkMode('options.mode', mode);
  const fd = openOrMake(path, create, readOnly, mode);
  if (isKind(fstat(fd), 'S_IFREG')) return fd;
  close(fd);
  throw new SystemError(EINVAL, 'open', { path, hint: 'Only regular files can be locked' });
}
function openOrMake(path: string, create: boolean, readOnly: boolean, mode: number): number {
  // O_NONBLOCK: opening a FIFO must not block the thread. It has no effect on locks.
  const flags = constants[readOnly ? 'O_RDONLY' : 'O_RDWR']! | constants['O_NONBLOCK']! | constants['O_NOCTTY']!;
  const hinted = (error: unknown) => {
    if (!(error instanceof SystemError)) return error;
    const hint = {
      ENOENT: 'Create it first, or pass `create: true`',
      EACCES: readOnly ? undefined : 'Without permission to write, pass `readOnly: true` for shared locks',
    }[errnoName(error.errno)];
    return hint === undefined ? error : new SystemError(error.errno, error.syscall, { path, hint });
  };
  for (let tries = 1; ; tries++) {
    try {
      return open(path, flags);
    } catch (error) {
      if (!create || !(error instanceof SystemError) || error.code !== 'ENOENT') throw hinted(error);
    }
    try {
      const fd = open(path, flags | constants['O_CREAT']! | constants['O_EXCL']!, mode);
      fchmod(fd, mode);
      return fd;
    } catch (error) {
      // Another process has just created it, or it is a dangling symbolic link, which stays as it is.
      if (!(error instanceof SystemError) || error.code !== 'EEXIST' || tries === 10) throw hinted(error);
    }
  }
}
