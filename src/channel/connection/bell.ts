/**
 * After the handshake, the socket of a connection serves as its bell, and as the proof that the peer lives.
 *
 * A byte means "check the memory". The end of the stream means that the peer has closed, or that the kernel has closed for it. No other
 * process can hold the other end, so a death is noticed at once.
 */

import type { Deadline } from '../../system/deadline.js';
import { EAGAIN, EINTR, ENOBUFS, ENOMEM } from '../../system/errno.js';
import { fcntl } from '../../system/file.js';
import { constants, native } from '../../system/native.js';
import { pollOne } from '../../system/poll.js';

const { read } = native;
/** Out of memory, which passes. */
const OUT_OF_MEMORY = [ENOBUFS, ENOMEM];
const FLAGS = constants['MSG_DONTWAIT']! | constants['MSG_NOSIGNAL']!;
const stroke = new Uint8Array(1);
const POLLIN = constants['POLLIN']!;
/** Milliseconds until a peer that could not be woken is woken again. */
const RING_AGAIN_MS = 10;
/** How many wake-up bytes are read at a time; an honest peer never has more than a few in flight. */
const MAX_RINGS_AT_A_TIME = 8;

export class Bell {
  readonly fd: number;
  /** The peer's end is closed. */
  ended = false;
  /** A wake-up of the peer failed and is still due. */
  #again: NodeJS.Timeout | undefined;
  readonly #room = new Uint8Array(64);

  /** @param fd belongs to this thread: a worker that is terminated hangs up */
  constructor(fd: number) {
    this.fd = fd;
    fcntl(fd, constants['F_SETFL']!, constants['O_NONBLOCK']!);
  }
  /**
   * Wakes the peer. {@link quiet} finds out whether it still exists. If the kernel has no memory, the wake-up is repeated soon, from the
   * event loop or by {@link blockSync}; our end would wake the peer as well.
   */
  ring(): void {
    let result: number;
    do result = native.send(this.fd, stroke, 0, 1, FLAGS);
    while (result === EINTR);
    if (OUT_OF_MEMORY.includes(result)) this.#again ??= setTimeout(() => this.#ringAgain(), RING_AGAIN_MS).unref();
    else if (result < 0 && result !== EAGAIN) this.ended = true;
  }
  /** Blocks the thread until something has come. */
  blockSync(deadline: Deadline): void {
    while (this.#again !== undefined) {
      const left = deadline.block();
      const result = native.pollOne(this.fd, POLLIN, left < 0 ? RING_AGAIN_MS : Math.min(left, RING_AGAIN_MS));
      this.#ringAgain();
      if (result > 0) return;
    }
    pollOne(this.fd, POLLIN, deadline);
  }
  #ringAgain(): void {
    clearTimeout(this.#again);
    this.#again = undefined;
    if (!this.ended) this.ring();
  }
  /** Reads the wake-up bytes that have come, and checks whether the peer still exists. True: something has come. */
  quiet(): boolean {
    for (let i = 0; ; i++) {
      if (this.ended || i === MAX_RINGS_AT_A_TIME) return true;
      const count = read(this.fd, this.#room, 0, this.#room.length);
      if (count > 0 || count === EINTR) continue;
      if (count === EAGAIN) return i > 0;
      this.ended = true;
    }
  }
  /** Ends both directions at once; the descriptor stays open. Waiters on it are woken. */
  hangUp(): void {
    native.shutdown(this.fd, constants['SHUT_RDWR']!);
  }
  close(): void {
    clearTimeout(this.#again);
    native.close(this.fd);
  }
}
