/**
 * The socket that a connection was made over, afterwards: a bell, and the proof that the peer lives.
 *
 * A byte says "look at the memory". The end of the stream says that the peer has closed, or that the kernel has closed for it: nobody
 * else can hold the other end, so its death is known at once, and from nothing else.
 */
import { errno } from '../../system/errors.js';
import { fcntl } from '../../system/file.js';
import { constants, native } from '../../system/native.js';

const { read, send } = native;
const EAGAIN = -errno['EAGAIN']!;
const EINTR = -errno['EINTR']!;
const FLAGS = constants['MSG_DONTWAIT']! | constants['MSG_NOSIGNAL']!;
const stroke = new Uint8Array(1);
/** How many strokes are taken at a time; a peer that is honest has never more than a few on their way. */
const MOST = 8;

export class Bell {
  readonly fd: number;
  /** The peer's end is closed. */
  ended = false;
  readonly #room = new Uint8Array(64);

  /** @param fd this thread's: a worker that is terminated hangs up */
  constructor(fd: number) {
    this.fd = fd;
    fcntl(fd, constants['F_SETFL']!, constants['O_NONBLOCK']!);
  }
  /** Wakes the peer. One that is not there any more is found out by {@link quiet}. */
  ring(): void {
    let result: number;
    do result = send(this.fd, stroke, 0, 1, FLAGS);
    while (result === EINTR);
    if (result < 0 && result !== EAGAIN) this.ended = true;
  }
  /** Takes the strokes that have come, and sees whether the peer is still there. True: something has come. */
  quiet(): boolean {
    for (let i = 0; ; i++) {
      if (this.ended || i === MOST) return true;
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
    native.close(this.fd);
  }
}
