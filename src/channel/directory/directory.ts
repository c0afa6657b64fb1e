/**
 * The folder in which the processes of a channel meet: this user's own (runtime-directory.ts), or one that is named on both sides, for channels
 * between users.
 *
 * Whoever could write to such a folder, or to one above it, could put himself between the two sides. So each looks before it enters: the
 * folder belongs to the user whom it names, and nobody else can change it, or put another in its place. The owner's side also looks
 * who may enter. Everything in it is made by the owner, or by root for him.
 *
 *     directory            0700 owner          0750 owner:group, with `group`
 *     …/NAME               0700                2750; of topics and queues 2770: all who take part make files there
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

/** Where a channel is, if not among this user's own. */
export interface DirectoryOptions {
  /**
   * A folder for channels between users: an absolute path, the same on both sides. It is made if it is not there, by its owner. It must not be
   * writable by anybody else, nor may one above it be, unless that is sticky, as `/tmp` is.
   */
  directory?: string | undefined;
  /** The user (uid) whose folder it must be: of whoever listens, or makes topics and queues there. This user, if not given. */
  owner?: number | undefined;
  /** Whose members may enter (gid), for the owner's side; the owner must be one of them. Nobody but the owner and root, if not given. */
  group?: number | undefined;
}
export const DIRECTORY_OPTIONS: OptionNames<DirectoryOptions> = { directory: true, owner: true, group: true };

export interface ChannelDirectory {
  readonly path: string;
  readonly owner: number;
  readonly group: number | undefined;
  /** Whether it was named, and is not this user's own. */
  readonly named: boolean;
}

const MAX_ID = 0xfffffffe;
/** Milliseconds that somebody may take from making a folder to giving it away. */
const MAKING_MS = 100;

/** Checks the options, and the folder. With `makes` it is made if it is not there and ours. */
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
/** Whether this process acts for the folder's owner: only then channels can be made and removed there. */
export function isOwners({ owner }: ChannelDirectory): boolean {
  const uid = process.geteuid!();
  return uid === owner || uid === 0;
}
/** What root makes for somebody else becomes his. `held` is a path by a descriptor: by its name he could have put a link to anything there. */
export function giveToOwner(directory: ChannelDirectory, held: string): void {
  if (isGiven(directory)) chown(held, directory.owner, -1);
}
/** Whether what this process makes there becomes somebody else's. */
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
    // Its maker has not given it away yet.
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
/** Nobody but those who are trusted can put something else there. */
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
