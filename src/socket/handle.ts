/** A socket's descriptor and whether it is still open, shared by all parts of one socket. It ends with its thread at the latest. */
import { closed, type Remains, whenDropped } from '../system/dropped.js';
import { ClosedError } from '../system/errors.js';
import { close } from '../system/file.js';
import { KeepAlive } from '../system/keep-alive.js';
import { own, owns } from '../system/owned-descriptor.js';
import { Readiness } from '../system/readiness.js';
import type { WaitQueue } from '../system/wait-queue.js';
import type { RightsHolder } from './message.js';
import type { UnixName } from './unix-name.js';

export class Handle implements Remains {
  /** -1 once closed. */
  fd: number;
  /** The kind of socket, for messages. */
  readonly kind: string;
  readonly instead = ', or call detach() to keep only the descriptor';
  /** Whether pending waits keep the program running. */
  readonly keepAlive: KeepAlive = new KeepAlive();
  /** The queues that end with it. Nothing here refers to the socket itself, or it could not be collected. */
  reading: WaitQueue | undefined;
  writing: WaitQueue | undefined;
  held: RightsHolder | undefined;
  name: UnixName | undefined;
  readonly #opened: number;
  readonly #serial: number;
  #readiness: Readiness | undefined;

  constructor(fd: number, kind: string) {
    this.fd = fd;
    this.#opened = fd;
    this.#serial = own(fd);
    this.kind = kind;
  }
  /** It is closed when `owner` is dropped. */
  belongTo(owner: object): void {
    whenDropped(owner, this);
  }
  get what(): string {
    return `${this.kind} (fd ${this.#opened})`;
  }
  /** The descriptor; throws {@link ClosedError} if it is closed. */
  open(): number {
    if (this.fd < 0) throw new ClosedError(this.what);
    return this.fd;
  }
  /** Created by the first call that must wait. */
  get readiness(): Readiness {
    return (this.#readiness ??= new Readiness(this.open(), this.what, this.keepAlive));
  }
  /** Ends the waits. The descriptor stays open and belongs to this thread. */
  detach(): number {
    const fd = this.open();
    this.#end();
    return fd;
  }
  #end(): void {
    closed(this);
    this.fd = -1;
    this.reading?.close();
    this.writing?.close();
    this.held?.close();
    this.#readiness?.close();
  }
  /** Idempotent. Removes the name while the socket is still open, so that no other process takes it over meanwhile. */
  close(): void {
    if (this.fd < 0) return;
    this.name?.remove();
    this.#end();
    close(this.#opened);
  }
  /** As {@link close}, unless other code closed the number and it names something else now. */
  abandon(): boolean {
    if (this.fd < 0) return false;
    const ours = owns(this.#opened, this.#serial);
    if (ours) this.close();
    else this.#end();
    return ours;
  }
}
