/**
 * Processes that have connected to a listener and have not sent their request yet.
 *
 * A silent process holds a descriptor, so their number is limited; and no other process may have to wait for them. Beyond the limit, the
 * one that has been silent for longest is dropped, if it had {@link GRACE_MS} to send. An honest process that was too slow (it was stopped,
 * say) notices that its request was not read, and connects again: see connect.ts.
 */
import type { UnixSocket } from '../../socket/index.js';
import { constants } from '../../system/native.js';
import { pollNow } from '../../system/poll.js';

/** How many may be silent at the same time. */
export const MAX_SILENT = 128;
/** How long one may be silent, if there is room for it. */
export const MAX_SILENCE_MS = 5000;
/** How long each may be silent, in any case. */
export const GRACE_MS = 20;
const POLLIN = constants['POLLIN']!;

export class Strangers {
  /** When each connected. The oldest comes first. */
  readonly #silent = new Map<UnixSocket, number>();

  get tooMany(): boolean {
    return this.#silent.size > MAX_SILENT;
  }
  add(socket: UnixSocket): void {
    this.#silent.set(socket, performance.now());
  }
  /** It has sent its request, or has left. */
  delete(socket: UnixSocket): void {
    this.#silent.delete(socket);
  }
  /** Drops processes that exceed the limit. Returns the milliseconds until the next one has had its grace; 0: there is room. */
  makeRoom(): number {
    while (this.tooMany) {
      const oldest = this.#oldest();
      if (oldest === undefined) break;
      const [socket, since] = oldest;
      const left = since + GRACE_MS - performance.now();
      if (left > 0) return left;
      this.#dismiss(socket);
    }
    return 0;
  }
  /** Drops the oldest, to free its descriptor. False: there is none. */
  dismissOldest(): boolean {
    const oldest = this.#oldest();
    if (oldest !== undefined) this.#dismiss(oldest[0]);
    return oldest !== undefined;
  }
  /** The oldest that has really sent nothing: its data may have come and not been read yet. */
  #oldest(): [UnixSocket, number] | undefined {
    for (const entry of this.#silent) {
      if (!entry[0].closed && pollNow(entry[0].fd, POLLIN) === 0) return entry;
      this.#silent.delete(entry[0]);
    }
    return undefined;
  }
  #dismiss(socket: UnixSocket): void {
    this.#silent.delete(socket);
    socket.close();
  }
}
