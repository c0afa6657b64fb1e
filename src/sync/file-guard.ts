/** A held file lock. */
import type { FileLockKind } from '../system/file-lock.js';
import type { Guard } from './guard.js';
import type { Range } from './range.js';

/** What the file lock does for its guard. */
interface Holder {
  held(): boolean;
  release(): void;
  /** @param changed called once it has changed, before any other request is served */
  change(kind: FileLockKind, changed: () => void): boolean;
}
/** A held lock, until you release it or close its {@link FileLock}. */
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
  /** Whether it is held shared or exclusive. */
  get kind(): FileLockKind {
    return this.#kind;
  }
  /** The first locked byte. */
  get start(): number {
    return this.#start;
  }
  /** The first byte after the range; `Infinity` if the range has no end. */
  get end(): number {
    return this.#end;
  }
  /** Always false: the kernel releases the locks of a dead process, and does not report the death. */
  get ownerDied(): false {
    return false;
  }
  /** Whether it is still locked. */
  get held(): boolean {
    return this.#holder.held();
  }
  /**
   * Releases the lock. Does nothing if its {@link FileLock} is closed.
   *
   * @throws SystemError `EPERM` if it was released already
   */
  release(): void {
    this.#holder.release();
  }
  [Symbol.dispose](): void {
    if (this.held) this.release();
  }
  /** Does nothing: a file lock has no state to mark. */
  markConsistent(): void {}
  /**
   * Makes a shared lock exclusive, in one step, if there is no other shared lock on the range. Returns false if there is one; the lock is
   * still shared then. There is no form that waits: two holders of shared locks would wait for each other for ever. Release it and acquire
   * an exclusive lock instead.
   */
  tryUpgrade(): boolean {
    return this.#change('exclusive');
  }
  /** Makes an exclusive lock shared, in one step: no other exclusive lock can get in between. */
  downgrade(): void {
    this.#change('shared');
  }
  #change(kind: FileLockKind): boolean {
    return this.#holder.change(kind, () => {
      this.#kind = kind;
    });
  }
}
