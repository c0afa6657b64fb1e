/**
 * The folder of a channel: this user's own (runtime-directory.ts), or one that is given on both sides, for channels between users.
 *
 * A user who can write to such a folder, or to one above it, could get in between the two sides. So each side checks it first: the folder
 * belongs to the given owner, and no other user can change or replace it. The owner's side also checks who may enter. Everything in it is
 * created by the owner, or by root on the owner's behalf.
 *
 *     directory            0700 owner          0750 owner:group, with `group`
 *     …/NAME               0700                2750; of topics and queues 2770: all participants create files there
 *     …/NAME/control, …    0600                0660, 0640 what only the owner writes
 */

import { dirname, isAbsolute, resolve } from 'node:path';
import { checkInteger, checkPath, type OptionNames } from '../../system/arguments.js';
import { EACCES } from '../../system/errno.js';
import { invalidArgument, SystemError } from '../../system/errors.js';
import { withHeld } from '../../system/open-existing.js';
import { type BigIntStats, chmod, chown, lstat, mkdir, realpath } from '../../system/path.js';
import { pause } from '../../system/pause.js';
import { runtimeDirectory } from './runtime-directory.js';

/** Where a channel is, if not in this user's own folder. */
export interface DirectoryOptions {
  /**
   * A folder for channels between users: an absolute path, the same on both sides. Its owner's process creates it if it does not exist. No
   * other user may be able to write to it, nor to a folder above it, unless that one is sticky, as `/tmp` is.
   */
  directory?: string | undefined;
  /** The user (uid) who must own the folder: the one that listens, or creates topics and queues there. Default: this user. */
  owner?: number | undefined;
  /**
   * The group (gid) whose members may enter, for the owner's side; the owner must be a member. Default: only the owner and root may enter.
   */
  group?: number | undefined;
}
export const DIRECTORY_OPTIONS: OptionNames<DirectoryOptions> = { directory: true, owner: true, group: true };

export interface ChannelDirectory {
  readonly path: string;
  readonly owner: number;
  readonly group: number | undefined;
  /** Whether it was given, and is not this user's own. */
  readonly named: boolean;
}

const MAX_ID = 0xfffffffe;
/** Milliseconds that root may take between creating a folder and passing it to its owner. */
const MAKING_MS = 100;

/** Checks the options and the folder. With `makes` it is created if it does not exist and is ours. */
export function directoryOf(options: DirectoryOptions | undefined, makes = false): ChannelDirectory {
  const { directory, owner = process.geteuid!(), group } = options ?? {};
  checkInteger('options.owner', owner, 0, MAX_ID);
  if (group !== undefined) checkInteger('options.group', group, 0, MAX_ID);
  if (directory === undefined) {
    if (options?.owner === undefined && group === undefined)
      return { path: runtimeDirectory(), owner, group, named: false };
    throw invalidArgument(
      'ERR_INVALID_ARG_VALUE',
      'options.directory',
      'given with options.owner and options.group',
      directory,
    );
  }
  checkPath('options.directory', directory);
  if (!isAbsolute(directory))
    throw invalidArgument('ERR_INVALID_ARG_VALUE', 'options.directory', 'an absolute path', directory);
  const found = { path: resolve(directory), owner, group, named: true };
  if (makes && isOwners(found)) make(found);
  inspect(found);
  return found;
}
/** Where it is, or will be. */
export function directoryPath({ directory }: DirectoryOptions): string {
  return directory === undefined ? runtimeDirectory() : resolve(directory);
}
/** Whether this process acts for the folder's owner: only then can it create and remove channels there. */
export function isOwners({ owner }: ChannelDirectory): boolean {
  const uid = process.geteuid!();
  return uid === owner || uid === 0;
}
/**
 * Passes what root has created to the owner. `held` is a path by a descriptor: under the real name, the owner could have put a link to any
 * file.
 */
export function giveToOwner(directory: ChannelDirectory, held: string): void {
  if (isGiven(directory)) chown(held, directory.owner, -1);
}
/** Whether what this process creates there is passed to another user. */
export function isGiven({ owner }: ChannelDirectory): boolean {
  return process.geteuid!() === 0 && owner !== 0;
}

function make({ path, owner, group }: ChannelDirectory): void {
  if (!mkdir(path)) return;
  withHeld(path, 'S_IFDIR', (held) => {
    if (group !== undefined || process.geteuid!() !== owner) chown(held, owner, group ?? -1);
    if (group !== undefined) chmod(held, 0o750);
  });
}
function inspect(directory: ChannelDirectory): void {
  const { path } = directory;
  for (let attempt = 1; ; attempt++) {
    const status = lstat(path);
    const why = fault(directory, status);
    if (why === undefined) break;
    // Its creator has not passed it on yet.
    if (attempt > MAKING_MS || Number(status.ctimeMs) < Date.now() - MAKING_MS) throw refused(path, why);
    pause(1);
  }
  const trusted = new Set([0, directory.owner, process.geteuid!()]);
  for (const above of [dirname(path), realpath(dirname(path))]) inspectAbove(above, trusted, path);
}
/** What is wrong with the folder itself. */
function fault({ owner, group }: ChannelDirectory, status: BigIntStats): string | undefined {
  const mode = Number(status.mode & 0o7777n);
  const bits = `mode ${(mode & 0o777).toString(8)}`;
  if (!status.isDirectory()) return 'It is not a folder';
  if (Number(status.uid) !== owner) return `It belongs to user ${status.uid}, but the option owner is ${owner}`;
  if ((mode & 0o022) !== 0) return `Users other than its owner may write to it (${bits}): chmod go-w`;
  if (process.geteuid!() !== owner && process.geteuid!() !== 0) return undefined;
  if ((mode & 0o007) !== 0) return `All users may enter it (${bits}): set the option group, and run chmod o-rwx`;
  if (group === undefined)
    return (mode & 0o070) === 0 ? undefined : `Its group may enter it (${bits}), but the option group is not set`;
  if (Number(status.gid) !== group) return `Its group is ${status.gid}, but the option group is ${group}: run chgrp`;
  return (mode & 0o010) !== 0 ? undefined : `Its group may not enter it (${bits}): run chmod g+rx`;
}
/** Checks that only trusted users can replace the folder. */
function inspectAbove(folder: string, trusted: ReadonlySet<number>, path: string): void {
  for (let above = folder; ; above = dirname(above)) {
    const status = lstat(above);
    const mode = Number(status.mode & 0o7777n);
    if (!trusted.has(Number(status.uid))) throw refused(path, `'${above}' belongs to user ${status.uid}`);
    if (status.isDirectory() && (mode & 0o022) !== 0 && (mode & 0o1000) === 0)
      throw refused(path, `Other users may write to '${above}', so they could replace this folder`);
    if (above === dirname(above)) return;
  }
}
function refused(path: string, why: string): SystemError {
  const hint = `${why}. Only its owner may be able to change a folder for channels between users`;
  return new SystemError(EACCES, 'open', { path, hint });
}
