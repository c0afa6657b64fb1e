/**
 * Memory that several processes map: POSIX segments by name, and anonymous ones that are passed on as a file descriptor.
 *
 * Crash guarantee: a named segment gets its name only once it has its full size, zeroed and allocated. A creator that is killed leaves
 * either nothing or a complete segment; a process that opens it never meets an incomplete one of ours.
 */

import { constants as bufferConstants } from 'node:buffer';
import {
  checkBoolean,
  checkDescriptor,
  checkInteger,
  checkMode,
  checkName,
  checkOptions,
} from '../system/arguments.js';
import { closed, closeIfOwned, whenDropped } from '../system/dropped.js';
import { EFBIG } from '../system/errno.js';
import {
  ClosedError,
  CorruptError,
  errno,
  errnoName,
  type IpcError,
  invalidArgument,
  SystemError,
} from '../system/errors.js';
import { close, dup, fchmod, fcntl, fstat, isKind } from '../system/file.js';
import { type Mapping, memfdCreate, mmap, shmOpen, shmUnlink } from '../system/memory.js';
import { constants } from '../system/native.js';
import { allocate, type NewFile, newFile } from '../system/new-file.js';
import { checkRegular, NEVER_WAITS } from '../system/open-existing.js';
import { own } from '../system/owned-descriptor.js';
import { statfs } from '../system/path.js';
import { readOnly as fixed } from '../system/read-only.js';
import { endWaits } from '../system/word-wait.js';

/** If you keep only a view of the memory, its object is kept too: nothing is closed while the memory is in use. */
const owners = new WeakMap<ArrayBuffer, SharedMemory>();
const CREATE_OPTIONS = { mode: true, initialize: true } as const;
const OPEN_OPTIONS = { readOnly: true } as const;
const FROM_FD_OPTIONS = { readOnly: true, size: true } as const;
/** Where the C library keeps POSIX segments on Linux, shm_overview(7). */
const FOLDER = '/dev/shm';
const SEALS = constants['F_SEAL_SHRINK']! | constants['F_SEAL_GROW']! | constants['F_SEAL_SEAL']!;
/** A process that maps it relies on these two: without them the owner could truncate it at any time. */
const FIXED_SIZE = constants['F_SEAL_SHRINK']! | constants['F_SEAL_GROW']!;

/**
 * Memory shared between processes. What one process writes, the others see at once. Only `Atomics` and the locks of `vecino/sync` order the
 * accesses.
 *
 * `buffer` is the memory itself. After {@link SharedMemory.close} every view of it has length 0: an old view reads `undefined`, and never
 * touches unmapped memory. If another process truncates the segment, this process survives: the lost part reads as zeros, and
 * {@link SharedMemory.buffer} and {@link SharedMemory.check} throw {@link CorruptError} from then on.
 *
 * When a process that has it mapped is killed, the others are not affected. The segment lives until it is unlinked and no process has it
 * open.
 *
 * @example
 * ```ts
 * import { SharedMemory } from 'vecino';
 *
 * using mine = SharedMemory.create('vecino-example-counter', 4096);
 * using theirs = SharedMemory.open('vecino-example-counter'); // in any process
 * new Int32Array(mine.buffer)[0] = 42;
 * console.log(new Int32Array(theirs.buffer)[0]); // 42
 * mine.unlink();
 * ```
 */
export class SharedMemory implements Disposable {
  /** The name it was created or opened by, without a slash; null if it has none. */
  readonly name: string | null;
  /** Size in bytes. */
  readonly size: number;
  /** Whether this process opened it for reading only. */
  readonly readOnly: boolean;
  readonly #mapping: Mapping;
  readonly #fd: number;
  /** Unmapped together with its buffer. */
  readonly #remains: { what: string; abandon(): boolean };
  #closed = false;

