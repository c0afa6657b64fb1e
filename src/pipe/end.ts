/** What both ends of a pipe share: the descriptor, whose it is, and the line of those who wait for it. */
import { checkDescriptor, checkOptions } from '../system/arguments.js';
import { Deadline, type WaitOptions } from '../system/deadline.js';
import { ClosedError, check, errno, IpcError, SystemError } from '../system/errors.js';
import { fcntl, fstat, isKind } from '../system/file.js';
import { Line } from '../system/line.js';
import { constants } from '../system/native.js';
import { hold, isStillOwned, letGo, type OwnedDescriptor, release } from '../system/owned-descriptor.js';
import { ownDescription } from './description.js';

/** `code` of the error that says that something is neither a pipe nor a FIFO. */
export const NOT_A_PIPE = 'ERR_VECINO_NOT_A_PIPE';

/** What is known of an end after its owner is gone. */
interface Estate {
  owned: OwnedDescriptor;
  name: string;
  line: Line;
}
/**
 * An end that is dropped without close() would keep its other side waiting for ever. It is closed, and the program told, since
 * nobody can know when that happens. The number may have been closed behind our back and name something else by now.
 */
const forgotten = new FinalizationRegistry(({ owned, name, line }: Estate) => {
  line.close();
  if (!isStillOwned(owned)) return release(owned);
  letGo(owned);
  process.emitWarning(`A ${name} was dropped without close()`, {
    code: 'VECINO_NOT_CLOSED',
    detail: 'It has been closed now. Use close(), `using`, or detach() if only the descriptor is still needed.',
  });
});

export class End {
  /** The descriptor, once calls may use it; -1 before the first use and after the end was given up. Calls look only here. */
  live = -1;
  readonly name: string;
  readonly line: Line;
  /** For operations without a time limit. */
  readonly unlimited: Deadline;
  readonly #doing: string;
  /** Whether a writer had come and gone before this end had its own open file description. See PipeReader. */
  widowed = false;
  readonly #fd: number;
  /** It is closed when its thread ends, too. */
  readonly #owned: OwnedDescriptor;
  #gone = false;

  /** @param owner whose end it is; it is closed when the owner is dropped */
  constructor(owner: object, fd: number, side: 'reader' | 'writer') {
    checkDescriptor('fd', fd);
    const status = fstat(fd);
    if (!isKind(status, 'S_IFIFO')) throw new IpcError(NOT_A_PIPE, `fd ${fd} is neither an end of a pipe nor a FIFO`);
    const access = fcntl(fd, constants['F_GETFL']!) & (constants['O_ACCMODE']! | constants['O_PATH']!);
    if (access !== constants['O_RDWR'] && access !== constants[side === 'reader' ? 'O_RDONLY' : 'O_WRONLY']) {
      const hint = `It is not the end that a pipe ${side} needs`;
      throw new SystemError(errno['EBADF']!, side === 'reader' ? 'read' : 'write', { path: `fd ${fd}`, hint });
    }
    fcntl(fd, constants['F_SETFD']!, constants['FD_CLOEXEC']!);
    this.#fd = fd;
    this.#owned = hold(fd);
    this.name = `pipe ${side} (fd ${fd})`;
    this.#doing = side === 'reader' ? `read from fd ${fd}` : `write to fd ${fd}`;
    this.unlimited = new Deadline(this.#doing);
    this.line = new Line(fd, this.name, side === 'reader' ? 'readable' : 'writable');
    forgotten.register(owner, { owned: this.#owned, name: this.name, line: this.line }, this);
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
  /** The limit that the options of a call set. */
  deadline(options: WaitOptions | undefined): Deadline {
    return checkOptions('options', options) === undefined ? this.unlimited : new Deadline(this.#doing, options);
  }
  /** Makes it usable if it never was used; {@link ClosedError} once it is closed. */
  enter(): void {
    if (this.live >= 0) return;
    if (this.#gone) throw new ClosedError(this.name);
    this.widowed = (ownDescription(this.#fd) & constants['POLLHUP']!) !== 0;
    this.live = this.#fd;
  }
  /** Ends all waits; the descriptor stays open and is the caller's. */
  detach(): number {
    const { fd } = this;
    this.#end();
    release(this.#owned);
    return fd;
  }
  close(): void {
    if (this.#gone) return;
    this.#end();
    check(letGo(this.#owned), 'close', { path: `fd ${this.#fd}` });
  }
  #end(): void {
    this.#gone = true;
    this.live = -1;
    forgotten.unregister(this);
    this.line.close();
  }
}
