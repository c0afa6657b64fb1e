/** The writing end of a pipe or FIFO: write(2), in three blocking modes and as a stream. */

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
/** The most bytes in one go: a fast reader must not keep the writer from its event loop. */
const MAX_BYTES_AT_A_TIME = 1024 * 1024;

/** On the error of a failed write: how much of it is in the pipe all the same. */
export interface PartialWrite {
  /** Bytes of this write that are in the pipe. */
  bytesWritten: number;
}

/**
 * The writing end of a pipe or FIFO.
 *
 * Up to `PIPE_BUF` bytes (4096) are written completely or not at all, also when several processes write. Of a larger write, a part may be
 * in the pipe when it fails, and bytes of other processes may come in between. `bytesWritten` of the error says how much.
 *
 * When no process has the reading end open any more, a write fails with `EPIPE`, a {@link SystemError}; the program continues (Node ignores
 * SIGPIPE). Bytes that were not read by then are lost, except in a FIFO that another process opens for reading before its last writer
 * closes.
 *
 * Give {@link fd} to a child before you use the end here, and then close it: the reader sees the end only when all writers are closed. See
 * pipe(7).
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
   * Takes over a descriptor, which is closed with the writer: for a child that inherited one through `stdio`, or a worker that was given
   * the number.
   *
   * Makes it close-on-exec. Throws `ERR_VECINO_NOT_A_PIPE` if it is neither pipe nor FIFO, and `EBADF` if it is not open or not writable;
   * then it is left unchanged.
   */
  static fromFd(fd: number): PipeWriter {
    return new PipeWriter(fd);
  }
  private constructor(fd: number) {
    this.#end = new End(this, fd, 'writer');
  }
  /** The file descriptor, for `stdio` and for `fs`; throws `ClosedError` after close(). */
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
   * Writes all of `bytes`; waits without blocking the event loop while the pipe is full. Do not change `bytes` until then.
   *
   * Several writes at once are done one after the other, in order. When a write fails, because of a time-out, an abort or the kernel, the
   * error has `bytesWritten` ({@link PartialWrite}). The reason of an abort gets it only if it is not 0, because the reason is yours and
   * may belong to many operations.
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
   * Writes what the pipe takes now, and returns that number of bytes: 0 if it is full, or if earlier writes wait. Up to 4096 bytes are
   * taken completely or not at all.
   */
  tryWrite(bytes: Uint8Array): number {
    if (!(bytes instanceof Uint8Array)) checkBytes('bytes', bytes);
    const end = this.#end;
    if (end.live < 0) end.enter();
    if (!end.waitQueue.idle) return 0;
    const count = writeWhole(end.live, bytes);
    return count > 0 ? count : this.#nothing(count, bytes);
  }
  /** As {@link write}, but blocks the thread. Writes that wait already are done first. */
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
   * Returns the writer as a Node stream, always the same one. From then on the stream owns the writer: `end()` closes it when everything is
   * written, `destroy()` and errors at once; `EPIPE` comes as an `'error'` event. Do not write in other ways as well.
   */
  toStream(): Writable {
    return (this.#stream ??= writableOf(this));
  }

  /** A pending write keeps the program running. This is the default. */
  ref(): this {
    this.#end.keepAlive.ref();
    return this;
  }
  /** A pending write, now or later, does not keep the program running. */
  unref(): this {
    this.#end.keepAlive.unref();
    return this;
  }
  /** Gives up the descriptor without closing it, and returns its number. Pending writes end with `ClosedError`. */
  detach(): number {
    return this.#end.detach();
  }
  /** Closes the descriptor; pending writes end with `ClosedError`. Readers get the end if it was the last writing end. */
  close(): void {
    this.#end.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** Handles the rare results of write(2) in tryWrite(). */
  #nothing(count: number, bytes: Uint8Array): number {
    if (count === EAGAIN) return 0;
    checkBytes('bytes', bytes);
    if (count === 0) return 0;
    if (count === EINTR) return this.tryWrite(bytes);
    throw refusal(count, this.#end.live);
  }
}

/** One write, which may take several calls. */
class Job {
  readonly #bytes: Uint8Array;
  readonly #length: number;
  #done = 0;
  constructor(bytes: unknown) {
    // A view of our own: a subclass may override its length.
    const { buffer, byteOffset, byteLength } = checkBytes('bytes', bytes);
    this.#bytes = new Uint8Array(buffer, byteOffset, byteLength);
    this.#length = byteLength;
  }
  /** Continues to write; whether all is written now. If not, the pipe is full, or the event loop should have its turn. */
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
  /** Adds to the error how much was written; see {@link PipeWriter.write}. */
  partly(error: unknown, signal?: AbortSignal): unknown {
    const ours = !(signal?.aborted && error === signal.reason);
    if (typeof error !== 'object' || error === null || (!ours && this.#done === 0)) return error;
    try {
      Object.assign(error, { bytesWritten: this.#done } satisfies PartialWrite);
    } catch {
      // The reason is frozen.
    }
    return error;
  }
}

function refusal(result: number, fd: number): SystemError {
  const path = `fd ${fd}`;
  if (result !== EPIPE) return new SystemError(result, 'write', { path });
  return new SystemError(result, 'write', { path, hint: 'No process has the reading end open; close this end' });
}
