/** A file lock that is held. */
import type { FileLockKind } from '../system/file-lock.js';
import type { Guard } from './guard.js';
import type { Range } from './range.js';

/** What the lock that it belongs to does for it. */
interface Holder {
  held(): boolean;
  release(): void;
  /** @param changed called once it is, before anybody else is served */
  change(kind: FileLockKind, changed: () => void): boolean;
}
/** A lock that is held, until it is released or its {@link FileLock} is closed. */
export class FileGuard implements Guard {
  #kind: FileLockKind;
  readonly #start: number;
  readonly #end: number;
  readonly #holder: Holder;

  /** @internal */
  constructor(kind: FileLockKind, { start, end }: Range, holder: Holder) {
    this.#kind = kind;
    this.#start = start;
    this.#end = end;
    this.#holder = holder;
  }
  /** How it is held now. */
  get kind(): FileLockKind {
    return this.#kind;
  }
  /** The first byte that is locked. */
  get start(): number {
    return this.#start;
  }
  /** The first byte after; `Infinity` if all up to the end of the file is locked. */
  get end(): number {
    return this.#end;
  }
  /** Never known: the kernel releases the locks of the dead and tells nobody. */
  get ownerDied(): false {
    return false;
  }
  /** Whether it is still locked. */
  get held(): boolean {
    return this.#holder.held();
  }
  /**
   * Unlocks. Does nothing if its {@link FileLock} is closed.
   *
   * @throws SystemError `EPERM` if it was released already
   */
  release(): void {
    this.#holder.release();
  }
  [Symbol.dispose](): void {
    if (this.held) this.release();
  }
  /** Does nothing: there is nothing to be marked. */
  markConsistent(): void {}
  /**
   * Makes a shared lock exclusive if nobody else has one there; false if somebody has, and then it is still shared. In one
   * step: nobody gets between. There is no form of it that waits, for two who waited for each other's shared lock to go would
   * wait for ever; release, and take an exclusive one.
   */
  tryUpgrade(): boolean {
    return this.#change('exclusive');
  }
  /** Makes an exclusive lock shared, in one step: no other exclusive lock gets between. */
  downgrade(): void {
    this.#change('shared');
  }
  #change(kind: FileLockKind): boolean {
    return this.#holder.change(kind, () => {
      this.#kind = kind;
    });
  }
}
