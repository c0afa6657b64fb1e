/**
 * The socket that a connection was made over, afterwards: a bell, and the proof that the peer lives.
 *
 * A byte says "look at the memory". The end of the stream says that the peer has closed, or that the kernel has closed for it: nobody
 * else can hold the other end, so its death is known at once, and from nothing else.
 */

import type { Deadline } from '../../system/deadline.js';
import { EAGAIN, EINTR, ENOBUFS, ENOMEM } from '../../system/errno.js';
import { fcntl } from '../../system/file.js';
import { constants, native } from '../../system/native.js';
import { pollOne } from '../../system/poll.js';

const { read } = native;
/** For want of memory: it passes. */
const OUT_OF_MEMORY = [ENOBUFS, ENOMEM];
const FLAGS = constants['MSG_DONTWAIT']! | constants['MSG_NOSIGNAL']!;
const stroke = new Uint8Array(1);
const POLLIN = constants['POLLIN']!;
/** Milliseconds until a peer that could not be woken is woken again. */
const RING_AGAIN_MS = 10;
/** How many strokes are taken at a time; a peer that is honest has never more than a few on their way. */
const MAX_RINGS_AT_A_TIME = 8;

export class Bell {
  readonly fd: number;
  /** The peer's end is closed. */
  ended = false;
  /** The peer has not been woken yet as it should have been. */
  #again: NodeJS.Timeout | undefined;
  readonly #room = new Uint8Array(64);

  /** @param fd this thread's: a worker that is terminated hangs up */
  constructor(fd: number) {
    this.fd = fd;
    fcntl(fd, constants['F_SETFL']!, constants['O_NONBLOCK']!);
  }
  /**
   * Wakes the peer. One that is not there any more is found out by {@link quiet}. Where the kernel has no memory for it, it is done again
   * soon, from the event loop or by {@link blockSync}; our end would wake it as well.
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
  /** Takes the strokes that have come, and sees whether the peer is still there. True: something has come. */
  quiet(): boolean {
    for (let i = 0; ; i++) {
      if (this.ended || i === MAX_RINGS_AT_A_TIME) return true;
      const count = read(this.fd, this.#room, 0, this.#room.length);
      if (count > 0 || count === EINTR) continue;
      if (count === EAGAIN) return i > 0;
      this.ended = true;
    }
  }
  /** Ends both directions at once; the descriptor stays. Who waits for it is woken. */
  hangUp(): void {
    native.shutdown(this.fd, constants['SHUT_RDWR']!);
  }
  close(): void {
    clearTimeout(this.#again);
    native.close(this.fd);
  }
}
