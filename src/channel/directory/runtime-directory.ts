/** The folder of this user's channels: one per user, 0700, in memory, the same for a login shell and for a service. */
import { isAbsolute } from 'node:path';
import { errno, SystemError } from '../../system/errors.js';
import { lstat, mkdirs } from '../../system/path.js';

/**
 * `$VECINO_RUNTIME_DIR`, or `/dev/shm/vecino-UID`. Not `$XDG_RUNTIME_DIR`: cron, services and `sudo` do not have it, so two processes of
 * one user would not find each other.
 *
 * It is created if it does not exist. A user who can write to it could get in between the processes that meet there, so it must be a folder
 * of this user's that no other user may enter.
 *
 * @throws SystemError `EACCES` if it is not, `EINVAL` if it is not an absolute path
 */
export function runtimeDirectory(): string {
  const uid = process.geteuid!();
  const path = process.env['VECINO_RUNTIME_DIR'] || `/dev/shm/vecino-${uid}`;
  if (!isAbsolute(path)) {
    throw refused(path, 'EINVAL', 'VECINO_RUNTIME_DIR must be an absolute path, the same in every working directory');
  }
  try {
    mkdirs(path);
  } catch (error) {
    throw refused(path, (error as SystemError).code, 'It could not be created', error);
  }
  const status = lstat(path);
  const mode = Number(status.mode & 0o777n);
  if (!status.isDirectory()) throw refused(path, 'ENOTDIR', 'A file that is not a folder has this name: remove it');
  if (status.uid !== BigInt(uid)) {
    throw refused(
      path,
      'EACCES',
      `It belongs to user ${status.uid}, and this process runs as ${uid}: set VECINO_RUNTIME_DIR to a folder of your own`,
    );
  }
  if ((mode & 0o077) !== 0) {
    throw refused(
      path,
      'EACCES',
      `Other users may enter it (mode ${mode.toString(8)}): make it private with chmod 700`,
    );
  }
  return path;
}
function refused(path: string, code: string, why: string, cause?: unknown): SystemError {
  const hint = `${why}. Channels need a folder that belongs to this user and that no other user may enter`;
  return new SystemError(errno[code] ?? errno['EACCES']!, 'mkdir', { path, hint, cause });
}
