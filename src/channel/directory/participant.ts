/**
 * A participant of a channel: its seat, and the folder `RUNTIME/NAME` (folder.ts) with the control file and the files of the kind.
 *
 * Crash guarantee: a seat belongs to the process that holds its lock, so it is free when its owner dies, at whatever instruction. life.ts
 * decides whether the channel still exists; a process that is killed or stopped while it opens or closes one blocks no other.
 */

import { checkName } from '../../system/arguments.js';
import { EADDRINUSE, EAGAIN, ENOENT } from '../../system/errno.js';
import { ClosedError, MismatchError, RemovedError, SystemError } from '../../system/errors.js';
import { fstat } from '../../system/file.js';
import { setFileLock, testFileLock } from '../../system/file-lock.js';
import { constants, native } from '../../system/native.js';
import { NEVER_WAITS, withHeld } from '../../system/open-existing.js';
import { chmod } from '../../system/path.js';
import { pause } from '../../system/pause.js';
import { type Description, SEAT_PID, SEAT_ROLE, SEAT_SIZE, SEATS, SEATS_OFFSET } from './control-file.js';
import { type ChannelDirectory, directoryOf, giveToOwner, isGiven, isOwners } from './directory.js';
import {
  clear,
  closeChannel,
  folderNow,
  isUnlinked,
  makeChannel,
  type OpenFolder,
  openChannel,
  pathIn,
  removeIfEmpty,
} from './folder.js';
import { isRemoved, stay } from './life.js';

const { O_CLOEXEC, O_RDWR } = constants as Record<string, number>;
/**
 * Milliseconds for which other processes may keep creating and removing what we open; and the least number of tries, where one takes
 * seconds.
 */
const OPEN_TIMEOUT_MS = 2000;
const MIN_ATTEMPTS = 100;

export interface ParticipantOptions {
  /** Its folder. Default: this user's own. */
  readonly directory?: ChannelDirectory;
  /** It stays without participants, until it is removed by name. */
  readonly persistent?: boolean;
  /** The seats to choose from, `from` (included) to `to` (excluded). */
  readonly seats?: readonly [from: number, to: number];
  /** The sizes of the geometry that must match an existing channel; the others are taken from it. */
  readonly insist?: readonly string[];
  /** The role of the seat's owner, as a number of the kind's own. */
  readonly role?: number;
}

export class Participant implements Disposable {
  readonly name: string;
  /** The folder's path. */
  readonly folder: string;
  readonly description: Description;
  /** The number of our seat. */
  readonly seat: number;
  /** Where its folder is. */
  readonly directory: ChannelDirectory;
  /** Permission bits of the files in it. */
  readonly mode: number;
  /** The control file. Only seats are ever written. */
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly #persistent: boolean;
  readonly #channel: OpenFolder;
  #closed = false;

  private constructor(
    name: string,
    directory: ChannelDirectory,
    channel: OpenFolder,
    seat: number,
    options: ParticipantOptions,
  ) {
    this.name = name;
    this.directory = directory;
    this.folder = `${directory.path}/${name}`;
    this.mode = (fstat(channel.directory).mode & 0o070) === 0 ? 0o600 : 0o660;
    this.description = channel.description;
    this.seat = seat;
    this.#persistent = options.persistent ?? false;
    this.#channel = channel;
    this.words = channel.words;
    this.doubles = new Float64Array(channel.mapping.buffer);
    const index = this.wordOf(seat);
    this.words.fill(0, index, index + SEAT_SIZE / 4);
    this.words[index + SEAT_ROLE] = options.role ?? 0;
    this.words[index + SEAT_PID] = process.pid;
  }

