/**
 * Files that are made whole before they have their name, so that nobody opens a half-made one.
 *
 * Crash guarantee: until {@link NewFile.publish} the file has no name at all (`O_TMPFILE`), and its maker's death takes it along. Where the
 * file system cannot do that (ramfs, CephFS, sshfs, gVisor) it has a hidden one, `.vecino-new-…`, and its maker holds a lock on it (flock):
 * what a maker that was killed has left is removed by whoever makes the next file in that folder.
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
/** What open(2) says where there is no O_TMPFILE; EISDIR on kernels that do not know it. */
const WITHOUT_TMPFILE: readonly string[] = ['EOPNOTSUPP', 'EISDIR', 'EINVAL', 'ENOSYS'];
/** Somebody who tidies up may take a hidden file for one that was left, before it is locked. */
const MAX_ATTEMPTS = 10;
const ZEROS_BYTES = 2 ** 20;

export interface NewFile {
  /** For reading and writing; its user's to close. */
  readonly fd: number;
  /** Gives it its name. @throws SystemError `EEXIST` if it is taken */
  publish(path: string): void;
  /** Takes away what it is called until then; after a failure before `publish`, or in it. Idempotent, and closes nothing. */
  withdraw(): void;
}

/** Makes one in `folder`, of size 0. */
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
/** Removes from a folder the hidden files whose maker is dead. */
export function removeAbandoned(folder: string): void {
  for (const name of readdir(folder)) {
    if (!name.startsWith(HIDDEN)) continue;
    const path = `${folder}/${name}`;
    let fd = -1;
    try {
      fd = openFile(path, 'both');
      if (flock(fd, LOCK_EX! | LOCK_NB!)) unlink(path);
    } catch {
      // Gone meanwhile, another user's, or no locks here.
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
        // It is gone already.
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
/** Locks it. False: somebody took it for one that was left. */
function isOurs(fd: number): boolean {
  try {
    return flock(fd, LOCK_EX! | LOCK_NB!) && fstat(fd).links > 0;
  } catch {
    return true; // there are no locks here, so nobody tidies up either
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
 * Gives a new file its size, and its space, so that a full file system shows here and not as a fault at some later access. Where there is no
 * fallocate(2) zeros are written; then a file system that only promises space (sshfs) can still break its promise.
 *
 * @param name of what it becomes, for the error
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
