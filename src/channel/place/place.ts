/**
 * Where the processes of one channel meet: the folder `RUNTIME/NAME`, with the control file and whatever the kind puts beside it.
 *
 * Crash guarantee: killed at any instruction, a process leaves at most a folder that the next one to open or list that name
 * completes or removes. Removal needs the write lock of the whole control file, which is to be had only when all seats are empty; who
 * joins meanwhile finds that the file it has opened is not the one with the name any more, and begins again.
 */
import { checkName } from '../../system/arguments.js';
import { ClosedError, errno, MismatchError, SystemError } from '../../system/errors.js';
import { close, fstat, linkDescriptor, open } from '../../system/file.js';
import { setFileLock, testFileLock } from '../../system/file-lock.js';
import { futexWait } from '../../system/futex.js';
import { type Mapping, mmap } from '../../system/memory.js';
import { constants, native } from '../../system/native.js';
import { NEVER_WAITS, openFile, openFolder } from '../../system/open-existing.js';
import { mkdir, readdir, readlink, removeTree, rmdir, stat, unlink } from '../../system/path.js';
import {
  CONTROL_SIZE,
  type Description,
  readControl,
  SEAT_PID,
  SEAT_ROLE,
  SEAT_SIZE,
  SEATS,
  SEATS_OFFSET,
  writeControl,
} from './control-file.js';
import { runtimeDirectory } from './runtime-directory.js';

const CONTROL = 'control';
const { O_RDWR, O_TMPFILE } = constants as Record<string, number>;
/** Milliseconds for which somebody may be at removing or making what we open. Microseconds are normal. */
const PATIENCE = 2000;
/** How often it is tried at least: on a disk that is busy one try may take seconds. */
const ATTEMPTS = 100;
/** A byte that no seat and no kind locks by itself. */
export const BEYOND: number = 2 ** 40;

export interface PlaceOptions {
  /** It stays when nobody takes part, until it is removed by name. */
  readonly persistent?: boolean;
  /** The seats that may be taken, `from` (included) to `to`. */
  readonly seats?: readonly [from: number, to: number];
  /** The sizes of the geometry that must be as asked for if the channel is there already; the others are what they are. */
  readonly insist?: readonly string[];
  /** What the seat's owner does, as a number of the kind's own. */
  readonly role?: number;
}

export class Place implements Disposable {
  readonly name: string;
  /** The folder's path. */
  readonly folder: string;
  readonly description: Description;
  /** The number of our seat. */
  readonly seat: number;
  /** The control file. Only what stands in seats is ever written. */
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly #persistent: boolean;
  readonly #mapping: Mapping;
  readonly #control: number;
  readonly #directory: number;
  #closed = false;

