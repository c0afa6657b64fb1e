/** The receiving side of a topic. */

import { LOST, OVERTAKEN, RECEIVED, RECEIVED_BYTES, type RingReader } from '../../lock-free/broadcast-ring/reader.js';
import { WaiterEntry } from '../../lock-free/broadcast-ring/waiter-table.js';
import { checkInteger } from '../../system/arguments.js';
import { Deadline, type SyncWaitOptions, type WaitOptions } from '../../system/deadline.js';
import { ClosedError, CorruptError, IpcError, invalidArgument, type RemovedError } from '../../system/errors.js';
import { KeepAlive } from '../../system/keep-alive.js';
import type { Spin } from '../../system/spin.js';
import { type Task, WaitQueue } from '../../system/wait-queue.js';
import type { Decoder } from '../codec/coder.js';
import { taskInContext } from '../codec/context.js';
import { Scratch } from '../codec/scratch.js';
import type { Visit } from '../connection/receiver.js';
import { ExitWatcher } from '../directory/exit-watcher.js';
import { Loop } from '../loop.js';
import type { TopicRemnant } from './remnant.js';
import { Rings } from './rings.js';
import { FIRST_RECEIVED, type Seat } from './seat.js';

/** The parts of a {@link Subscription}. @internal */
export interface SubscriptionParts<T> {
  readonly seat: Seat;
  readonly coder: Decoder<T>;
  readonly capacity: number;
  readonly spin: Spin;
  readonly from: 'now' | 'oldest';
  readonly remains: TopicRemnant;
  /** Called once, when it is closed. */
  readonly closed: (subscription: Subscription<T>) => void;
}
const NOTHING: unique symbol = Symbol('nothing');
const FOREVER = new Deadline('receive from a topic');

/**
 * The receiving side of a topic. It gets everything that is published from its creation on (or from the oldest kept message), for each
 * publisher in the order of publication. There is no order between publishers; they are read in turn.
 *
 * No publisher waits for a subscription: messages that it does not read before the publisher's ring comes round are overwritten, and
 * {@link Subscription.lost} says how many. A publisher's death changes nothing: what was published arrives.
 */
export class Subscription<T> implements Disposable, AsyncDisposable, AsyncIterable<T> {
  readonly #parts: SubscriptionParts<T>;
  readonly #what: string;
  readonly #counts = new Float64Array(4);
  readonly #scratch = new Scratch();
  readonly #waiter: WaiterEntry;
  readonly #rings: Rings;
  readonly #waitQueue: WaitQueue;
  readonly #keepAlive = new KeepAlive();
  readonly #ready: () => boolean;
  /** For a publisher that dies between a message and our wake-up, for instance. From the first sleep on. */
  #exitWatcher: ExitWatcher | undefined;
  /** A drain() is in progress. */
  #visiting = false;
  #closed = false;
  #failure: CorruptError | RemovedError | undefined;

