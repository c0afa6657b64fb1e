/**
 * The receiving half of a connection: records to values, in three blocking modes.
 *
 * Guarantee: what the peer has committed is delivered, whole and in order, also after its death; after that a receive fails. Record bounds
 * are checked before records are read (ring/consumer.ts), and fragments must make exactly the announced message.
 */

import type { RingConsumer } from '../../lock-free/ring/consumer.js';
import { FIRST_FRAGMENT, MESSAGE, RECORD_HEADER } from '../../lock-free/ring/layout.js';
import { checkInteger } from '../../system/arguments.js';
import { Deadline, type SyncWaitOptions, type WaitOptions } from '../../system/deadline.js';
import { ClosedError, CorruptError, IpcError, invalidArgument } from '../../system/errors.js';
import { commitTime, type Spin } from '../../system/spin.js';
import { type Task, WaitQueue } from '../../system/wait-queue.js';
import { taskInContext } from '../codec/context.js';
import type { Decoder } from '../codec/index.js';
import type { Statistics } from '../directory/statistics.js';
import type { Source } from '../loop.js';
import { CopyAhead } from './copy-ahead.js';
import { FragmentAssembler } from './fragment-assembler.js';
import type { Link } from './link.js';

/** A caller that only polls asks the kernel about the peer once in so many misses. */
const MISSES_PER_PEER_CHECK = 4096;

/** Gets a message in place: `length` bytes from `offset` of `memory`, which belong to the sender again when it returns. */
export type Visit = (memory: Uint8Array, offset: number, length: number) => void;

function checkLimit(limit: unknown): void {
  if (limit !== Number.POSITIVE_INFINITY) checkInteger('limit', limit, 0);
}

export class Receiver<T> implements Source<T> {
  readonly waitQueue: WaitQueue;
  messages = 0;
  bytes = 0;
  statistics: Statistics | undefined;
  readonly #link: Link;
  readonly #ring: RingConsumer;
  readonly #coder: Decoder<T>;
  readonly #decoder: CopyAhead<T>;
  readonly spin: Spin;
  readonly #ready: () => boolean;
  readonly #fragments: FragmentAssembler;
  #draining = false;
  /** The last poll found more fragments, given up by their sender, than the ring holds; repeat it, but not at once. */
  #cut = false;
  /** Released room will be published in the next turn of the event loop. */
  #publication: NodeJS.Immediate | undefined;
  /** The number of empty polls. */
  #misses = 0;

  constructor(link: Link, coder: Decoder<T>, spin: Spin) {
    this.#link = link;
    this.#ring = link.in;
    this.#fragments = new FragmentAssembler(link.in, link.terms.takes);
    this.#coder = coder;
    this.#decoder = new CopyAhead(coder, link.in);
    this.spin = spin;
    this.#ready = () => link.in.ready;
    this.waitQueue = new WaitQueue(link.bell.fd, link.what, 'readable', link.keepAlive);
    link.waitQueues.push(this.waitQueue);
  }

