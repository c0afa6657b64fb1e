/** The end of a pipe or FIFO that is written: write(2), in three voices and as a stream. */

import type { Writable } from 'node:stream';
import { checkBytes } from '../system/arguments.js';
import type { SyncWaitOptions, WaitOptions } from '../system/deadline.js';
import { EAGAIN, EINTR, EINVAL, EPIPE } from '../system/errno.js';
import { SystemError } from '../system/errors.js';
import { constants, native } from '../system/native.js';
import { pollOne } from '../system/poll.js';
import { End } from './end.js';
import { writableOf } from './streams.js';

const { write, writeWhole } = native;
const POLLOUT = constants['POLLOUT']!;
/** At most so many bytes in one go: a reader that keeps up must not keep the writer from its event loop. */
const MAX_BYTES_AT_A_TIME = 1024 * 1024;

/** What the error of a failed write tells: how much of it is in the pipe all the same. */
export interface PartialWrite {
  /** Bytes of this write that are in the pipe. */
  bytesWritten: number;
}

/**
 * The writing end of a pipe or FIFO.
 *
 * Up to `PIPE_BUF` bytes (4096) are written whole or not at all, also when several processes write; of more, a part may be in the
 * pipe when the write fails, and bytes of other processes may come between. The error tells how much, as `bytesWritten`.
 *
 * When nobody has the reading end any more, a write fails with `EPIPE`, a {@link SystemError}; the program goes on (Node ignores
 * SIGPIPE). What nobody had read by then is lost, except in a FIFO that somebody opens for reading before its last writer closes.
 *
 * Give {@link fd} to a child before the end is used here, and close it then: the reader sees the end only when all writers are
 * closed. See pipe(7).
 *
 * @example
 * ```ts
 * import { spawn } from 'node:child_process';
 * import { pipe } from 'vecino';
 *
 * const { reader, writer } = pipe();
 * spawn('cat', { stdio: [reader.fd, 'inherit', 'inherit'] });
 * reader.close(); // the child has it now
 * await writer.write(Buffer.from('to the child\n'));
 * writer.close(); // the child's end of input
 * ```
 */
export class PipeWriter implements Disposable, AsyncDisposable {
  readonly #end: End;
  #stream: Writable | undefined;

  /**
   * Takes over a descriptor, which will be closed with the writer: for a child that inherited one through `stdio`, or a worker
   * that was told the number.
   *
   * It is made close-on-exec. Fails with `ERR_VECINO_NOT_A_PIPE` if it is neither pipe nor FIFO, and with `EBADF` if it is not
   * open or cannot be written; then it is left as it was.
   */
  static fromFd(fd: number): PipeWriter {
    return new PipeWriter(fd);
  }
  private constructor(fd: number) {
    this.#end = new End(this, fd, 'writer');
  }
  /** The descriptor, for `stdio` and for `fs`; `ClosedError` after close(). */
  get fd(): number {
    return this.#end.fd;
  }
  /** Whether it was closed. */
  get closed(): boolean {
    return this.#end.closed;
  }
  /** How many bytes the pipe holds before writes have to wait. */
  get capacity(): number {
    return this.#end.capacity;
  }

