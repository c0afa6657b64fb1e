/**
 * Calls that take a path: mkdir(2), rmdir(2), unlink(2), rename(2), link(2), chmod(2), chown(2), stat(2), lstat(2), readlink(2), and
 * combinations of them. node:fs makes the calls; errors are {@link SystemError}s with the name of the call.
 *
 * Outside this folder use these, not node:fs, whose errors are not ours.
 */
import {
  type BigIntStats,
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { checkPath } from './arguments.js';
import { SystemError, systemError } from './errors.js';

function call<T>(syscall: string, path: string, run: (path: string) => T): T {
  try {
    return run(checkPath('path', path));
  } catch (error) {
    throw systemError(error, syscall, { path });
  }
}

/** Creates a folder. False: the name exists already. */
export function mkdir(path: string, mode = 0o700): boolean {
  try {
    call('mkdir', path, () => mkdirSync(path, { mode }));
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === 'EEXIST') return false;
    throw error;
  }
}
/**
 * Creates a folder, and missing ones above it. node:fs can do that too, but reports `ENOENT` for a read-only file system, and does not end
 * if the kernel refuses a name that it reports as missing (`/proc/x`).
 */
export function mkdirs(path: string, mode = 0o700): void {
  try {
    mkdir(path, mode);
  } catch (error) {
    const parent = dirname(path);
    if (!(error instanceof SystemError) || error.code !== 'ENOENT' || parent === path) throw error;
    mkdirs(parent, mode);
    mkdir(path, mode);
  }
}
/** Removes an empty folder. */
export function rmdir(path: string): void {
  call('rmdir', path, rmdirSync);
}
/** Removes a name. False: it does not exist. */
export function unlink(path: string): boolean {
  try {
    call('unlink', path, unlinkSync);
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === 'ENOENT') return false;
    throw error;
  }
}
/** Removes a name, and if it is a folder, everything in it. */
export function removeTree(path: string): void {
  call('unlink', path, () => rmSync(path, { recursive: true, force: true }));
}
/** Renames a file, atomically. An existing file is replaced; a folder only by a folder, and only if it is empty. */
export function rename(from: string, to: string): void {
  call('rename', from, () => renameSync(from, checkPath('to', to)));
}
/** Gives a file a second name. */
export function link(from: string, to: string): void {
  call('link', from, () => linkSync(from, checkPath('to', to)));
}
export function chmod(path: string, mode: number): void {
  call('chmod', path, () => chmodSync(path, mode));
}
/** `-1` leaves the user or the group as it is. */
export function chown(path: string, uid: number, gid: number): void {
  call('chown', path, () => chownSync(path, uid, gid));
}
export function stat(path: string): BigIntStats {
  return call('stat', path, () => statSync(path, { bigint: true }));
}
/** As {@link stat}, of a symbolic link itself. */
export function lstat(path: string): BigIntStats {
  return call('lstat', path, () => lstatSync(path, { bigint: true }));
}
/** The names in a folder. */
export function readdir(path: string): string[] {
  return call('scandir', path, () => readdirSync(path));
}
/** The target of a symbolic link. */
export function readlink(path: string): string {
  return call('readlink', path, () => readlinkSync(path));
}
/** The path without symbolic links. */
export function realpath(path: string): string {
  return call('realpath', path, () => realpathSync(path));
}
export type { BigIntStats } from 'node:fs';
/** What statfs(2) reports about a path's file system, in blocks of `bsize` bytes. */
export function statfs(path: string): { bavail: number; bsize: number; blocks: number } {
  return call('statfs', path, () => statfsSync(path));
}
