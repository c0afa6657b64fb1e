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

/** What {@link Subscription} is made of. @internal */
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
 * Everything that is published, from when it was made on (or from the oldest that is there), of each publisher in the order in which
 * it was published. Between publishers there is no order; they are read in turn.
 *
 * Nobody waits for a subscription: what it does not fetch before the publisher comes round its ring is overwritten, and
 * {@link Subscription.lost} says how many that were. A publisher's death changes nothing for it: what was published arrives.
 */
export class Subscription<T> implements Disposable, AsyncDisposable, AsyncIterable<T> {
  readonly #fragments: SubscriptionParts<T>;
  readonly #what: string;
  readonly #counts = new Float64Array(4);
  readonly #scratch = new Scratch();
  readonly #waiter: WaiterEntry;
  readonly #rings: Rings;
  readonly #waitQueue: WaitQueue;
  readonly #keepAlive = new KeepAlive();
  readonly #ready: () => boolean;
  /** Of the control file, by a publisher who has died between a message and our bell, say. From the first sleep on. */
  #exitWatcher: ExitWatcher | undefined;
  /** A visit is under way. */
  #visiting = false;
  #closed = false;
  #failure: CorruptError | RemovedError | undefined;

  /** @internal {@link Topic.subscribe} */
  constructor(parts: SubscriptionParts<T>) {
    const { seat, capacity, from } = parts;
    this.#fragments = parts;
    this.#what = `subscription of topic '${seat.participant.name}'`;
    this.#waiter = new WaiterEntry(seat.participant);
    const rings = new Rings(seat.participant, this.#waiter, capacity, this.#counts, from);
    this.#rings = rings;
    this.#ready = () => rings.ready;
    this.#waitQueue = new WaitQueue(seat.bell.fd, this.#what, 'readable', this.#keepAlive);
    parts.remains.waitQueues.add(this.#waitQueue);
  }

  /** How many messages were overwritten before this subscription had read them. Exact, each publisher's numbers being without gaps. */
  get lost(): number {
    return this.#counts[LOST]!;
  }
  /** Of {@link lost}, those that were overwritten while {@link drain} showed them: what the visitor saw of them was not whole. */
  get overtaken(): number {
    return this.#counts[OVERTAKEN]!;
  }
  /** Messages received: those that {@link drain} has shown whole as well. */
  get received(): number {
    return this.#counts[RECEIVED]!;
  }

  /**
   * The next message; waits for one in the event loop. Several calls are served in the order they were made. After a time-out or an
   * abort nothing is lost: the next call gets it.
   *
   * @throws CorruptError if somebody has damaged the shared memory; the subscription is closed then. Also if the codec cannot decode
   *   a message (`cause` is its error): then the next call gives the next one
   */
  async receive(options?: WaitOptions): Promise<T> {
    const deadline = options === undefined ? FOREVER : new Deadline(`receive from ${this.#what}`, options);
    deadline.signal?.throwIfAborted();
    this.#checkOpen();
    if (this.#waitQueue.mayTry()) {
      const value = this.#look();
      if (value !== NOTHING) return value;
    }
    return (await this.#waitQueue.join(taskInContext(this.#fragments.coder, this.#task), deadline))[0];
  }
  /** The next message if there is one (that no earlier {@link receive} waits for), `undefined` if not. */
  tryReceive(): T | undefined {
    if (this.#closed || this.#visiting) this.#checkOpen();
    if (!this.#waitQueue.idle) return undefined;
    const value = this.#take();
    return value === NOTHING ? undefined : value;
  }
  /** As {@link receive}, blocking the thread. Calls that wait already are served first. */
  receiveSync(options?: SyncWaitOptions): T {
    const deadline = options === undefined ? FOREVER : new Deadline(`receive from ${this.#what}`, options);
    this.#checkOpen();
    const { bell } = this.#fragments.seat;
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
        this.#fragments.spin.woken(bell.wakeTime);
      } finally {
        this.#waiter.awake();
        bell.quiet();
      }
    }
  }
  /**
   * Shows up to `limit` messages (all that are there, if not given) to `visit`, without copying or decoding them; gives how many.
   *
   * The bytes are shared memory: the publisher overwrites them when it comes round. Whether that happened during a visit is known only
   * after it; {@link overtaken} counts them, and {@link whole} tells it of the message being visited. What `visit` throws goes through;
   * its message counts as received.
   *
   * Messages that an earlier {@link receive} waits for are not shown: then the answer is 0.
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
  /** During a visit of {@link drain}: whether all that was read of the message so far is as it was published. */
  get whole(): boolean {
    return this.#visiting && !this.#closed && this.#rings.whole;
  }
  /** Messages as they come, until the subscription is closed. Leaving the loop closes nothing and loses nothing. */
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
  /** A receive that waits keeps the program running: so it is unless {@link unref} was called, here or of the topic. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /** A receive that waits, now or later, does not keep the program running. */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /** Ends calls that wait with {@link ClosedError}. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#show();
    this.#closed = true;
    this.#waitQueue.close();
    const { remains } = this.#fragments;
    remains.waitQueues.delete(this.#waitQueue);
    if (this.#exitWatcher !== undefined) remains.exitWatcher.delete(this.#exitWatcher);
    this.#exitWatcher?.close();
    this.#waiter.awake();
    this.#rings.close();
    this.#fragments.closed(this);
  }
  /** @internal Ends it with an error, which is also that of later calls. */
  fail(error: CorruptError | RemovedError): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#failure = error;
    this.#waitQueue.dismiss(error);
    queueMicrotask(() => this.close()); // not now: the line may be in the middle of serving those who wait
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
  /** One try of those who wait in the line. Boxed, because a value may be undefined. */
  readonly #attempt = (): [T] | undefined => {
    const { seat, spin } = this.#fragments;
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
  /** What a newcomer does: looks for a while, then announces its sleep. */
  #look(): T | typeof NOTHING {
    let value = this.#take();
    if (value === NOTHING && this.#fragments.spin.until(this.#ready)) value = this.#take();
    return value === NOTHING ? this.#lastLook() : value;
  }
  #watch(): ExitWatcher {
    const waitQueue = this.#waitQueue; // and nothing that leads to us: the watch must not keep what was dropped
    const exitWatcher = new ExitWatcher(this.#fragments.seat.participant, () => waitQueue.retry());
    this.#fragments.remains.exitWatcher.add(exitWatcher);
    return exitWatcher;
  }
  /** Announces the sleep and looks once more; what is found calls it off. */
  #lastLook(): T | typeof NOTHING {
    // What comes after this look is told by the bell, or by the watch if who was to ring it is dead.
    this.#exitWatcher ??= this.#watch();
    this.#exitWatcher.looking();
    this.#waiter.announce();
    const value = this.#take();
    if (value === NOTHING) {
      this.#check();
      this.#exitWatcher.sleeps();
      this.#fragments.spin.sleeps();
    } else if (this.#waiter.awake()) this.#fragments.seat.bell.missed();
    return value;
  }
  #take(): T | typeof NOTHING {
    if (this.#failure !== undefined) throw this.#failure;
    const { coder } = this.#fragments;
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
  /** The value of a private copy, which nobody can change any more, or of memory that the coder may see change. */
  #decode(bytes: Uint8Array, offset: number, length: number): T {
    const { coder } = this.#fragments;
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
      this.#fragments.seat.participant.check();
      this.#rings.check();
    } catch (error) {
      throw this.#failed(error);
    }
  }
  /** For who blocks the thread, in which no event is told. */
  #throwIfLost(): void {
    const error = this.#fragments.seat.participant.loss();
    if (error === undefined) return;
    this.fail(error);
    throw error;
  }
  /** Damage ends the subscription; what a codec throws does not. */
  #failed(error: unknown): unknown {
    if (error instanceof CorruptError && this.#failure === undefined && !this.#closed) {
      this.#failure = error;
      queueMicrotask(() => this.close()); // not now: the line may be in the middle of serving those who wait
    }
    return error;
  }
  /** Lets others see what was counted. */
  #show(): void {
    const { shown } = this.#fragments.seat;
    const counts = this.#counts;
    shown[FIRST_RECEIVED] = counts[RECEIVED]!;
    shown[FIRST_RECEIVED + 1] = counts[RECEIVED_BYTES]!;
    shown[FIRST_RECEIVED + 2] = counts[LOST]!;
  }
}