  /** Undefined: nothing yet. Throws at the end. */
  tryReceive(): T | undefined {
    this.#use();
    if (!this.waitQueue.idle) return undefined;
    const value = this.#take();
    if (value !== undefined || !this.#isOver()) return value;
    return this.#takeLast();
  }
  resultNow(): IteratorResult<T, undefined> | undefined {
    this.#use();
    const value = this.waitQueue.mayTry() ? this.#take(true) : undefined;
    return value === undefined ? undefined : { done: false, value };
  }
  endsLoop(error: unknown): boolean {
    return error instanceof ClosedError;
  }
  async receive(options?: WaitOptions): Promise<T> {
    const deadline = options === undefined ? undefined : new Deadline(`receive over ${this.#link.what}`, options);
    deadline?.signal?.throwIfAborted();
    this.#use();
    if (this.waitQueue.mayTry()) {
      const value = this.#attemptAfresh();
      if (value !== undefined) return value;
    }
    return this.waitQueue.join(taskInContext(this.#coder, this.#task), deadline);
  }
  /** As {@link receive}, for a caller that has spun already. */
  async receiveAsleep(): Promise<T> {
    this.#use();
    const value = this.waitQueue.mayTry() ? this.#attempt() : undefined;
    return value === undefined ? this.waitQueue.join(taskInContext(this.#coder, { attempt: this.#attempt })) : value;
  }
  receiveSync(options?: SyncWaitOptions): T {
    const deadline = new Deadline(`receive over ${this.#link.what}`, options);
    this.#use();
    this.waitQueue.finishSync(deadline, () => this.#link.bell.blockSync(deadline));
    for (;;) {
      let value = this.#take();
      if (value !== undefined) this.spin.woken(this.#ring.recordTime);
      else if (this.spin.until(this.#ready)) value = this.#take();
      if (value === undefined) value = this.#attempt(); // it may have been a fragment: announce the sleep
      if (value !== undefined) return value;
      if (!this.#cut) this.#link.bell.blockSync(deadline);
      else if (deadline.expired) throw deadline.error();
    }
  }
  drain(visit: Visit, limit = Number.POSITIVE_INFINITY): number {
    if (typeof visit !== 'function') throw invalidArgument('ERR_INVALID_ARG_TYPE', 'visit', 'a function', visit);
    // The fast path first: a caller that polls all the time would notice the call.
    if (typeof limit !== 'number' || (limit | 0) !== limit || limit < 0) checkLimit(limit);
    if (this.#link.broken || this.#draining) this.#use();
    if (!this.waitQueue.idle) return 0;
    let count = this.#hand(visit, limit);
    if (count === 0 && limit > 0 && this.#isOver()) {
      count = this.#hand(visit, limit); // what was committed before the end
      if (count === 0) throw this.#link.gone(this.#ring.producerClosed);
    }
    return count;
  }
  #hand(visit: Visit, limit: number): number {
    const ring = this.#ring;
    if (!ring.ready) {
      this.#publish();
      return 0;
    }
    let count = 0;
    // At first there is no more than this in the ring. A sender that is as fast as we are would keep us here for ever.
    let left = ring.capacity;
    // Room is published when it is due, when a poll finds nothing more, and if the visitor throws. Not after a single message: the next
    // poll does it, while the answer is being sent.
    let giveBack = true;
    this.#draining = true;
    try {
      while (count < limit && left > 0) {
        const offset = ring.next();
        if (offset < 0) return count;
        const { length, kind } = ring;
        const due = ring.release();
        left -= length + RECORD_HEADER;
        if (kind === MESSAGE) {
          count++;
          this.messages++;
          this.bytes += length;
          visit(ring.bytes, offset, length);
        } else {
          const whole = this.#gather(offset, length, kind);
          if (whole !== undefined) {
            count++;
            visit(whole, 0, whole.length);
          }
        }
        if (this.#link.closed) return count;
        if (due) this.#publish();
      }
      giveBack = false;
    } finally {
      this.#draining = false;
      if (giveBack && !this.#link.closed) this.#publish();
    }
    this.statistics?.received(this.messages, this.bytes);
    return count;
  }
  close(): void {
    this.waitQueue.close();
    this.#fragments.giveUp();
  }

  /**
   * The next value, or undefined: there is nothing more, or the poll was cut short.
   *
   * @param soon whether its room may be published together with that of others, in the next turn of the event loop at the latest
   */
  #take(soon = false): T | undefined {
    const ring = this.#ring;
    let gathered = 0;
    let wasted = 0;
    for (;;) {
      const offset = ring.next();
      if (offset < 0) {
        this.#publish();
        return undefined;
      }
      const { length, kind } = ring;
      const due = ring.release();
      try {
        if (kind === MESSAGE) {
          this.#fragments.giveUp();
          this.messages++;
          this.bytes += length;
          this.statistics?.received(this.messages, this.bytes);
          return this.#decode(undefined, offset, length);
        }
        if (kind === FIRST_FRAGMENT) {
          wasted += gathered;
          gathered = 0;
        }
        const whole = this.#gather(offset, length, kind);
        if (whole !== undefined) return this.#decode(whole, 0, whole.length);
        gathered += length;
        if (wasted > ring.capacity) {
          this.#cut = true;
          return undefined;
        }
      } finally {
        // The user's codec may have closed the connection.
        if (!this.#link.closed) {
          if (kind !== MESSAGE || (due && !soon)) this.#publish();
          else if (due) this.#publishSoon();
        }
      }
    }
  }
  /** A sender that is woken for each message goes back to sleep after each: wake it for many. */
  #publishSoon(): void {
    if (this.#ring.kept >= this.#ring.capacity >> 2) this.#publish();
    else this.#publication ??= setImmediate(this.#publishNow);
  }
  readonly #publishNow = (): void => {
    this.#publication = undefined;
    if (!this.#link.closed) this.#publish();
  };
  /** Before this thread blocks: the peer may need that room to get to the point where it is waited for. */
  flush(): void {
    if (this.#publication === undefined) return;
    clearImmediate(this.#publication);
    this.#publishNow();
  }
  /** For a newcomer: spins first. */
  readonly #attemptAfresh = (): T | undefined => {
    let value = this.#take(true);
    if (value === undefined && this.spin.until(this.#ready)) value = this.#take(true);
    return value === undefined ? this.#attempt() : value; // it may have been a fragment: announce the sleep
  };
  /** For a waiter: polls, announces its sleep, polls again. */
  readonly #attempt = (): T | undefined => {
    this.#link.use();
    const { bell } = this.#link;
    this.#cut = false;
    this.#link.quiet(this.waitQueue);
    let value = this.#take();
    if (value !== undefined) {
      if (!this.#link.closed) this.spin.woken(this.#ring.recordTime);
      return value;
    }
    if (bell.ended || this.#ring.producerClosed) {
      return this.#takeLast(); // what was committed before the end is there by now
    }
    this.#ring.announceSleep();
    value = this.#take();
    if (value !== undefined) {
      if (!this.#link.closed) this.#ring.awake();
    } else {
      this.spin.sleeps();
      if (this.#cut) setImmediate(() => this.waitQueue.retry());
    }
    return value;
  };
  readonly #task: Task<T> = { attempt: this.#attempt, attemptAfresh: this.#attemptAfresh };
  /** After an empty poll: whether the peer has gone, so that no more will come than is there now. */
  #isOver(): boolean {
    const { bell } = this.#link;
    if (this.#ring.producerClosed) return true;
    if (!bell.ended && ++this.#misses % MISSES_PER_PEER_CHECK === 0) this.#link.quiet(this.waitQueue);
    return bell.ended;
  }
  #takeLast(): T {
    const value = this.#take();
    if (value !== undefined) return value;
    throw this.#link.gone(this.#ring.producerClosed);
  }
  #decode(whole: Uint8Array | undefined, offset: number, length: number): T {
    let value: T;
    try {
      value = whole === undefined ? this.#decoder.decode(offset, length) : this.#coder.decode(whole, 0, length);
    } catch (cause) {
      throw new CorruptError(
        `${this.#link.what}: a message of ${length} bytes cannot be decoded as ${this.#coder.name}; it was skipped`,
        { cause },
      );
    }
    if (value === undefined) {
      throw new CorruptError(
        `${this.#link.what}: the codec decoded a message as undefined, which is reserved for "no message"; it was skipped`,
      );
    }
    return value;
  }
  /** Adds a fragment; returns the message, if it was the last. */
  #gather(offset: number, length: number, kind: number): Uint8Array | undefined {
    const whole = this.#fragments.add(offset, length, kind);
    if (typeof whole === 'string') throw this.#damaged(whole);
    if (whole === undefined) return undefined;
    this.messages++;
    this.bytes += whole.length;
    return whole;
  }
  #publish(): void {
    if (this.#ring.kept === 0) return;
    this.statistics?.received(this.messages, this.bytes);
    if (!this.#ring.publish()) return;
    this.#ring.noteRoom(commitTime());
    this.#link.bell.ring();
  }
  #use(): void {
    if (this.#link.broken) this.#link.use();
    if (this.#draining)
      throw new IpcError('ERR_VECINO_DRAINING', `${this.#link.what}: the visitor of drain() must not receive`);
  }
  #damaged(what: string): CorruptError {
    const error = new CorruptError(`${this.#link.what} is corrupt: the peer sent ${what}`);
    this.#link.fail(error);
    return error;
  }
}
