/**
 * The folder of a channel: made whole, opened, cleared away.
 *
 *     RUNTIME/NAME/control    what it is and who takes part (control-file.ts), and whether it is there still (life.ts)
 *     RUNTIME/NAME/…          what the kind puts beside it, and a bell for each seat that waits
 *     RUNTIME/~UUID/…         one that is not whole yet, or one that was unlinked while somebody took part
 *
 * A folder gets its name when it is whole, in the step (rename(2)) that fails if there is another; so each has one control file in its
 * life. That makes clearing away safe for any number who do it at once and are stopped in the middle of it: what was found removed is reached
 * by its descriptor, and the name goes only from a folder that is empty.
 *
 * Crash guarantee: killed at any instruction, a process leaves a folder without a name, or one that says that it is removed, or an empty one.
 * Whoever opens that name next, or lists, clears it away.
 */
import { randomUUID } from 'node:crypto';
import { CorruptError, SystemError } from '../../system/errors.js';
import { close, fchmod, fstat, open } from '../../system/file.js';
import { setFileLock, testFileLock } from '../../system/file-lock.js';
import { type Mapping, mmap } from '../../system/memory.js';
import { constants } from '../../system/native.js';
import { openFile, openFolder } from '../../system/open-existing.js';
import { chmod, chown, mkdir, readdir, readlink, removeTree, rename, rmdir, stat, unlink } from '../../system/path.js';
import { CONTROL_SIZE, type Description, readControl, writeControl } from './control-file.js';
import { type ChannelDirectory, giveToOwner } from './directory.js';
import { isRemoved, remove } from './life.js';

const CONTROL = 'control';
/** Kinds in whose folder everybody makes files who takes part. */
const MADE_BY_ALL: readonly string[] = ['topic', 'queue'];
const { O_CREAT, O_EXCL, O_RDWR } = constants as Record<string, number>;
/** No name of a channel begins with it. */
export const UNLINKED = '~';
/** Milliseconds after which a folder that is not whole yet is taken for one whose maker is dead. */
const MAKING_MS = 10_000;

/** An open channel. */
export interface OpenFolder {
  readonly directory: number;
  readonly control: number;
  readonly mapping: Mapping;
  readonly words: Int32Array;
  readonly description: Description;
}
/** A path in an open folder, short enough for a socket's address, and the same whatever the folder is called by now. */
export function pathIn(directory: number, file: string): string {
  return `/proc/self/fd/${directory}/${file}`;
}
/** Whether the name of a folder says that nobody is to find it by that. */
export function isUnlinked(folder: string): boolean {
  return folder.slice(folder.lastIndexOf('/') + 1).startsWith(UNLINKED);
}

/**
 * Opens what has that name; undefined: there is none. A folder without a control file, which is what removing leaves, is cleared away.
 *
 * @throws CorruptError if it is no channel; SystemError
 */
