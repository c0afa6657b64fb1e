/** What both ends of a pipe share: the descriptor, its ownership, and the queue of waiting calls. */

import { checkDescriptor } from '../system/arguments.js';
import { Deadline, WAIT_OPTIONS, type WaitOptions } from '../system/deadline.js';
import { closed, closeIfOwned, type Remains, whenDropped } from '../system/dropped.js';
import { EBADF } from '../system/errno.js';
import { ClosedError, IpcError, SystemError } from '../system/errors.js';
import { close, fcntl, fstat, isKind } from '../system/file.js';
import { KeepAlive } from '../system/keep-alive.js';
import { constants } from '../system/native.js';
import { disown, own } from '../system/owned-descriptor.js';
import { WaitQueue } from '../system/wait-queue.js';
import { ownDescription } from './description.js';

/** The `code` of the error for a descriptor that is neither a pipe nor a FIFO. */
export const NOT_A_PIPE = 'ERR_VECINO_NOT_A_PIPE';

export class End {
  /** The descriptor, once calls may use it; -1 before the first use and after close. Calls check only this. */
  live = -1;
  readonly name: string;
  readonly waitQueue: WaitQueue;
  readonly keepAlive: KeepAlive = new KeepAlive();
  /** For operations without a time limit. */
  readonly unlimited: Deadline;
  readonly #doing: string;
  /** Whether a writer had come and gone before this end had its own open file description. See PipeReader. */
  widowed = false;
  readonly #fd: number;
  /** Identifies our descriptor among those that had the same number. */
  readonly #held: { serial: number };
  readonly #remains: Remains;
  #gone = false;

  /** @param owner the object of this end; the end is closed when the owner is dropped */
  constructor(owner: object, fd: number, side: 'reader' | 'writer') {
    checkDescriptor('fd', fd);
    const status = fstat(fd);
    if (!isKind(status, 'S_IFIFO')) throw new IpcError(NOT_A_PIPE, `fd ${fd} is neither an end of a pipe nor a FIFO`);
    const access = fcntl(fd, constants['F_GETFL']!) & (constants['O_ACCMODE']! | constants['O_PATH']!);
    if (access !== constants['O_RDWR'] && access !== constants[side === 'reader' ? 'O_RDONLY' : 'O_WRONLY']) {
      const hint = `It is not the end that a pipe ${side} needs. Pass the other end`;
      throw new SystemError(EBADF, side === 'reader' ? 'read' : 'write', { path: `fd ${fd}`, hint });
    }
    fcntl(fd, constants['F_SETFD']!, constants['FD_CLOEXEC']!);
    this.#fd = fd;
    const held = { serial: own(fd) };
    this.#held = held;
    this.name = `pipe ${side} (fd ${fd})`;
    this.#doing = side === 'reader' ? `read from fd ${fd}` : `write to fd ${fd}`;
    this.unlimited = new Deadline(this.#doing);
    const waitQueue = new WaitQueue(fd, this.name, side === 'reader' ? 'readable' : 'writable', this.keepAlive);
    this.waitQueue = waitQueue;
    this.#remains = {
      what: this.name,
      instead: ', or call detach() to keep only the descriptor',
      abandon() {
        waitQueue.close();
        return closeIfOwned(fd, held.serial);
      },
    };
    whenDropped(owner, this.#remains);
  }
  get fd(): number {
    if (this.#gone) throw new ClosedError(this.name);
    return this.#fd;
  }
  get closed(): boolean {
    return this.#gone;
  }
  get capacity(): number {
    return fcntl(this.fd, constants['F_GETPIPE_SZ']!);
  }
  /** The deadline that the options of a call set. */
  deadline(options: WaitOptions | undefined, names: Readonly<Record<string, true>> = WAIT_OPTIONS): Deadline {
    return options === undefined ? this.unlimited : new Deadline(this.#doing, options, names);
  }
  /** Prepares the end at its first use; throws {@link ClosedError} once it is closed. */
  enter(): void {
    if (this.live >= 0) return;
    if (this.#gone) throw new ClosedError(this.name);
    this.widowed = (ownDescription(this.#fd) & constants['POLLHUP']!) !== 0;
    this.#held.serial = own(this.#fd); // the number refers to another description now
    this.live = this.#fd;
  }
  /** Ends all waits. The descriptor stays open and belongs to the caller, also after this thread's end. */
  detach(): number {
    const { fd } = this;
    this.#end();
    disown(fd);
    return fd;
  }
  close(): void {
    if (this.#gone) return;
    this.#end();
    close(this.#fd);
  }
  #end(): void {
    this.#gone = true;
    this.live = -1;
    closed(this.#remains);
    this.waitQueue.close();
  }
}
