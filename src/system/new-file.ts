/**
 * Files that are complete before they get their name, so that no process opens an incomplete one.
 *
 * Crash guarantee: until {@link NewFile.publish} the file has no name at all (`O_TMPFILE`), and disappears with its creator's death. On
 * file systems without O_TMPFILE (ramfs, CephFS, sshfs, gVisor) it has a hidden name, `.vecino-new-…`, and its creator holds a lock on it
 * (flock). The next process that creates a file in that folder removes the files of dead creators.
 */

import { threadId } from 'node:worker_threads';
import { EINTR, ENOSYS, EOPNOTSUPP } from './errno.js';
import { check, SystemError } from './errors.js';
import { close, flock, fstat, ftruncate, linkDescriptor, open, pwrite } from './file.js';
import { constants, native } from './native.js';
import { openFile } from './open-existing.js';
import { link, readdir, unlink } from './path.js';

const { O_RDWR, O_CREAT, O_EXCL, O_TMPFILE, LOCK_EX, LOCK_NB, LOCK_UN } = constants as Record<string, number>;
const HIDDEN = '.vecino-new-';
/** The errors of open(2) where there is no O_TMPFILE; EISDIR on kernels that do not know it. */
const WITHOUT_TMPFILE: readonly string[] = ['EOPNOTSUPP', 'EISDIR', 'EINVAL', 'ENOSYS'];
/** Another process may take a hidden file for a leftover and remove it before it is locked. */
const MAX_ATTEMPTS = 10;
const ZEROS_BYTES = 2 ** 20;

export interface NewFile {
  /** For reading and writing; yours to close. */
  readonly fd: number;
  /** Gives it its name. @throws SystemError `EEXIST` if the name is taken */
  publish(path: string): void;
  /** Removes its temporary name, after a failure before or in `publish`. Idempotent, and closes nothing. */
  withdraw(): void;
}

/** Creates one in `folder`, of size 0. */
export function newFile(folder: string, mode = 0o600): NewFile {
  try {
    const fd = open(folder, O_TMPFILE! | O_RDWR!, mode);
    return { fd, publish: (path) => linkDescriptor(fd, path), withdraw() {} };
  } catch (error) {
    if (!(error instanceof SystemError) || !WITHOUT_TMPFILE.includes(error.code)) throw error;
  }
  removeAbandoned(folder);
  return hiddenFile(folder, mode);
}
/** Removes the hidden files of dead creators from a folder. */
export function removeAbandoned(folder: string): void {
  for (const name of readdir(folder)) {
    if (!name.startsWith(HIDDEN)) continue;
    const path = `${folder}/${name}`;
    let fd = -1;
    try {
      fd = openFile(path, 'both');
      if (flock(fd, LOCK_EX! | LOCK_NB!)) unlink(path);
    } catch {
      // Removed meanwhile, another user's, or no locks here.
    } finally {
      if (fd >= 0) close(fd);
    }
  }
}
function hiddenFile(folder: string, mode: number): NewFile {
  for (let attempt = 1; ; attempt++) {
    const path = `${folder}/${HIDDEN}${process.pid}-${threadId}-${Math.random().toString(36).slice(2)}`;
    const fd = open(path, O_RDWR! | O_CREAT! | O_EXCL!, mode);
    if (!isOurs(fd) && attempt < MAX_ATTEMPTS) {
      close(fd);
      continue;
    }
    const withdraw = () => {
      try {
        unlink(path);
      } catch {
        // It was removed already.
      }
    };
    return {
      fd,
      withdraw,
      publish(target) {
        try {
          link(path, target);
        } finally {
          withdraw();
          unlock(fd);
        }
      },
    };
  }
}
/** Locks it. False: another process took it for a leftover. */
function isOurs(fd: number): boolean {
  try {
    return flock(fd, LOCK_EX! | LOCK_NB!) && fstat(fd).links > 0;
  } catch {
    return true; // without locks here, no process removes leftovers either
  }
}
function unlock(fd: number): void {
  try {
    flock(fd, LOCK_UN!);
  } catch {
    // There are none.
  }
}

/**
 * Gives a new file its size and reserves its space, so that a full file system shows here and not as a fault at a later access. Without
 * fallocate(2) it writes zeros; then a file system that only promises space (sshfs) can still break its promise.
 *
 * @param name the final name, for the error
 * @throws SystemError `ENOSPC`
 */
export function allocate(fd: number, length: number, name: string): void {
  let result: number;
  do result = native.fallocate(fd, 0, 0, length);
  while (result === EINTR);
  if (result === EOPNOTSUPP || result === ENOSYS) fill(fd, length, name);
  else check(result, 'fallocate', { path: name });
}
function fill(fd: number, length: number, name: string): void {
  ftruncate(fd, length);
  const zeros = new Uint8Array(Math.min(length, ZEROS_BYTES));
  for (let at = 0; at < length; at += zeros.length) pwrite(fd, zeros.subarray(0, length - at), at, name);
}
