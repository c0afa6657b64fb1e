/** SOURCE, opened once: it cannot be replaced between the check and the use. */
import {
  close,
  constants,
  type FileStatus,
  fcntl,
  fstat,
  IpcError,
  isKind,
  open,
  SystemError,
} from '../../system/index.js';

export interface Source {
  readonly fd: number;
  readonly status: FileStatus;
  /** Bytes to copy: its size now, however it grows; null for files with content but without a size (in /proc). */
  readonly length: number | null;
}

/** @throws SystemError if it is missing or not readable; IpcError if it is not a regular file */
export function openSource(path: string): Source {
  let fd: number;
  try {
    // Non-blocking, or a FIFO of that name would block us until it gets a writer.
    fd = open(path, constants['O_RDONLY']! | constants['O_NONBLOCK']!);
  } catch (error) {
    throw explained(error, path);
  }
  try {
    const status = fstat(fd);
    if (isKind(status, 'S_IFDIR')) throw new IpcError('EISDIR', `SOURCE '${path}' is a directory; name a file`);
    if (!isKind(status, 'S_IFREG'))
      throw new IpcError('ERR_VECINO_UNSUPPORTED', `SOURCE '${path}' is not a regular file; name one`);
    fcntl(fd, constants['F_SETFL']!, 0);
    return { fd, status, length: status.size === 0 ? null : status.size };
  } catch (error) {
    close(fd);
    throw error;
  }
}
function explained(error: unknown, path: string): unknown {
  if (!(error instanceof SystemError)) return error;
  const hints: Record<string, string> = {
    ENOENT: 'There is no such SOURCE',
    EACCES: 'This user has no permission to read SOURCE',
    ENXIO: 'SOURCE is a socket; name a regular file',
  };
  return new SystemError(error.errno, error.syscall, { path, hint: hints[error.code] ?? 'SOURCE could not be opened' });
}