  private constructor(fd: number, size: number, name: string | null, readOnly: boolean) {
    this.name = name;
    this.size = size;
    this.readOnly = readOnly;
    fixed(this, 'name', 'size', 'readOnly');
    this.#fd = fd;
    this.#mapping = mmap(fd, size, { readOnly, name: this.#label() });
    const serial = own(fd);
    this.#remains = { what: this.#label(), abandon: () => closeIfOwned(fd, serial) };
    whenDropped(this, this.#remains);
    owners.set(this.#mapping.buffer, this);
  }

  /**
   * Creates a segment: zeroed, with its memory reserved, so that a full `/dev/shm` fails here and not at a later access.
   *
   * @param name `[A-Za-z0-9._-]{1,200}`; a leading `/` means the same
   * @param size bytes, at least 1
   * @param options `mode`: permission bits, used exactly, whatever the umask; default 0600. `initialize`: fills the memory, and creates the
   * locks in it, before the segment gets its name, so that no process opens it incomplete. It receives the object that `create` returns. If
   * it throws, `create` throws the same error, and nothing is left
   * @throws SystemError `EEXIST` if the name is taken, `ENOSPC` or `ENOMEM` if there is no room
   */
  static create(
    name: string,
    size: number,
    options: { mode?: number; initialize?: (memory: SharedMemory) => void } = {},
  ): SharedMemory {
    const plain = checkName('name', name);
    const { mode: bits = 0o600, initialize } = checkOptions('options', options, CREATE_OPTIONS)!;
    const mode = checkMode('options.mode', bits);
    if (initialize !== undefined && typeof initialize !== 'function') {
      throw invalidArgument('ERR_INVALID_ARG_TYPE', 'options.initialize', 'a function', initialize);
    }
    checkInteger('size', size, 1);
    checkMemory(size, plain, 'shared memory');
    checkMappable(size);
    const file = unnamed(plain, mode);
    let memory: SharedMemory | undefined;
    try {
      reserve(file.fd, size, plain);
      fchmod(file.fd, mode);
      memory = new SharedMemory(file.fd, size, plain, false);
      initialize?.(memory);
      memory.#use();
      publish(file, plain); // last, so that a failure leaves no name behind
      return memory;
    } catch (error) {
      file.withdraw();
      if (memory === undefined) close(file.fd);
      else memory.close();
      throw error;
    }
  }

  /**
   * Opens the segment of that name, created by vecino or by any other program. The kernel knows its size.
   *
   * @param options `readOnly`: map it for reading only. Your writes reach no other process, and {@link SharedMemory.check} reports them
   * @throws SystemError `ENOENT` if there is none, `EACCES` if it belongs to another user
   * @throws CorruptError if it is empty: its creator has not (yet) given it a size
   */
  static open(name: string, options: { readOnly?: boolean } = {}): SharedMemory {
    const plain = checkName('name', name);
    const readOnly = checkBoolean(
      'options.readOnly',
      checkOptions('options', options, OPEN_OPTIONS)!.readOnly ?? false,
    );
    let fd: number;
    try {
      fd = shmOpen(plain, constants[readOnly ? 'O_RDONLY' : 'O_RDWR']! | NEVER_WAITS);
    } catch (error) {
      throw hinted(error, plain, {
        ENOENT: 'It was not created yet, or it was unlinked. Create it',
        EACCES: 'It belongs to another user. Create it with a mode that allows this access',
      });
    }
    return owning(fd, () => {
      const status = fstat(fd);
      checkRegular(status, `${FOLDER}/${plain}`);
      const { size } = status;
      if (size === 0) {
        throw new CorruptError(
          `shared memory '${plain}' has no size: its creator has not finished, died before it finished, or truncated it. Try again, or unlink it`,
        );
      }
      checkMappable(size);
      return new SharedMemory(fd, size, plain, readOnly);
    });
  }

  /**
   * Creates memory without a name: a memfd, sealed so that no process can change its size. Pass `fd` on, through `stdio` or a Unix socket.
   * The kernel frees it when the last process that has it open closes it or dies, so a `kill -9` leaves nothing.
   */
  static anonymous(size: number): SharedMemory {
    checkInteger('size', size, 1);
    checkMemory(size, 'anonymous', 'memfd');
    checkMappable(size);
    const fd = memfdCreate('vecino', constants['MFD_ALLOW_SEALING']!);
    return owning(fd, () => {
      reserve(fd, size, 'anonymous');
      fcntl(fd, constants['F_ADD_SEALS']!, SEALS);
      return new SharedMemory(fd, size, null, false);
    });
  }

  /**
   * Maps a memfd that another process passed on. It must be sealed against shrinking and growing, so that its owner cannot truncate it.
   * `fd` stays open and yours to close.
   *
   * @param options `size`: the bytes that it must have at least
   * @throws CorruptError if it is not a sealed memfd, or smaller than `size`
   */
  static fromFd(fd: number, options: { readOnly?: boolean; size?: number } = {}): SharedMemory {
    checkDescriptor('fd', fd);
    const { size: atLeast = 1, readOnly = false } = checkOptions('options', options, FROM_FD_OPTIONS)!;
    checkInteger('options.size', atLeast, 1);
    checkBoolean('options.readOnly', readOnly);
    const own = dup(fd);
    return owning(own, () => {
      if (!isKind(fstat(own), 'S_IFREG')) throw notShared(fd, 'it is not a file that can be mapped');
      let seals: number;
      try {
        seals = fcntl(own, constants['F_GET_SEALS']!);
      } catch (error) {
        throw notShared(fd, 'it is not a memfd', error);
      }
      if ((seals & FIXED_SIZE) !== FIXED_SIZE) {
        throw notShared(
          fd,
          'it is not sealed against shrinking and growing, so another process could truncate it at any time',
        );
      }
      const { size } = fstat(own); // after the seals: it cannot change any more
      if (size < atLeast) throw notShared(fd, `it has ${size} bytes, but at least ${atLeast} are needed`);
      checkMappable(size);
      return new SharedMemory(own, size, null, readOnly);
    });
  }

  /** Removes a name. Returns false if it does not exist. A process that has the segment open keeps it. */
  static unlink(name: string): boolean {
    const plain = checkName('name', name);
    try {
      return shmUnlink(plain);
    } catch (error) {
      throw hinted(error, plain, { EACCES: 'It belongs to another user', EPERM: 'It belongs to another user' });
    }
  }

  /** The file descriptor, for passing on; it is closed with this object. */
  get fd(): number {
    this.#use();
    return this.#fd;
  }
  /** The memory itself: the same object every time. */
  get buffer(): ArrayBuffer {
    this.#use();
    this.#mapping.check();
    return this.#mapping.buffer;
  }
  /**
   * Throws {@link CorruptError} if another process truncated the memory, or if this one wrote to it although it is read-only;
   * {@link ClosedError} if it is closed.
   */
  check(): void {
    this.#use();
    this.#mapping.check();
  }
  /**
   * Removes this segment's name. Returns false if the name does not exist. If another segment has taken the name since, that one's name is
   * removed.
   */
  unlink(): boolean {
    return this.name !== null && SharedMemory.unlink(this.name);
  }
  /** Unmaps the memory and closes the descriptor. Waits for a word of it end with {@link ClosedError}. The name stays. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closed(this.#remains);
    endWaits(this.#mapping.buffer, new ClosedError(this.#label()));
    this.#mapping.unmap();
    close(this.#fd);
  }
  [Symbol.dispose](): void {
    this.close();
  }
  /** @internal The name for the warning if it is dropped, when it belongs to another object. */
  dropAs(what: string): void {
    this.#remains.what = what;
  }

  #label(): string {
    return this.name === null ? 'anonymous shared memory' : `shared memory '${this.name}'`;
  }
  #use(): void {
    if (this.#closed) throw new ClosedError(this.#label());
  }
}

function unnamed(name: string, mode: number): NewFile {
  try {
    return newFile(FOLDER, mode);
  } catch (error) {
    throw hinted(error, name, {}, 'shm_open');
  }
}
function publish(file: NewFile, name: string): void {
  try {
    file.publish(`${FOLDER}/${name}`);
  } catch (error) {
    throw hinted(error, name, { EEXIST: 'Open it, or unlink it if its creator has ended' }, 'shm_open');
  }
}

/** Runs `make`, and closes the descriptor if that throws. */
function owning<T>(fd: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    close(fd);
    throw error;
  }
}
function reserve(fd: number, size: number, name: string): void {
  try {
    allocate(fd, size, name);
  } catch (error) {
    throw hinted(error, name, { ENOSPC: room() });
  }
}
function room(): string {
  const { bavail, bsize, blocks } = statfs(FOLDER);
  return `${FOLDER} has ${bavail * bsize} of ${blocks * bsize} bytes free; raise it with 'mount -o remount,size=… ${FOLDER}'`;
}

