/** A message that is written where it will be read. */
import { checkInteger } from '../../system/arguments.js';
import { ClosedError } from '../../system/errors.js';

/**
 * A message that is written in shared memory, where it will be read: commit it to send it, discard it (or leave `using`) to send
 * nothing.
 */
export class Loan implements Disposable {
  readonly #offset: number;
  readonly #length: number;
  readonly #buffer: ArrayBuffer;
  readonly #settle: (loan: Loan, length: number) => void;
  #bytes: Uint8Array | undefined;

  /** @internal */
  constructor(buffer: ArrayBuffer, offset: number, length: number, settle: (loan: Loan, length: number) => void) {
    this.#buffer = buffer;
    this.#offset = offset;
    this.#length = length;
    this.#settle = settle;
  }
  /** Where it lies: a byte offset in the shared memory. */
  get offset(): number {
    return this.#offset;
  }
  /** How long it is. */
  get length(): number {
    return this.#length;
  }
  /** The message's bytes, in shared memory: write them, then {@link commit}, and write them no more. They hold what was there before. */
  get bytes(): Uint8Array {
    if (this.#buffer.byteLength === 0) throw new ClosedError('the channel of this loan');
    return (this.#bytes ??= new Uint8Array(this.#buffer, this.#offset, this.#length));
  }
  /** Sends it, or the first `length` bytes of it. Does nothing after {@link discard} or a second time. */
  commit(length: number = this.#length): void {
    checkInteger('length', length, 0, this.#length);
    this.#settle(this, length);
  }
  /** Gives the room back; nobody has seen anything. */
  discard(): void {
    this.#settle(this, -1);
  }
  /** Discards, unless it was committed. */
  [Symbol.dispose](): void {
    this.discard();
  }
}