  /** @internal {@link Topic.subscribe} */
  constructor(parts: SubscriptionParts<T>) {
    const { seat, capacity, from } = parts;
    this.#parts = parts;
    this.#what = `subscription of topic '${seat.participant.name}'`;
    this.#waiter = new WaiterEntry(seat.participant);
    const rings = new Rings(seat.participant, this.#waiter, capacity, this.#counts, from);
    this.#rings = rings;
    this.#ready = () => rings.ready;
    this.#waitQueue = new WaitQueue(seat.bell.fd, this.#what, 'readable', this.#keepAlive);
    parts.remains.waitQueues.add(this.#waitQueue);
  }

  /**
   * How many messages were overwritten before this subscription had read them. The number is exact, because each publisher numbers its
   * messages without gaps.
   */
  get lost(): number {
    return this.#counts[LOST]!;
  }
  /** Those of {@link lost} that were overwritten while {@link drain} passed them to the visitor, so it saw incomplete data. */
  get overtaken(): number {
    return this.#counts[OVERTAKEN]!;
  }
  /** Messages received, including those that {@link drain} passed complete. */
  get received(): number {
    return this.#counts[RECEIVED]!;
  }

  /**
   * Returns the next message; waits for one without blocking the event loop. Several calls are served in order. A time-out or abort loses
   * nothing: the next call gets the message.
   *
   * @throws CorruptError if another process has damaged the shared memory; the subscription is closed then. Also if the codec cannot decode
   * a message (`cause` is its error); then the next call returns the next message
   */
  async receive(options?: WaitOptions): Promise<T> {
    const deadline = options === undefined ? FOREVER : new Deadline(`receive from ${this.#what}`, options);
    deadline.signal?.throwIfAborted();
    this.#checkOpen();
    if (this.#waitQueue.mayTry()) {
      const value = this.#look();
      if (value !== NOTHING) return value;
    }
    return (await this.#waitQueue.join(taskInContext(this.#parts.coder, this.#task), deadline))[0];
  }
  /** Returns the next message if there is one, and no earlier {@link receive} waits for it; otherwise `undefined`. */
  tryReceive(): T | undefined {
    if (this.#closed || this.#visiting) this.#checkOpen();
    if (!this.#waitQueue.idle) return undefined;
    const value = this.#take();
    return value === NOTHING ? undefined : value;
  }
  /** As {@link receive}, but blocks the thread. Pending calls are served first. */
  receiveSync(options?: SyncWaitOptions): T {
    const deadline = options === undefined ? FOREVER : new Deadline(`receive from ${this.#what}`, options);
    this.#checkOpen();
    const { bell } = this.#parts.seat;
    const block = () => {
      const exitWatcher = this.#exitWatcher!;
      exitWatcher.blockSync(bell.fd, deadline);
      if (exitWatcher.pending || !exitWatcher.watched) this.#throwIfLost();
    };
    if (!this.#waitQueue.idle) this.#waitQueue.finishSync(deadline, block);
    for (;;) {
      const value = this.#look();
      if (value !== NOTHING) return value;
      try {
        block();
        this.#parts.spin.woken(bell.wakeTime);
      } finally {
        this.#waiter.awake();
        bell.quiet();
      }
    }
  }
  /**
   * Passes up to `limit` messages (default: all that are there) to `visit`, without copying or decoding them. Returns the number.
   *
   * The bytes are shared memory: the publisher overwrites them when its ring comes round. Whether that happened during a visit is known
   * only afterwards: {@link overtaken} counts such messages, and {@link whole} says it of the current one. If `visit` throws, the error
   * passes through, and its message counts as received.
   *
   * Messages that an earlier {@link receive} waits for are not passed: then the result is 0.
   */
  drain(visit: Visit, limit: number = Number.MAX_SAFE_INTEGER): number {
    if (typeof visit !== 'function') throw invalidArgument('ERR_INVALID_ARG_TYPE', 'visit', 'a function', visit);
    if (limit !== Number.MAX_SAFE_INTEGER) checkInteger('limit', limit, 1);
    this.#checkOpen();
    if (!this.#waitQueue.idle) return 0;
    this.#visiting = true;
    try {
      return this.#rings.drain(visit, limit);
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#visiting = false;
      if (!this.#closed) this.#show();
    }
  }
  /** During a visit of {@link drain}: whether the part of the message that was read so far is intact. */
  get whole(): boolean {
    return this.#visiting && !this.#closed && this.#rings.whole;
  }
  /** Messages as they arrive, until the subscription is closed. Leaving the loop closes nothing and loses nothing. */
  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return new Loop({
      receive: () => this.receive(),
      resultNow: () => this.#resultNow(),
      endsLoop: (error) => this.#closed && error instanceof ClosedError,
    });
  }
  #resultNow(): IteratorResult<T, undefined> | undefined {
    this.#checkOpen();
    const value = this.#waitQueue.mayTry() ? this.#take() : NOTHING;
    return value === NOTHING ? undefined : { done: false, value };
  }
  /** A pending receive keeps the program running. This is the default, unless {@link unref} was called, here or on the topic. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /** A pending receive, now or later, does not keep the program running. */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /** Closes the subscription; pending calls end with {@link ClosedError}. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#show();
    this.#closed = true;
    this.#waitQueue.close();
    const { remains } = this.#parts;
    remains.waitQueues.delete(this.#waitQueue);
    if (this.#exitWatcher !== undefined) remains.exitWatchers.delete(this.#exitWatcher);
    this.#exitWatcher?.close();
    this.#waiter.awake();
    this.#rings.close();
    this.#parts.closed(this);
  }
  /** @internal Closes it with an error, which later calls get too. */
  fail(error: CorruptError | RemovedError): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#failure = error;
    this.#waitQueue.dismiss(error);
    queueMicrotask(() => this.close()); // not now: the queue may just be serving its waiters
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #checkOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) throw new ClosedError(this.#what);
    if (this.#visiting)
      throw new IpcError('ERR_VECINO_DRAINING', `${this.#what}: the visitor of drain() must not receive`);
  }
  /** One try for the wait queue. Boxed, because a value may be undefined. */
  readonly #attempt = (): [T] | undefined => {
    const { seat, spin } = this.#parts;
    seat.bell.quiet();
    let value = this.#take();
    if (value === NOTHING) value = this.#lastLook();
    else {
      this.#waiter.awake();
      spin.woken(seat.bell.wakeTime);
    }
    return value === NOTHING ? undefined : [value];
  };
  readonly #attemptAfresh = (): [T] | undefined => {
    const value = this.#look();
    return value === NOTHING ? undefined : [value];
  };
  readonly #task: Task<[T]> = { attempt: this.#attempt, attemptAfresh: this.#attemptAfresh };
  /** For a newcomer: spins, then announces its sleep. */
  #look(): T | typeof NOTHING {
    let value = this.#take();
    if (value === NOTHING && this.#parts.spin.until(this.#ready)) value = this.#take();
    return value === NOTHING ? this.#lastLook() : value;
  }
  #watch(): ExitWatcher {
    const waitQueue = this.#waitQueue; // and nothing that refers to this object: the watcher must not keep a dropped subscription
    const exitWatcher = new ExitWatcher(this.#parts.seat.participant, () => waitQueue.retry());
    this.#parts.remains.exitWatchers.add(exitWatcher);
    return exitWatcher;
  }
  /** Announces the sleep and polls once more; a message cancels the announcement. */
  #lastLook(): T | typeof NOTHING {
    // After this poll the bell reports new messages, or the exit watcher if the publisher dies before it has rung.
    this.#exitWatcher ??= this.#watch();
    this.#exitWatcher.looking();
    this.#waiter.announce();
    const value = this.#take();
    if (value === NOTHING) {
      this.#check();
      this.#exitWatcher.sleeps();
      this.#parts.spin.sleeps();
    } else if (this.#waiter.awake()) this.#parts.seat.bell.missed();
    return value;
  }
  #take(): T | typeof NOTHING {
    if (this.#failure !== undefined) throw this.#failure;
    const { coder } = this.#parts;
    const { shared } = coder;
    const rings = this.#rings;
    for (;;) {
      let reader: RingReader | undefined;
      try {
        reader = rings.next();
      } catch (error) {
        throw this.#failed(error);
      }
      if (reader === undefined) return NOTHING;
      const { length } = reader;
      const value = shared
        ? this.#decode(reader.bytes, rings.offset, length)
        : reader.copy(rings.offset, this.#scratch);
      if (!reader.intact()) {
        reader.disown(false);
        continue;
      }
      this.#show();
      return shared ? (value as T) : this.#decode(value as Uint8Array, 0, length);
    }
  }
  /** The value of a private copy, which cannot change any more, or of memory that the coder may see change. */
  #decode(bytes: Uint8Array, offset: number, length: number): T {
    const { coder } = this.#parts;
    try {
      return coder.decode(bytes, offset, length);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new CorruptError(`${this.#what}: a message of ${length} bytes cannot be decoded as ${coder.name}: ${why}`, {
        cause,
      });
    }
  }
  #check(): void {
    try {
      this.#parts.seat.participant.check();
      this.#rings.check();
    } catch (error) {
      throw this.#failed(error);
    }
  }
  /** For calls that block the thread, which get no events. */
  #throwIfLost(): void {
    const error = this.#parts.seat.participant.loss();
    if (error === undefined) return;
    this.fail(error);
    throw error;
  }
  /** Damage ends the subscription; an error of a codec does not. */
  #failed(error: unknown): unknown {
    if (error instanceof CorruptError && this.#failure === undefined && !this.#closed) {
      this.#failure = error;
      queueMicrotask(() => this.close()); // not now: the queue may just be serving its waiters
    }
    return error;
  }
  /** Publishes the counters. */
  #show(): void {
    const { shown } = this.#parts.seat;
    const counts = this.#counts;
    shown[FIRST_RECEIVED] = counts[RECEIVED]!;
    shown[FIRST_RECEIVED + 1] = counts[RECEIVED_BYTES]!;
    shown[FIRST_RECEIVED + 2] = counts[LOST]!;
  }
}
