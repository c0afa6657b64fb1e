/** System V shared memory: segments that the kernel keeps under a number, for programs that use them, sysvipc(7). */
import { checkInteger, checkMode, checkOptions } from '../system/arguments.js';
import { ClosedError, errnoName, invalidArgument, SystemError } from '../system/errors.js';
import type { Mapping } from '../system/memory.js';
import { constants } from '../system/native.js';
import { readOnly } from '../system/read-only.js';
import { checkKey, type SysVKey } from '../system/sysv-key.js';
import { type SysVMemoryStatus, shmat, shmget, shmRemove, shmStatus } from '../system/sysv-memory.js';
import { endWaits } from '../system/word-wait.js';

const CREATE_OPTIONS = { mode: true } as const;

/**
 * A System V segment, attached. It stays until it is removed *and* every process has detached it; the kernel detaches processes that are
 * killed. `ipcs -m` lists segments.
 *
 * @example
 * ```ts
 * import { SysVSharedMemory } from 'vecino';
 *
 * using mine = SysVSharedMemory.create('private', 4096);
 * using theirs = SysVSharedMemory.open({ id: mine.id });
 * new Int32Array(mine.buffer)[0] = 42;
 * console.log(new Int32Array(theirs.buffer)[0]); // 42
 * mine.remove();
 * ```
 */
export class SysVSharedMemory implements Disposable {
  /** The kernel's id of the segment, as `ipcs -m` shows it. */
  readonly id: number;
  /** Size in bytes. */
  readonly size: number;
  readonly #mapping: Mapping;
  #closed = false;

  private constructor(id: number) {
    const { size } = shmStatus(id);
    this.id = id;
    this.size = size;
    readOnly(this, 'id', 'size');
    this.#mapping = shmat(id, size, this.#label());
  }

  /**
   * Creates a segment of `size` bytes, zeroed, with exactly these permission bits (default: 0600).
   *
   * @throws SystemError `EEXIST` if the key is taken; `EINVAL` beyond `kernel.shmmax`, `ENOSPC` beyond `kernel.shmmni`
   */
  static create(key: SysVKey, size: number, options: { mode?: number } = {}): SysVSharedMemory {
    const number = checkKey('key', key);
    checkInteger('size', size, 1);
    const mode = checkMode('options.mode', checkOptions('options', options, CREATE_OPTIONS)!.mode ?? 0o600) & 0o777;
    const available = process.availableMemory(); // 0: unknown
    if (size > available && available > 0) {
      const hint = `${size} bytes were requested, but ${available} are available`;
      throw new SystemError(12, 'shmget', { path: `key ${key}`, hint });
    }
    const id = attempt(key, () => shmget(number, size, constants['IPC_CREAT']! | constants['IPC_EXCL']! | mode));
    try {
      return new SysVSharedMemory(id);
    } catch (error) {
      shmRemove(id);
      throw error;
    }
  }
  /** Attaches an existing segment by its key or by its id. */
  static open(key: number | { id: number }): SysVSharedMemory {
    if (typeof key === 'object' && key !== null) return new SysVSharedMemory(checkInteger('id', key.id, 0, 0x7fffffff));
    if ((key as SysVKey) === 'private') throw invalidArgument('ERR_INVALID_ARG_VALUE', 'key', 'a key or { id }', key);
    const number = checkKey('key', key);
    return new SysVSharedMemory(attempt(key, () => shmget(number, 0, 0)));
  }

  /** The memory itself. */
  get buffer(): ArrayBuffer {
    if (this.#closed) throw new ClosedError(this.#label());
    return this.#mapping.buffer;
  }
  /** The number of attachments, the creator and the times of the segment. */
  status(): SysVMemoryStatus {
    return shmStatus(this.id);
  }
  /**
   * Marks it for removal: no process can attach it any more, and the kernel frees it when the last one detaches. Returns false if it was
   * removed already.
   */
  remove(): boolean {
    const result = shmRemove(this.id);
    if (result >= 0) return true;
    if (['EIDRM', 'EINVAL'].includes(errnoName(result))) return false;
    throw new SystemError(result, 'shmctl', {
      path: `id ${this.id}`,
      hint: 'Only its creator, its owner and root may remove it',
    });
  }
  /** Detaches it; the segment stays. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    endWaits(this.#mapping.buffer, new ClosedError(this.#label()));
    this.#mapping.unmap();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  #label(): string {
    return `SysV shared memory (id ${this.id})`;
  }
}

const hints: Record<string, string> = {
  EEXIST: 'Open it, or remove it if its creator has ended (ipcs -m, ipcrm -M)',
  ENOENT: 'It was not created yet, or it was removed',
  EACCES: 'It belongs to another user. Create it with a mode that allows this access',
  EINVAL: 'The size exceeds kernel.shmmax; raise it with sysctl -w kernel.shmmax=…',
  ENOSPC: 'The limit of segments, kernel.shmmni, is reached; raise it with sysctl -w kernel.shmmni=…',
};
function attempt(key: SysVKey, call: () => number): number {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const hint = hints[error.code];
    throw new SystemError(error.errno, error.syscall, { path: `key ${key}`, hint });
  }
}
