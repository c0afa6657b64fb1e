/** A socket's descriptor and whether it is still open: what all parts of one socket share. It ends with its thread at the latest. */
import { ClosedError, check } from '../system/errors.js';
import type { Line } from '../system/line.js';
import { hold, isStillOwned, letGo, type OwnedDescriptor, release } from '../system/owned-descriptor.js';
import { Readiness } from '../system/readiness.js';
import type { RightsHolder } from './message.js';
import type { UnixName } from './unix-name.js';

/**
 * A socket that is dropped without close() would keep its peer waiting for ever. It is closed, and the program told, since nobody
 * can know when that happens.
 */
const forgotten = new FinalizationRegistry((handle: Handle) => {
  const { what } = handle;
  if (!handle.abandon()) return;
  process.emitWarning(`A ${what} was dropped without close()`, {
    code: 'VECINO_NOT_CLOSED',
    detail: 'It has been closed now. Use close(), `using`, or detach() if only the descriptor is still needed.',
  });
});

export class Handle {
  /** -1 once closed. */
  fd: number;
  /** What it is, for people. */
  readonly kind: string;
  /** What ends with it. Nothing here leads to the socket itself, which could not be dropped then. */
  reading: Line | undefined;
  writing: Line | undefined;
  held: RightsHolder | undefined;
  name: UnixName | undefined;
  readonly #opened: number;
  readonly #owner: OwnedDescriptor;
  #readiness: Readiness | undefined;

  constructor(fd: number, kind: string) {
    this.fd = fd;
    this.#opened = fd;
    this.#owner = hold(fd);
    this.kind = kind;
  }
  /** It is closed when `owner` is dropped. */
  belongTo(owner: object): void {
    forgotten.register(owner, this, this);
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
  /** Ends what waits, and gives the descriptor away, open. */
  detach(): number {
    const fd = this.open();
    this.#end();
    release(this.#owner);
    return fd;
  }
  #end(): void {
    forgotten.unregister(this);
    this.fd = -1;
    this.reading?.close();
    this.writing?.close();
    this.held?.close();
    this.#readiness?.close();
  }
  /** Idempotent. Removes the name while the socket is still there: nobody takes it over meanwhile. */
  close(): void {
    if (this.fd < 0) return;
    this.name?.remove();
    this.#end();
    check(letGo(this.#owner), 'close', { path: `fd ${this.#opened}` });
  }
  /** As {@link close}, unless the number was closed behind our back and names something else by now. */
  abandon(): boolean {
    if (this.fd < 0) return false;
    const ours = isStillOwned(this.#owner);
    if (ours) this.close();
    else this.detach();
    return ours;
  }
}
