/**
 * Those who have connected to a listener and have not said yet what they want.
 *
 * Whoever says nothing takes a descriptor, so there is a limit; and nobody who speaks may have to wait for those who do not. Beyond the
 * limit the one that has been silent for longest is sent away, if it had {@link GRACE_MS} to speak. An honest one that was too slow
 * for that (its process was stopped, say) finds out that it was not heard, and connects again: see connect.ts.
 */
import type { UnixSocket } from '../../socket/index.js';
import { constants } from '../../system/native.js';
import { pollNow } from '../../system/poll.js';

/** How many may be silent at a time. */
export const MAX_SILENT = 128;
/** How long one may be silent, if there is room for it. */
export const MAX_SILENCE_MS = 5000;
/** How long each may be silent, however many there are. */
export const GRACE_MS = 20;
const POLLIN = constants['POLLIN']!;

export class Strangers {
  /** When each came. The oldest stands first. */
  readonly #silent = new Map<UnixSocket, number>();

  get tooMany(): boolean {
    return this.#silent.size > MAX_SILENT;
  }
  add(socket: UnixSocket): void {
    this.#silent.set(socket, performance.now());
  }
  /** It has spoken, or has left. */
  delete(socket: UnixSocket): void {
    this.#silent.delete(socket);
  }
  /** Sends away whom there is no room for; the milliseconds until the next of them has had its grace, 0: there is room. */
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
  /** Sends the oldest away, for want of descriptors. False: there is none. */
  dismissOldest(): boolean {
    const oldest = this.#oldest();
    if (oldest !== undefined) this.#dismiss(oldest[0]);
    return oldest !== undefined;
  }
  /** The oldest that has really said nothing: what has come may not have been looked at yet. */
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