  /**
   * Writes all of `bytes`; waits in the event loop while the pipe is full. Do not change `bytes` until then.
   *
   * Several writes at once are done one after the other, in the order they were asked. When a write fails, by a time-out, an abort
   * or the kernel, the error has `bytesWritten` ({@link PartialWrite}); the reason of an abort gets it only if it is not 0,
   * since the reason is yours and may be that of many operations.
   */
  async write(bytes: Uint8Array, options?: WaitOptions): Promise<void> {
    const end = this.#end;
    const deadline = end.deadline(options);
    const job = new Job(bytes);
    deadline.signal?.throwIfAborted();
    end.enter();
    try {
      if (end.waitQueue.mayTry() && job.advance(end.live)) return;
      await end.waitQueue.join(() => job.advance(end.live) || undefined, deadline);
    } catch (error) {
      throw job.partly(error, deadline.signal);
    }
  }
  /**
   * Writes what the pipe takes now, and tells how many bytes that was: 0 when it is full, or when writes that wait come first.
   * Up to 4096 bytes are taken whole or not at all.
   */
  tryWrite(bytes: Uint8Array): number {
    if (!(bytes instanceof Uint8Array)) checkBytes('bytes', bytes);
    const end = this.#end;
    if (end.live < 0) end.enter();
    if (!end.waitQueue.idle) return 0;
    const count = writeWhole(end.live, bytes);
    return count > 0 ? count : this.#nothing(count, bytes);
  }
  /** As {@link write}, blocking the thread. Writes that wait already are done first. */
  writeSync(bytes: Uint8Array, options?: SyncWaitOptions): void {
    const end = this.#end;
    const deadline = end.deadline(options);
    const job = new Job(bytes);
    end.enter();
    try {
      end.waitQueue.finishSync(deadline);
      while (!job.advance(end.live)) pollOne(end.live, POLLOUT, deadline);
    } catch (error) {
      throw job.partly(error);
    }
  }
  /**
   * The writer as a Node stream, always the same one. The writer is the stream's from then on: `end()` closes it when everything
   * is written, `destroy()` and errors at once; `EPIPE` comes as an `'error'` event. Do not write by other means as well.
   */
  toStream(): Writable {
    return (this.#stream ??= writableOf(this));
  }

  /** A write that waits keeps the program running: so it is unless {@link unref} was called. */
  ref(): this {
    this.#end.keepAlive.ref();
    return this;
  }
  /** A write that waits, now or later, does not keep the program running. */
  unref(): this {
    this.#end.keepAlive.unref();
    return this;
  }
  /** Gives up the descriptor without closing it, and tells its number. Writes that wait end with `ClosedError`. */
  detach(): number {
    return this.#end.detach();
  }
  /** Closes the descriptor; writes that wait end with `ClosedError`. Readers get the end if it was the last writing end. */
  close(): void {
    this.#end.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** The rare answers of write(2) to tryWrite(). */
  #nothing(count: number, bytes: Uint8Array): number {
    if (count === EAGAIN) return 0;
    checkBytes('bytes', bytes);
    if (count === 0) return 0;
    if (count === EINTR) return this.tryWrite(bytes);
    throw refusal(count, this.#end.live);
  }
}

/** One write that may take several calls. */
class Job {
  readonly #bytes: Uint8Array;
  readonly #length: number;
  #done = 0;
  constructor(bytes: unknown) {
    // A view of our own: what a subclass answers when it is asked for its length is not to be relied on.
    const { buffer, byteOffset, byteLength } = checkBytes('bytes', bytes);
    this.#bytes = new Uint8Array(buffer, byteOffset, byteLength);
    this.#length = byteLength;
  }
  /** Writes on; whether all is written now. If not, the pipe is full, or the event loop should have its turn. */
  advance(fd: number): boolean {
    const stop = this.#done + MAX_BYTES_AT_A_TIME;
    while (this.#done < this.#length) {
      if (this.#done >= stop) return false;
      const count = write(fd, this.#bytes, this.#done, this.#length - this.#done);
      if (count === EAGAIN) return false;
      if (count === EINVAL) checkBytes('bytes', this.#bytes); // its buffer was detached or shrunk while it waited
      if (count >= 0) this.#done += count;
      else if (count !== EINTR) throw refusal(count, fd);
    }
    return true;
  }
  /** The error, with how much was written; see {@link PipeWriter.write}. */
  partly(error: unknown, signal?: AbortSignal): unknown {
    const ours = !(signal?.aborted && error === signal.reason);
    if (typeof error !== 'object' || error === null || (!ours && this.#done === 0)) return error;
    try {
      Object.assign(error, { bytesWritten: this.#done } satisfies PartialWrite);
    } catch {
      // A reason that is frozen.
    }
    return error;
  }
}

function refusal(result: number, fd: number): SystemError {
  const path = `fd ${fd}`;
  if (result !== EPIPE) return new SystemError(result, 'write', { path });
  return new SystemError(result, 'write', { path, hint: 'No process has the reading end open; close this end' });
}