export function openChannel(folder: string): OpenFolder | undefined {
  let directory: number;
  try {
    directory = openFolder(folder);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  let control = -1;
  try {
    control = openFile(pathIn(directory, CONTROL), 'both');
    return adopt(directory, control, folder);
  } catch (error) {
    if (control >= 0) close(control);
    if (control < 0 && isCode(error, 'ENOENT')) {
      if (!isUnlinked(folder) || isOld(directory)) clear(directory, folder);
      close(directory);
      return undefined;
    }
    close(directory);
    throw error;
  }
}
/**
 * Makes one, with a seat taken, so that nobody finds it empty. Undefined: somebody was faster, or has taken the beginnings of it for
 * something that was left.
 */
export function makeChannel(
  meeting: ChannelDirectory,
  name: string,
  description: Description,
  seat: number,
): OpenFolder | undefined {
  const root = meeting.path;
  const shared = meeting.group !== undefined;
  const byAll = MADE_BY_ALL.includes(description.kind);
  const aside = `${root}/${UNLINKED}${randomUUID()}`;
  mkdir(aside);
  let directory = -1;
  let control = -1;
  let made: OpenFolder | undefined;
  try {
    directory = openFolder(aside);
    const held = pathIn(directory, '.');
    if (shared) {
      chown(held, -1, meeting.group!);
      chmod(held, byAll ? 0o2770 : 0o2750); // what is made in it belongs to the group too
    }
    const unfinished = pathIn(directory, `${CONTROL}.new`);
    control = open(unfinished, O_RDWR! | O_CREAT! | O_EXCL!, 0o600);
    writeControl(control, description, `${root}/${name}/${CONTROL}`);
    setFileLock(control, 'exclusive', seat, 1);
    if (shared) fchmod(control, byAll ? 0o660 : 0o640);
    giveToOwner(meeting, `/proc/self/fd/${control}`);
    giveToOwner(meeting, held);
    rename(unfinished, pathIn(directory, CONTROL));
    made = adopt(directory, control, aside);
    rename(aside, `${root}/${name}`);
    return made;
  } catch (error) {
    made?.mapping.unmap();
    if (directory >= 0) clear(directory, aside);
    else discard(() => rmdir(aside));
    if (control >= 0) close(control);
    if (directory >= 0) close(directory);
    if (['EEXIST', 'ENOTEMPTY', 'ENOENT'].some((code) => isCode(error, code))) return undefined;
    throw error;
  }
}
function adopt(directory: number, control: number, folder: string): OpenFolder {
  const description = readControl(control, `${folder}/${CONTROL}`);
  if (fstat(control).size < CONTROL_SIZE) {
    throw new CorruptError(
      `'${folder}/${CONTROL}' cannot be used: it was truncated. Remove its folder if no process uses it`,
    );
  }
  const mapping = mmap(control, CONTROL_SIZE, { name: `'${folder}/${CONTROL}'` });
  return { directory, control, mapping, words: new Int32Array(mapping.buffer), description };
}
export function closeChannel({ directory, control, mapping }: OpenFolder): void {
  mapping.unmap();
  close(control);
  close(directory);
}
/**
 * Removes it, unless somebody else takes part; true: it is gone, by whomsoever.
 *
 * @param mayGo asked when nobody else does
 */
export function removeIfEmpty(channel: OpenFolder, folder: string, mayGo: () => boolean = () => true): boolean {
  const { words, control, directory } = channel;
  if (!remove(words, () => testFileLock(control, 0, 0) < 0 && mayGo())) return false;
  clear(directory, folder);
  return true;
}
/** Clears away what is removed, or was never whole, as far as that can be done now. The control file's name goes last. */
export function clear(directory: number, folder: string): void {
  discard(() => {
    for (const file of readdir(pathIn(directory, '.'))) {
      if (file === CONTROL) continue;
      const path = pathIn(directory, file);
      try {
        unlink(path);
      } catch {
        discard(() => removeTree(path)); // a folder
      }
    }
    try {
      unlink(pathIn(directory, CONTROL));
    } catch {
      removeTree(pathIn(directory, CONTROL));
    }
  });
  discard(() => rmdir(folder)); // another one of that name is not empty
}
/**
 * Removes the channel `name` if nobody takes part in it and it is not of the kind that persists; false if it stays, or there is none.
 * What was unlinked goes too if it is damaged.
 */
export function removeDead(root: string, name: string): boolean {
  const folder = `${root}/${name}`;
  let channel: OpenFolder | undefined;
  try {
    channel = openChannel(folder);
    if (channel === undefined) return false;
    if (isRemoved(channel.words) || isUnlinked(folder) || channel.description.kind !== 'queue')
      return removeIfEmpty(channel, folder);
  } catch (error) {
    if (isUnlinked(folder) && isNoChannel(error)) discard(() => removeTree(folder));
  } finally {
    if (channel !== undefined) closeChannel(channel);
  }
  return false;
}
/** What was unlinked while it was in use, and whose last user was killed: nobody asks for it by name any more. */
export function removeUnlinked(root: string): void {
  for (const name of readdir(root)) if (name.startsWith(UNLINKED)) removeDead(root, name);
}
/** What an open folder is called by now. */
export function folderNow(directory: number): string | undefined {
  try {
    return readlink(`/proc/self/fd/${directory}`);
  } catch {
    return undefined;
  }
}

/** Whether nobody can still be making it. */
function isOld(directory: number): boolean {
  return Number(stat(pathIn(directory, '.')).mtimeMs) < Date.now() - MAKING_MS;
}
/** Whether the control file is something else, and not only beyond reach. */
function isNoChannel(error: unknown): boolean {
  return error instanceof CorruptError || ['EISDIR', 'ENXIO', 'ELOOP', 'ENOTDIR'].some((code) => isCode(error, code));
}
function isCode(error: unknown, code: string): boolean {
  return error instanceof SystemError && error.code === code;
}
/** Whoever comes next does it. */
function discard(action: () => void): void {
  try {
    action();
  } catch {}
}
