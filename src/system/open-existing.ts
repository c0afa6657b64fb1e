/**
 * Opens files that another program may have created. The name may belong to a FIFO, whose open(2) waits for the other side for ever, to a
 * symbolic link, or to a terminal, which would become this process's controlling one. So the call never waits and follows no link, and the
 * kind of file is checked before anything is read.
 */
import { CorruptError } from './errors.js';
import { close, type FileStatus, fstat, isKind, open } from './file.js';
import { constants } from './native.js';

const { O_DIRECTORY, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR } = constants as Record<string, number>;
/** The flags that {@link openFile} adds; also for other calls such as shm_open(3). */
export const NEVER_WAITS: number = O_NONBLOCK! | O_NOFOLLOW! | O_NOCTTY!;

/**
 * Opens a regular file.
 *
 * @throws CorruptError if it is anything else; SystemError `ENOENT`, `ELOOP` (a symbolic link), `ENXIO` (a socket), `EISDIR`
 */
export function openFile(path: string, access: 'read' | 'both'): number {
  const fd = open(path, (access === 'read' ? O_RDONLY! : O_RDWR!) | NEVER_WAITS);
  try {
    checkRegular(fstat(fd), path);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}
/**
 * Opens a folder with O_PATH, for paths like `/proc/self/fd/N/file`: it needs no permission on the folder itself. `ENOTDIR` also for a
 * symbolic link.
 */
export function openFolder(path: string): number {
  return open(path, O_PATH! | O_DIRECTORY! | O_NOFOLLOW!);
}
/**
 * Calls `use` with a path to the file that has that name now. For chmod(2) and chown(2), which follow links: a user who may write to the
 * folder could put a link there at any time.
 *
 * @throws CorruptError if it is of another kind
 */
export function withHeld(path: string, kind: 'S_IFDIR' | 'S_IFSOCK', use: (held: string) => void): void {
  const fd = open(path, O_PATH! | O_NOFOLLOW!);
  try {
    if (!isKind(fstat(fd), kind))
      throw new CorruptError(`'${path}' was replaced by another file while it was opened. Try again`);
    use(`/proc/self/fd/${fd}`);
  } finally {
    close(fd);
  }
}
/** Throws CorruptError unless the open file is a regular one. */
export function checkRegular(status: FileStatus, path: string): void {
  if (isKind(status, 'S_IFREG')) return;
  const kind = KINDS.find(([name]) => isKind(status, name))?.[1] ?? 'something else';
  throw new CorruptError(`'${path}' is ${kind}, not a regular file. Remove it if no process uses it`);
}
const KINDS = [
  ['S_IFIFO', 'a FIFO'],
  ['S_IFDIR', 'a folder'],
  ['S_IFSOCK', 'a socket'],
  ['S_IFCHR', 'a device'],
] as const;
