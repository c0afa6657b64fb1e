/** A message that is written where it will be read. */
import { checkInteger } from '../../system/arguments.js';
import { ClosedError } from '../../system/errors.js';

/**
 * Room for a message in shared memory, where it will be read. Commit it to send the message; discard it (or leave a `using` block) to send
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
  /** Its byte offset in the shared memory. */
  get offset(): number {
    return this.#offset;
  }
  /** Its length in bytes. */
  get length(): number {
    return this.#length;
  }
  /**
   * The message's bytes, in shared memory: write them, then {@link commit}, and do not write them afterwards. They hold old data at first.
   */
  get bytes(): Uint8Array {
    if (this.#buffer.byteLength === 0) throw new ClosedError('the channel of this loan');
    return (this.#bytes ??= new Uint8Array(this.#buffer, this.#offset, this.#length));
  }
  /** Sends it, or its first `length` bytes. Does nothing after {@link discard}, or the second time. */
  commit(length: number = this.#length): void {
    checkInteger('length', length, 0, this.#length);
    this.#settle(this, length);
  }
  /** Frees the room without sending anything. */
  discard(): void {
    this.#settle(this, -1);
  }
  /** Discards, unless it was committed. */
  [Symbol.dispose](): void {
    this.discard();
  }
}