  /**
   * Joins the channel `name`, or creates it as `wanted` says. A channel that is not persistent and has no participants is removed and
   * created again.
   *
   * @throws MismatchError if it exists with another kind, codec or geometry
   * @throws SystemError `EADDRINUSE` if no seat is free
   */
  static open(name: string, wanted: Description, options: ParticipantOptions = {}): Participant {
    const plain = checkName('name', name);
    const directory = options.directory ?? directoryOf(undefined);
    const end = performance.now() + OPEN_TIMEOUT_MS;
    for (let attempt = 1; ; attempt++) {
      const participant = Participant.#attempt(plain, directory, wanted, options);
      if (participant !== undefined) return participant;
      if (performance.now() > end && attempt >= MIN_ATTEMPTS) {
        const hint = 'Other processes keep creating and removing it. Try again';
        throw new SystemError(EAGAIN, 'rename', { path: `${directory.path}/${plain}`, hint });
      }
      pause(1);
    }
  }
  /** Undefined: another process has just created or removed it; try again. */
  static #attempt(
    name: string,
    directory: ChannelDirectory,
    wanted: Description,
    options: ParticipantOptions,
  ): Participant | undefined {
    const folder = `${directory.path}/${name}`;
    const [from, to] = options.seats ?? [0, SEATS];
    let channel = openChannel(folder);
    let seat = from;
    if (channel !== undefined && isOver(channel, folder)) channel = undefined;
    if (channel === undefined) {
      if (!isOwners(directory)) throw notOurs(directory, folder);
      channel = makeChannel(directory, name, wanted, from);
      if (channel === undefined) return undefined;
    } else {
      seat = takeSeat(channel.control, from, to);
      const gone = seat < 0 ? isRemoved(channel.words) : !stay(channel.words);
      if (gone) clear(channel.directory, folder);
      if (gone || fstat(channel.control).links === 0) {
        closeChannel(channel);
        return undefined;
      }
    }
    try {
      refuseMismatch(name, channel.description, wanted, options.insist ?? []);
      if (seat < 0) throw full(folder, channel.description, from, to);
      return new Participant(name, directory, channel, seat, options);
    } catch (error) {
      setFileLock(channel.control, 'none', 0, 0);
      if (channel.description.kind !== 'queue') removeIfEmpty(channel, folder);
      closeChannel(channel);
      throw error;
    }
  }

  /** A path in the folder: short enough for a socket's address, whatever the folder's length. */
  path(file: string): string {
    return pathIn(this.#channel.directory, file);
  }
  /** For a socket in the folder: the other participants may use it too. */
  share(file: string): void {
    if (this.mode === 0o600 && !isGiven(this.directory)) return;
    withHeld(this.path(file), 'S_IFSOCK', (held) => {
      chmod(held, this.mode);
      giveToOwner(this.directory, held);
    });
  }
  /** The index of a seat's first word; its doubles begin at half of that. */
  wordOf(seat: number): number {
    return (SEATS_OFFSET + seat * SEAT_SIZE) >> 2;
  }
  /** Whether another live process has that seat. One system call. */
  isTaken(seat: number): boolean {
    return testFileLock(this.#channel.control, seat, 1) >= 0;
  }
  /** The seats from `from` to `to` that other live processes have. */
  *taken(from = 0, to: number = SEATS): Generator<number> {
    for (let seat = from; seat < to; seat++) if (this.isTaken(seat)) yield seat;
  }
  /** Takes the lock of another byte of the control file, by which kinds can prove more than a seat; false: another process has it. */
  tryLock(byte: number): boolean {
    return setFileLock(this.#channel.control, 'exclusive', byte, 1);
  }
  unlock(byte: number): void {
    setFileLock(this.#channel.control, 'none', byte, 1);
  }
  /** Notifies all exit watchers, as if a participant had left: they check everything again. False: no descriptor was free. */
  knock(): boolean {
    const fd = native.open(this.path('control'), O_RDWR! | NEVER_WAITS | O_CLOEXEC!, 0);
    if (fd < 0) return false;
    native.close(fd); // opened for writing: the watchers get an event for that
    return true;
  }
  /** Whether the files were removed from outside: ours have their name while any seat is taken. One system call. */
  loss(): RemovedError | undefined {
    if (this.#closed || fstat(this.#channel.control).links > 0) return undefined;
    return new RemovedError(
      `'${this.folder}' was removed while it was in use, by something other than vecino. A process that opens '${this.name}' now gets another ` +
        `${this.description.kind}. Under systemd set RemoveIPC=no, or use a system user or VECINO_RUNTIME_DIR`,
    );
  }
  /** Throws if another process truncated the control file. */
  check(): void {
    if (this.#closed) throw new ClosedError(`channel '${this.name}'`);
    this.#channel.mapping.check();
  }
  /**
   * Frees the seat; the last participant removes the channel, unless it is persistent and still has its name. `mayGo`, called when there is
   * no other participant, can prevent that; `'keep'` keeps it. Idempotent.
   */
  close(mayGo: (() => boolean) | 'keep' = this.#persistent ? 'keep' : () => true): void {
    if (this.#closed) return;
    this.#closed = true;
    const index = this.wordOf(this.seat);
    this.words[index + SEAT_PID] = 0;
    try {
      setFileLock(this.#channel.control, 'none', 0, 0);
      const folder = folderNow(this.#channel.directory) ?? this.folder;
      if (isUnlinked(folder)) removeIfEmpty(this.#channel, folder);
      else if (mayGo !== 'keep') removeIfEmpty(this.#channel, folder, mayGo);
    } finally {
      closeChannel(this.#channel);
    }
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Whether the channel of that name is removed, or is now; then it is closed too. */
function isOver(channel: OpenFolder, folder: string): boolean {
  const removed = isRemoved(channel.words);
  if (removed) clear(channel.directory, folder);
  else if (channel.description.kind === 'queue' || !removeIfEmpty(channel, folder)) return false;
  closeChannel(channel);
  return true;
}
/** The lowest free seat, -1 if all are taken. */
function takeSeat(control: number, from: number, to: number): number {
  for (let seat = from; seat < to; seat++) if (setFileLock(control, 'exclusive', seat, 1)) return seat;
  return -1;
}
function refuseMismatch(name: string, found: Description, wanted: Description, insist: readonly string[]): void {
  const refuse = (what: string, is: string | number | undefined, want: string | number) => {
    throw new MismatchError(
      `'${name}' exists already with ${what} ${is ?? 'none'}, but ${want} was asked for. Use the same options, or another name`,
    );
  };
  if (found.kind !== wanted.kind) refuse('the kind', found.kind, wanted.kind);
  if (found.codec !== wanted.codec) refuse('the codec', found.codec, wanted.codec);
  for (const [key, value] of Object.entries(wanted.geometry)) {
    if (insist.includes(key) && found.geometry[key] !== value) refuse(`a ${key} of`, found.geometry[key], value);
  }
}
function notOurs({ owner }: ChannelDirectory, path: string): SystemError {
  const hint = `No process has it open, and only the owner of its folder, user ${owner}, can create it`;
  return new SystemError(ENOENT, 'open', { path, hint });
}
function full(folder: string, { kind }: Description, from: number, to: number): SystemError {
  const hint =
    to - from === 1
      ? `A running process has this ${kind} open already`
      : `All ${to - from} seats of this ${kind} are taken`;
  return new SystemError(EADDRINUSE, 'fcntl', { path: folder, hint });
}