function checkMappable(size: number): void {
  if (size > bufferConstants.MAX_LENGTH) {
    throw new SystemError(EFBIG, 'mmap', {
      hint: `An ArrayBuffer of this version of Node holds at most ${bufferConstants.MAX_LENGTH} bytes, but ${size} were requested`,
    });
  }
}
/** A tmpfs may promise more memory than there is: reserving it would wake the OOM killer, which kills without an error. */
function checkMemory(size: number, name: string, what: string): void {
  const available = process.availableMemory();
  if (size <= available || available === 0) return; // 0: unknown, without /proc or a free descriptor
  const { bavail, bsize } = statfs(FOLDER);
  const full = what !== 'memfd' && size > bavail * bsize;
  throw new SystemError(errno[full ? 'ENOSPC' : 'ENOMEM']!, 'fallocate', {
    path: name,
    hint: full ? room() : `${size} bytes were requested, but ${available} are available`,
  });
}
function notShared(fd: number, why: string, cause?: unknown): IpcError {
  return new CorruptError(
    `cannot use file descriptor ${fd} as shared memory: ${why}. Create it with SharedMemory.anonymous()`,
    { cause },
  );
}
/** The same error for `name`, with a hint. */
function hinted(error: unknown, name: string, hints: Record<string, string>, syscall?: string): unknown {
  if (!(error instanceof SystemError)) return error;
  const hint = hints[errnoName(error.errno)];
  return hint === undefined ? error : new SystemError(error.errno, syscall ?? error.syscall, { path: name, hint });
}
