/**
 * A descriptor that a listener keeps for the moment in which there is no other one.
 *
 * A connection needs one for good, its socket, and a second one until its memory is mapped and handed over. Were the last ones
 * of the process taken by sockets, none of them could ever be served.
 */
import { close, open } from '../../system/file.js';
import { constants } from '../../system/native.js';

export class SpareDescriptor {
  #fd = -1;
  #closed = false;

  /** Whether it is there; tries to get it if it is not. */
  take(): boolean {
    if (this.#fd < 0) this.#restore();
    return this.#fd >= 0;
  }
  /** Calls `use` while there is one more descriptor to be had. */
  lend<T>(use: () => T): T {
    this.#release();
    try {
      return use();
    } finally {
      this.#restore();
    }
  }
  close(): void {
    this.#closed = true;
    this.#release();
  }
  #restore(): void {
    if (this.#closed) return;
    try {
      this.#fd = open('/dev/null', constants['O_RDONLY']!);
    } catch {
      // The next who needs it tries again.
    }
  }
  #release(): void {
    if (this.#fd >= 0) close(this.#fd);
    this.#fd = -1;
  }
}
