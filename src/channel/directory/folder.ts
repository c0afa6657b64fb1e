/**
 * The folder of a channel: created whole, opened, removed.
 *
 *     RUNTIME/NAME/control    what it is and its participants (control-file.ts), and whether it is still live (life.ts)
 *     RUNTIME/NAME/…          the files of the kind, and a bell for each seat that waits
 *     RUNTIME/~UUID/…         a folder that is not complete yet, or one that was unlinked while it had participants
 *
 * A folder gets its name when it is complete, by a rename(2) that fails if the name exists; so each folder has one control file in its
 * life. That makes removal safe for any number of processes that do it at once and are stopped in the middle: what was found removed is
 * reached by its descriptor, and the name is removed only from an empty folder.
 *
 * Crash guarantee: a process that is killed at any instruction leaves a folder without a name, or one that is marked as removed, or an
 * empty one. The next process that opens that name, or lists channels, removes it.
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
/** Kinds whose participants all create files in the folder. */
const MADE_BY_ALL: readonly string[] = ['topic', 'queue'];
const { O_CREAT, O_EXCL, O_RDWR } = constants as Record<string, number>;
/** No channel's name begins with it. */
export const UNLINKED = '~';
/** Milliseconds after which the creator of an incomplete folder is taken for dead. */
const MAKING_MS = 10_000;

/** An open channel. */
export interface OpenFolder {
  readonly directory: number;
  readonly control: number;
  readonly mapping: Mapping;
  readonly words: Int32Array;
  readonly description: Description;
}
/** A path in an open folder: short enough for a socket's address, and independent of the folder's current name. */
export function pathIn(directory: number, file: string): string {
  return `/proc/self/fd/${directory}/${file}`;
}
/** Whether the name of a folder marks it as incomplete or unlinked. */
export function isUnlinked(folder: string): boolean {
  return folder.slice(folder.lastIndexOf('/') + 1).startsWith(UNLINKED);
}

/**
 * Opens the channel of that name; undefined if there is none. A folder without a control file, which an interrupted removal leaves, is
 * removed.
 *
 * @throws CorruptError if it is not a channel; SystemError
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
 * Creates one, with a seat taken, so that no process finds it empty. Undefined: another process was faster, or has taken the incomplete
 * folder for a leftover.
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
      chmod(held, byAll ? 0o2770 : 0o2750); // files created in it get its group too
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
 * Removes it, unless it has other participants. True: it is removed, by whichever process.
 *
 * @param mayGo called if there are no others
 */
export function removeIfEmpty(channel: OpenFolder, folder: string, mayGo: () => boolean = () => true): boolean {
  const { words, control, directory } = channel;
  if (!remove(words, () => testFileLock(control, 0, 0) < 0 && mayGo())) return false;
  clear(directory, folder);
  return true;
}
/** Removes a removed or incomplete channel, as far as that is possible now. The name of the control file goes last. */
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
 * Removes the channel `name` if it has no participants and is not of a persistent kind; false if it stays or does not exist. An unlinked
 * channel is removed even if it is damaged.
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
/** A channel that was unlinked while in use, and whose last user was killed: no process will open it by name again. */
export function removeUnlinked(root: string): void {
  for (const name of readdir(root)) if (name.startsWith(UNLINKED)) removeDead(root, name);
}
/** The current name of an open folder. */
export function folderNow(directory: number): string | undefined {
  try {
    return readlink(`/proc/self/fd/${directory}`);
  } catch {
    return undefined;
  }
}

/** Whether its creator must have finished or died. */
function isOld(directory: number): boolean {
  return Number(stat(pathIn(directory, '.')).mtimeMs) < Date.now() - MAKING_MS;
}
/** Whether the control file is something else, and not merely inaccessible. */
function isNoChannel(error: unknown): boolean {
  return error instanceof CorruptError || ['EISDIR', 'ENXIO', 'ELOOP', 'ENOTDIR'].some((code) => isCode(error, code));
}
function isCode(error: unknown, code: string): boolean {
  return error instanceof SystemError && error.code === code;
}
/** Ignores errors: the next process does it. */
function discard(action: () => void): void {
  try {
    action();
  } catch {}
}
