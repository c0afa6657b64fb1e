/** The reading end of a pipe or FIFO: read(2), in three blocking modes, as an iterable and as a stream. */

import type { Readable } from 'node:stream';
import { checkInteger, checkOptions, type OptionNames } from '../system/arguments.js';
import { readFresh } from '../system/buffer-pool.js';
import type { Bytes } from '../system/bytes.js';
import { type SyncWaitOptions, WAIT_OPTIONS, type WaitOptions } from '../system/deadline.js';
import { EAGAIN, EINTR } from '../system/errno.js';
import { ClosedError, SystemError } from '../system/errors.js';
import { constants } from '../system/native.js';
import { pollNow, pollOne } from '../system/poll.js';
import { End } from './end.js';
import { readableOf } from './streams.js';

/** How much one read returns. */
export interface ReadSize {
  /** The most bytes, from 1; default 65536. A read returns what is there, which is often less. */
  size?: number | undefined;
}

const READ_OPTIONS: OptionNames<ReadSize & WaitOptions> = { size: true, ...WAIT_OPTIONS };
const READ_BYTES = 65536;
const POLLIN = constants['POLLIN']!;
const POLLHUP = constants['POLLHUP']!;

/**
 * The reading end of a pipe or FIFO.
 *
 * A pipe carries bytes, not messages: one write may arrive in two reads, and two writes in one. When a writer is killed, what it had
 * written stays in the pipe; the reader gets all of it, and then the end.
 *
 * Give {@link fd} to a child before you use the end here: the first read makes it non-blocking for this process, and only a child that was
 * started before is not affected. See pipe(7).
 *
 * @example
 * ```ts
 * import { spawn } from 'node:child_process';
 * import { pipe } from 'vecino';
 *
 * const { reader, writer } = pipe();
 * spawn('echo', ['from the child'], { stdio: ['ignore', writer.fd, 'inherit'] });
 * writer.close(); // the child has it now; the end comes when the child has ended
 * for await (const bytes of reader) console.log(`${Buffer.from(bytes)}`); // from the child
 * reader.close();
 * ```
 */
export class PipeReader implements Disposable, AsyncDisposable, AsyncIterable<Bytes> {
  readonly #end: End;
  /** Whether a read of 0 bytes certainly is the end; see {@link #isEnd}. */
  #met = false;
  #stream: Readable | undefined;

  /**
   * Takes over a descriptor, which is closed with the reader: for a child that inherited one through `stdio`, or a worker that was given
   * the number.
   *
   * Makes it close-on-exec. Throws `ERR_VECINO_NOT_A_PIPE` if it is neither pipe nor FIFO, and `EBADF` if it is not open or not readable;
   * then it is left unchanged.
   */
  static fromFd(fd: number): PipeReader {
    return new PipeReader(fd);
  }
  private constructor(fd: number) {
    this.#end = new End(this, fd, 'reader');
  }
  /** The file descriptor, for `stdio` and for `fs`; throws {@link ClosedError} after close(). */
  get fd(): number {
    return this.#end.fd;
  }
  /** Whether it was closed. */
  get closed(): boolean {
    return this.#end.closed;
  }
  /** How many bytes the pipe holds before writers have to wait. */
  get capacity(): number {
    return this.#end.capacity;
  }

  /**
   * Returns the next bytes, or `null` at the end: all writers have closed and nothing is left. Waits without blocking the event loop.
   *
   * Several reads at once are served in order. A time-out (`TimeoutError`) or an abort (the signal's reason) loses no bytes: the next read
   * gets them. After the end of a FIFO a new writer may come, and then reads return its bytes.
   */
  async read(options?: ReadSize & WaitOptions): Promise<Bytes | null> {
    const end = this.#end;
    const deadline = end.deadline(options, READ_OPTIONS);
    const size = sizeOf(options);
    deadline.signal?.throwIfAborted();
    end.enter();
    if (end.waitQueue.mayTry()) {
      const bytes = this.#take(size);
      if (bytes !== undefined) return bytes;
    }
    return end.waitQueue.join(() => this.#take(size), deadline);
  }
  /** Returns what is there now: bytes, `null` at the end, `undefined` if there is nothing yet, or if earlier reads wait. */
  tryRead(options?: ReadSize): Bytes | null | undefined {
    const end = this.#end;
    const size = options === undefined ? READ_BYTES : sizeOf(options);
    if (end.live < 0) end.enter();
    return end.waitQueue.idle ? this.#take(size) : undefined;
  }
  /** As {@link read}, but blocks the thread. Reads that wait already are served first. */
  readSync(options?: ReadSize & SyncWaitOptions): Bytes | null {
    const end = this.#end;
    const deadline = end.deadline(options, READ_OPTIONS);
    const size = sizeOf(options);
    end.enter();
    end.waitQueue.finishSync(deadline);
    for (;;) {
      const bytes = this.#take(size);
      if (bytes !== undefined) return bytes;
      pollOne(end.live, POLLIN, deadline);
    }
  }
  /**
   * The bytes until the end, or until this reader is closed or detached. Leaving the loop early loses nothing and does not close the
   * reader: it does not read ahead, so what was not delivered is still in the pipe.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void, undefined> {
    for (;;) {
      let bytes: Bytes | null;
      try {
        bytes = await this.read();
      } catch (error) {
        if (error instanceof ClosedError && this.closed) return;
        throw error;
      }
      if (bytes === null) return;
      yield bytes;
    }
  }
  /**
   * Returns the reader as a Node stream, always the same one. From then on the stream owns the reader: its end, its `destroy()` and its
   * errors close the reader. Do not read in other ways as well.
   */
  toStream(): Readable {
    return (this.#stream ??= readableOf(this));
  }

  /** A pending read keeps the program running. This is the default. */
  ref(): this {
    this.#end.keepAlive.ref();
    return this;
  }
  /** A pending read, now or later, does not keep the program running. */
  unref(): this {
    this.#end.keepAlive.unref();
    return this;
  }
  /** Gives up the descriptor without closing it, and returns its number. Pending reads end with {@link ClosedError}. */
  detach(): number {
    return this.#end.detach();
  }
  /** Closes the descriptor; pending reads end with {@link ClosedError}. Writers get `EPIPE` if it was the last reading end. */
  close(): void {
    this.#end.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #take(size: number): Bytes | null | undefined {
    const fd = this.#end.live;
    for (;;) {
      const bytes = readFresh(fd, size);
      if (typeof bytes !== 'number') return bytes;
      if (bytes === EAGAIN) return undefined;
      if (bytes === 0) {
        const ended = this.#isEnd(fd);
        if (ended !== undefined) return ended ? null : undefined;
      } else if (bytes !== EINTR) throw new SystemError(bytes, 'read', { path: `fd ${fd}` });
    }
  }
  /**
   * What a read of 0 bytes means; `undefined`: read again. read(2) returns 0 at the end, and also while a FIFO that was opened without
   * waiting has had no writer yet. The two differ in POLLHUP, which the kernel reports once a writer has come and gone.
   */
  #isEnd(fd: number): boolean | undefined {
    if (this.#met || this.#end.widowed) return true;
    const events = pollNow(fd, POLLIN);
    if ((events & POLLIN) !== 0) return undefined; // a writer came between the two calls
    this.#met = (events & POLLHUP) !== 0;
    return this.#met;
  }
}

function sizeOf(options: ReadSize | undefined): number {
  const size = checkOptions('options', options, READ_OPTIONS)?.size;
  return size === undefined ? READ_BYTES : checkInteger('options.size', size, 1);
}