  private constructor(
    name: string,
    folder: string,
    directory: number,
    control: number,
    description: Description,
    seat: number,
    options: PlaceOptions,
  ) {
    this.name = name;
    this.folder = folder;
    this.description = description;
    this.seat = seat;
    this.#persistent = options.persistent ?? false;
    this.#directory = directory;
    this.#control = control;
    this.#mapping = mmap(control, CONTROL_SIZE, { name: `channel '${name}'` });
    this.words = new Int32Array(this.#mapping.buffer);
    this.doubles = new Float64Array(this.#mapping.buffer);
    const index = this.wordOf(seat);
    this.words.fill(0, index, index + SEAT_SIZE / 4);
    this.words[index + SEAT_ROLE] = options.role ?? 0;
    this.words[index + SEAT_PID] = process.pid;
  }

  /**
   * Joins the channel `name`, or makes it as `wanted` says. A channel that is not persistent, and in which nobody takes part any
   * more, is removed and made anew.
   *
   * @throws MismatchError if it is there and of another kind, codec or geometry
   * @throws SystemError `EADDRINUSE` if no seat is free
   */
  static open(name: string, wanted: Description, options: PlaceOptions = {}): Place {
    const plain = checkName('name', name);
    const folder = `${runtimeDirectory()}/${plain}`;
    const end = performance.now() + PATIENCE;
    for (let attempt = 1; ; attempt++) {
      const place = Place.#attempt(plain, folder, wanted, options);
      if (place !== undefined) return place;
      if (performance.now() > end && attempt >= ATTEMPTS) {
        throw new SystemError(errno['EAGAIN']!, 'fcntl', {
          path: folder,
          hint: 'Somebody keeps making and removing it, or is stopped while doing so. Try again',
        });
      }
      pause();
    }
  }
  /** Undefined: somebody has made or removed it just now; again. */
  static #attempt(name: string, folder: string, wanted: Description, options: PlaceOptions): Place | undefined {
    mkdir(folder);
    let directory = -1;
    let control = -1;
    try {
      directory = openFolder(folder);
      const [from, to] = options.seats ?? [0, SEATS];
      let seat: number;
      const found = openControl(directory);
      if (found === undefined) {
        control = makeControl(`/proc/self/fd/${directory}/.`, wanted, from);
        seat = from; // taken before it has its name, so that nobody finds it empty
        linkDescriptor(control, `/proc/self/fd/${directory}/${CONTROL}`);
      } else {
        control = found;
        if (options.persistent !== true && removeIfEmpty(control, directory, folder)) return undefined;
        seat = takeSeat(control, from, to);
        // No seat may also mean that somebody has locked the whole file, to remove it.
        if (seat < 0 && testFileLock(control, BEYOND, 1) >= 0) return undefined;
        if (seat < 0) seat = takeSeat(control, from, to);
        if (!isCurrent(control, directory)) return undefined;
      }
      const description = readControl(control, `${folder}/${CONTROL}`);
      refuseMismatch(name, description, wanted, options.insist ?? []);
      if (seat < 0) throw full(folder, description, from, to);
      const place = new Place(name, folder, directory, control, description, seat, options);
      directory = -1;
      control = -1;
      return place;
    } catch (error) {
      if (error instanceof SystemError && (error.code === 'ENOENT' || error.code === 'EEXIST')) return undefined;
      if (directory >= 0 && !hasName(directory, folder)) return undefined; // what fails in a folder that is removed has many names
      removeEmpty(folder);
      throw error;
    } finally {
      if (control >= 0) close(control);
      if (directory >= 0) close(directory);
    }
  }

  /** A path in the folder, short enough for a socket's address whatever the folder's length. */
  path(file: string): string {
    return `/proc/self/fd/${this.#directory}/${file}`;
  }
  /** Of a seat: the index of its first word; its doubles begin at half of that. */
  wordOf(seat: number): number {
    return (SEATS_OFFSET + seat * SEAT_SIZE) >> 2;
  }
  /** Whether somebody else who lives has that seat. One system call. */
  isTaken(seat: number): boolean {
    return testFileLock(this.#control, seat, 1) >= 0;
  }
  /** The seats from `from` to `to` that others who live have. */
  *taken(from = 0, to: number = SEATS): Generator<number> {
    for (let seat = from; seat < to; seat++) if (this.isTaken(seat)) yield seat;
  }
  /** Takes the lock of another byte of the control file, by which kinds may prove more than a seat; false: somebody has it. */
  tryLock(byte: number): boolean {
    return setFileLock(this.#control, 'exclusive', byte, 1);
  }
  unlock(byte: number): void {
    setFileLock(this.#control, 'none', byte, 1);
  }
  /** Wakes all who watch for those who leave, as if somebody had: they look for everything again. False: there is no descriptor for it. */
  knock(): boolean {
    const fd = native.open(this.path(CONTROL), O_RDWR! | NEVER_WAITS | constants['O_CLOEXEC']!, 0);
    if (fd < 0) return false;
    native.close(fd); // for writing: that is what they are told of
    return true;
  }
  /** Throws if the control file was truncated by somebody. */
  check(): void {
    if (this.#closed) throw new ClosedError(`channel '${this.name}'`);
    this.#mapping.check();
  }
  /**
   * Gives the seat back; the last one removes the channel, unless it is persistent and still has its name. `end` says otherwise.
   * Idempotent.
   */
  close(end: 'keep' | 'remove' = this.#persistent ? 'keep' : 'remove'): void {
    if (this.#closed) return;
    this.#closed = true;
    const index = this.wordOf(this.seat);
    this.words[index + SEAT_PID] = 0;
    try {
      setFileLock(this.#control, 'none', 0, 0);
      const folder = folderNow(this.#directory) ?? this.folder;
      if (end === 'remove' || isUnlinked(folder)) removeIfEmpty(this.#control, this.#directory, folder);
    } finally {
      this.#mapping.unmap();
      native.close(this.#control);
      native.close(this.#directory);
    }
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Removes the channel `name` if nobody takes part in it and it is not of the kind that persists; false if it stays, or there is none. */
export function removeDead(name: string): boolean {
  const folder = `${runtimeDirectory()}/${name}`;
  let directory = -1;
  let control: number | undefined = -1;
  try {
    directory = openFolder(folder);
    control = openControl(directory);
    if (control === undefined) {
      // Its maker died before the control file was whole, or is at it: an empty folder can go at any time.
      rmdir(folder);
      return true;
    }
    if (!isUnlinked(folder) && readControl(control, folder).kind === 'queue') return false;
    return removeIfEmpty(control, directory, folder);
  } catch {
    return false;
  } finally {
    if (control !== undefined && control >= 0) close(control);
    if (directory >= 0) close(directory);
  }
}

/** No name of a channel begins with it: the folder of one that was unlinked while somebody took part. */
export const UNLINKED = '~';
function isUnlinked(folder: string): boolean {
  return folder.slice(folder.lastIndexOf('/') + 1).startsWith(UNLINKED);
}
/** What an open folder is called by now. */
function folderNow(directory: number): string | undefined {
  try {
    return readlink(`/proc/self/fd/${directory}`);
  } catch {
    return undefined;
  }
}
/** A folder in which nothing could be made, for want of room or descriptors. Whoever is at it makes it again. */
function removeEmpty(folder: string): void {
  try {
    rmdir(folder);
  } catch {
    // Something is in it.
  }
}
/** Whether the open folder is the one with the name; the number alone may be a new one's already. */
function hasName(directory: number, folder: string): boolean {
  try {
    const { inode, links } = fstat(directory);
    return links > 0 && Number(stat(folder).ino) === inode;
  } catch {
    return false;
  }
}
function openControl(directory: number): number | undefined {
  try {
    return openFile(`/proc/self/fd/${directory}/${CONTROL}`, 'both');
  } catch (error) {
    if (error instanceof SystemError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
/** Makes one without a name, whole, with our seat taken. */
function makeControl(folder: string, description: Description, seat: number): number {
  const fd = open(folder, O_TMPFILE! | O_RDWR!, 0o600);
  try {
    writeControl(fd, description);
    setFileLock(fd, 'exclusive', seat, 1);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}
/** Whether the open file is still the one with the name. */
function isCurrent(control: number, directory: number): boolean {
  const { inode, links } = fstat(control);
  if (links === 0) return false;
  try {
    return Number(stat(`/proc/self/fd/${directory}/${CONTROL}`).ino) === inode;
  } catch {
    return false;
  }
}
/** The lowest free seat, -1 if all are taken. */
function takeSeat(control: number, from: number, to: number): number {
  for (let seat = from; seat < to; seat++) if (setFileLock(control, 'exclusive', seat, 1)) return seat;
  return -1;
}
/** With all seats empty, removes the files and the folder; the control file's name goes last but one, so that others begin anew. */
function removeIfEmpty(control: number, directory: number, folder: string): boolean {
  if (!setFileLock(control, 'exclusive', 0, 0)) return false;
  try {
    if (!isCurrent(control, directory)) return true;
    const path = `/proc/self/fd/${directory}`;
    for (const file of readdir(path)) if (file !== CONTROL) removeTree(`${path}/${file}`);
    unlink(`${path}/${CONTROL}`);
    try {
      rmdir(folder);
    } catch {
      // Somebody has made a new one in it already.
    }
    return true;
  } finally {
    setFileLock(control, 'none', 0, 0);
  }
}
function refuseMismatch(name: string, found: Description, wanted: Description, insist: readonly string[]): void {
  const refuse = (what: string, is: string | number | undefined, want: string | number) => {
    throw new MismatchError(
      `'${name}' is there already with ${what} ${is ?? 'none'}, and ${want} was asked for. Open it as it is, or take another name`,
    );
  };
  if (found.kind !== wanted.kind) refuse('the kind', found.kind, wanted.kind);
  if (found.codec !== wanted.codec) refuse('the codec', found.codec, wanted.codec);
  for (const [key, value] of Object.entries(wanted.geometry)) {
    if (insist.includes(key) && found.geometry[key] !== value) refuse(`a ${key} of`, found.geometry[key], value);
  }
}
function full(folder: string, { kind }: Description, from: number, to: number): SystemError {
  const hint =
    to - from === 1
      ? `A living process has this ${kind} open already`
      : `All ${to - from} places of this ${kind} are taken`;
  return new SystemError(errno['EADDRINUSE']!, 'fcntl', { path: folder, hint });
}
function pause(): void {
  try {
    futexWait(new Int32Array(1), 0, 0, { timeout: 1 });
  } catch {
    // The time is over: that was the point.
  }
}
