/** The result of a receive, and the owner of its descriptors. */
import type { Bytes } from '../system/bytes.js';
import { ClosedError } from '../system/errors.js';
import { close } from '../system/file.js';
import { MAX_DESCRIPTORS } from '../system/socket.js';

/** Descriptors that arrived and were not read yet. */
class Rights {
  #fds: number[];
  #state: 'held' | 'taken' | 'closed' = 'held';
  readonly #holder: RightsHolder;
  constructor(fds: number[], holder: RightsHolder) {
    this.#fds = fds;
    this.#holder = holder;
  }
  get count(): number {
    return this.#fds.length;
  }
  take(): number[] {
    if (this.#state === 'closed') {
      throw new ClosedError(
        `this message was disposed of, its socket closed, or ${MAX_DESCRIPTORS} later descriptors received before its \`descriptors\` were read: their set`,
      );
    }
    if (this.#state === 'held') this.#holder.release(this);
    this.#state = 'taken';
    return this.#fds;
  }
  close(): void {
    if (this.#state !== 'held') return;
    this.#state = 'closed';
    this.#holder.release(this);
    for (const fd of this.#fds) close(fd);
    this.#fds = [];
  }
}
/** The unread descriptors of one socket: a bounded number, so that a peer cannot exhaust the process's descriptors. */
export class RightsHolder {
  readonly #held = new Set<Rights>();
  #count = 0;
  hold(fds: number[]): Rights {
    const rights = new Rights(fds, this);
    this.#held.add(rights);
    this.#count += fds.length;
    for (const oldest of this.#held) {
      if (this.#count <= MAX_DESCRIPTORS) break;
      oldest.close();
    }
    return rights;
  }
  release(rights: Rights): void {
    if (this.#held.delete(rights)) this.#count -= rights.count;
  }
  close(): void {
    for (const rights of this.#held) rights.close();
  }
}

/**
 * A received message: on a stream the bytes that were there, on a seqpacket or datagram socket one whole message.
 *
 * Once you read `descriptors`, they are yours to close. Unread descriptors are closed by `[Symbol.dispose]()` (`using message = …`), at the
 * next turn of a `for await` loop over the socket, when the socket closes, and, the oldest first, as soon as a socket holds more than 253
 * of them. Reading them after that throws {@link ClosedError}.
 */
export class SocketMessage implements Disposable {
  /** Yours to keep; nothing is written to them later. */
  readonly bytes: Bytes;
  /** Close-on-exec; at most 253. */
  declare readonly descriptors: number[];
  /** Datagrams only: the sender's path or `@name`, if it has one. */
  declare readonly from?: string;

  /** @internal `rights`: `descriptors` is left out, a getter takes its place */
  constructor(bytes: Bytes, rights = false) {
    this.bytes = bytes;
    if (!rights) this.descriptors = [];
  }
  /** Closes the descriptors, unless you have read `descriptors`: then they are yours. */
  [Symbol.dispose](): void {}
}
class MessageWithRights extends SocketMessage {
  readonly #rights: Rights;
  constructor(bytes: Bytes, rights: Rights) {
    super(bytes, true);
    this.#rights = rights;
    Object.defineProperty(this, 'descriptors', { get: () => rights.take(), enumerable: true });
  }
  override [Symbol.dispose](): void {
    this.#rights.close();
  }
}
/** A message that has more than bytes. */
export function messageWith(bytes: Bytes, rights: Rights | undefined, from: string | undefined): SocketMessage {
  const message = rights === undefined ? new SocketMessage(bytes) : new MessageWithRights(bytes, rights);
  return from === undefined ? message : Object.assign(message, { from });
}
