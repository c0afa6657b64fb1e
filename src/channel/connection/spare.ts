/**
 * A descriptor that a listener keeps for the moment when there is no other one.
 *
 * A connection needs one permanently, its socket, and a second one until its memory is mapped and passed on. If sockets took the last
 * descriptors of the process, no connection could ever be completed.
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
  /** Calls `use` while one more descriptor is available. */
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
      // The next call that needs it tries again.
    }
  }
  #release(): void {
    if (this.#fd >= 0) close(this.#fd);
    this.#fd = -1;
  }
}
