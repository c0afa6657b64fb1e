/** A socket's descriptor and whether it is still open: what all parts of one socket share. */
import { ClosedError } from '../system/errors.js';
import { close } from '../system/file.js';
import { Readiness } from '../system/readiness.js';

export class Handle {
  /** -1 once closed. */
  fd: number;
  /** What it is, for people. */
  readonly kind: string;
  readonly #opened: number;
  #readiness: Readiness | undefined;

  constructor(fd: number, kind: string) {
    this.fd = fd;
    this.#opened = fd;
    this.kind = kind;
  }
  get what(): string {
    return `${this.kind} (fd ${this.#opened})`;
  }
  /** The descriptor; {@link ClosedError} if there is none any more. */
  open(): number {
    if (this.fd < 0) throw new ClosedError(this.what);
    return this.fd;
  }
  /** Made when something must wait for the first time. */
  get readiness(): Readiness {
    return (this.#readiness ??= new Readiness(this.open(), this.what));
  }
  /** Gives the descriptor away, open. */
  release(): void {
    this.#readiness?.close();
    this.fd = -1;
  }
  /** False if it was closed before. Ends what waits. */
  close(): boolean {
    const fd = this.fd;
    if (fd < 0) return false;
    this.fd = -1;
    this.#readiness?.close();
    close(fd);
    return true;
  }
}
