/** One to many: every subscription gets what any process publishes. */

import { checkCapacity, DEFAULT_CAPACITY, isCapacity, longestMessage } from '../../lock-free/broadcast-ring/layout.js';
import { RingWriter } from '../../lock-free/broadcast-ring/writer.js';
import { checkInteger, checkOptions, type OptionNames } from '../../system/arguments.js';
import { mayGoOn, nextTurn } from '../../system/cooperative-budget.js';
import { Deadline, type WaitOptions } from '../../system/deadline.js';
import { closed, whenDropped } from '../../system/dropped.js';
import { EBUSY } from '../../system/errno.js';
import {
  ClosedError,
  CorruptError,
  invalidArgument,
  MessageTooLargeError,
  type RemovedError,
  SystemError,
} from '../../system/errors.js';
import { KeepAlive } from '../../system/keep-alive.js';
import { readOnly } from '../../system/read-only.js';
import { Spin } from '../../system/spin.js';
import { type AnyCodecName, type Codec, type Coder, coderOf, type ReceivedOf, type ValueOf } from '../codec/index.js';
import { Loan } from '../connection/loan.js';
import type { Description } from '../directory/control-file.js';
import { DIRECTORY_OPTIONS, type DirectoryOptions, directoryOf } from '../directory/directory.js';
import { RemovalWatcher } from '../directory/removal-watcher.js';
import { Publications } from './publications.js';
import { TopicRemnant } from './remnant.js';
import { giveRing, type OwnRing, takeRing } from './ring-file.js';
import { PUBLISHED, PUBLISHES, Seat, SUBSCRIBES } from './seat.js';
import { Subscription } from './subscription.js';
import { Waking } from './waking.js';

export interface TopicOptions extends DirectoryOptions {
  /**
   * Bytes of each publisher's ring, which holds its recent messages, with 16 bytes and up to 15 of padding for each. A power of two from
   * 4096 to 2^30. Default: 1 MiB. If given, it must match an existing topic.
   */
  capacity?: number;
  /** Microseconds that a subscription spins before it sleeps. By default it adapts, and is 0 on one core. */
  spin?: number;
}
/** Where a subscription begins. */
export interface SubscribeOptions {
  /** Start with what is published from now on (`'now'`, the default), or with the oldest message that is still kept (`'oldest'`). */
  from?: 'now' | 'oldest';
}

const TOPIC_OPTIONS: OptionNames<TopicOptions & { codec?: Codec }> = {
  codec: true,
  capacity: true,
  spin: true,
  ...DIRECTORY_OPTIONS,
};
const SUBSCRIBE_OPTIONS: OptionNames<SubscribeOptions> = { from: true };

const AT_ONCE = new Deadline('publish');

/**
 * A named topic of this user on this machine. Any number of processes publish and subscribe, and come and go in any order. Publishing never
 * waits for subscribers, and costs the same for one and for many: each publisher writes a ring of its own, and overwrites its oldest
 * messages. A subscriber that is too slow loses those, and knows exactly how many.
 *
 * The rings are the history: a subscription with `from: 'oldest'` reads what they still hold, also of publishers that have left. Everything
 * is removed when the last participant closes or dies.
 *
 * A participant that is killed, at whatever instruction, harms no other: what it had published arrives, what it had not published is not
 * seen, and the next publisher takes over its ring.
 *
 * @example
 * ```ts
 * import { Topic } from 'vecino';
 *
 * await using prices = await Topic.open<{ name: string; price: number }>('example-prices');
 * using subscription = prices.subscribe(); // in any process
 * await prices.publish({ name: 'bread', price: 3 });
 * const { name, price } = await subscription.receive();
 * console.log(name, price, subscription.lost); // bread 3 0
 * ```
 */
export class Topic<T, R = T> implements Disposable, AsyncDisposable {
  /** The name of the topic. */
  readonly name: string;
  /** Bytes of each publisher's ring. */
  readonly capacity: number;
  /** Bytes of the longest message, encoded: half of the ring less 16. */
  readonly longest: number;
  readonly #seat: Seat;
  readonly #codec: Codec;
  readonly #coder: Coder<T, R>;
  readonly #spin: number | undefined;
  readonly #keepAlive = new KeepAlive();
  readonly #waiting = new Publications(this.#keepAlive);
  readonly #subscriptions = new Set<Subscription<R>>();
  /** A subscription uses the topic's own seat. The others have one each. */
  #seatSubscribes = false;
  #ring: OwnRing | undefined;
  #writer: RingWriter | undefined;
  #waking: Waking | undefined;
  #loan: Loan | undefined;
  readonly #remains: TopicRemnant;
  #watch: RemovalWatcher | undefined;
  #loss: RemovedError | undefined;
  #closed = false;

  private constructor(seat: Seat, codec: Codec, coder: Coder<T, R>, spin: number | undefined) {
    this.name = seat.participant.name;
    this.#seat = seat;
    this.#remains = new TopicRemnant(seat);
    whenDropped(this, this.#remains);
    const capacity = seat.participant.description.geometry['capacity'] ?? 0;
    if (!isCapacity(capacity)) throw new CorruptError(`topic '${this.name}' is corrupt: invalid capacity ${capacity}`);
    this.capacity = capacity;
    this.longest = longestMessage(capacity);
    readOnly(this, 'name', 'capacity', 'longest');
    this.#codec = codec;
    this.#coder = coder;
    this.#spin = spin;
    this.#watch = new RemovalWatcher<Topic<T, R>>(seat.participant, this, Topic.#told);
    this.#remains.exitWatchers.add(this.#watch);
  }

  /**
   * Opens a topic, and creates it if no process has it open.
   *
   * @param name `[A-Za-z0-9._-]{1,200}`
   * @param options `codec`: how values become bytes, default `'msgpack'`; all processes must use the same
   * @throws MismatchError if the name belongs to another kind of channel, or to a topic with another codec or capacity
   * @throws SystemError `EADDRINUSE` if it has 255 participants, `ENOSPC`, `EMFILE`, `EACCES`
   */
  static open<T = unknown>(name: string, options?: TopicOptions & { codec?: AnyCodecName }): Promise<Topic<T>>;
  static open<C extends Codec>(
    name: string,
    options: TopicOptions & { codec: C },
  ): Promise<Topic<ValueOf<C>, ReceivedOf<C>>>;
  static open<T>(name: string, options?: TopicOptions & { codec?: Codec<T> }): Promise<Topic<T>>;
  static async open(name: string, options: TopicOptions & { codec?: Codec } = {}): Promise<Topic<unknown>> {
    const { codec = 'msgpack', capacity, spin } = checkOptions('options', options, TOPIC_OPTIONS)!;
    const coder = coderOf<unknown>(codec);
    new Spin(spin); // checks it
    const geometry = {
      capacity: capacity === undefined ? DEFAULT_CAPACITY : checkCapacity('options.capacity', capacity),
    };
    const wanted: Description = { kind: 'topic', codec: coder.name, geometry };
    const seat = new Seat(name, wanted, capacity === undefined ? [] : ['capacity'], directoryOf(options, true));
    try {
      return new Topic(seat, codec, coder, spin);
    } catch (error) {
      seat.close();
      throw error;
    }
  }

  /**
   * Publishes a value: when the call returns, every subscription can read it. It waits only for an open {@link Loan} of this object, and
   * then in the order of the calls. From time to time it lets the event loop have its turn.
   *
   * The first publication takes or creates this object's ring.
   *
   * @throws MessageTooLargeError if it is longer than {@link longest} when encoded
   * @throws SystemError `ENOSPC` or `EMFILE`, if there is no ring available
   */
  async publish(value: T, options?: WaitOptions): Promise<void> {
    const deadline = options === undefined ? AT_ONCE : new Deadline(`publish to ${this.#what}`, options);
    deadline.signal?.throwIfAborted();
    const payload = this.#encode(value);
    const writer = this.#writer ?? this.#begin(); // after the codec has run, which may have closed it
    if (this.#loan !== undefined) return this.#waiting.add(new Uint8Array(payload), deadline);
    this.#write(writer, payload);
    if (!mayGoOn()) await nextTurn();
  }
  /** Publishes a value at once. Returns false while a {@link Loan} of this object is open. Throws what {@link publish} throws. */
  tryPublish(value: T): boolean {
    const payload = this.#encode(value);
    const writer = this.#writer ?? this.#begin();
    if (this.#loan !== undefined) return false;
    this.#write(writer, payload);
    return true;
  }
  /**
   * Reserves room in the ring for a message of `length` bytes. Fill it in and publish it by {@link Loan.commit}. There is one loan at a
   * time; meanwhile `publish()` waits and `tryPublish()` returns false. Reserving already overwrites the oldest messages.
   *
   * The codec is not used: the bytes are the message, as the subscribers' codecs and `drain()` will see it.
   *
   * @throws SystemError `EBUSY` if a loan is open already
   */
  reserve(length: number): Loan {
    const writer = this.#writer ?? this.#begin();
    checkInteger('length', length, 0);
    if (length > this.longest) throw this.#tooLarge(length);
    if (this.#loan !== undefined) {
      const hint = 'A loan of this topic is still open. Commit or discard it first';
      throw new SystemError(EBUSY, 'reserve', { path: this.name, hint });
    }
    const offset = writer.reserve(length);
    this.#loan = new Loan(writer.buffer, offset, length, (loan, used) => this.#endLoan(writer, loan, used));
    return this.#loan;
  }
  /**
   * Subscribes. The subscription gets everything that any process, this object included, publishes after this call. Each subscription
   * counts as a participant; closing the topic closes it.
   *
   * @throws SystemError `EADDRINUSE` if the topic has 255 participants, `EMFILE`
   */
  subscribe(options: SubscribeOptions = {}): Subscription<R> {
    this.#checkOpen();
    const { from = 'now' } = checkOptions('options', options, SUBSCRIBE_OPTIONS)!;
    if (from !== 'now' && from !== 'oldest')
      throw invalidArgument('ERR_INVALID_ARG_VALUE', 'options.from', "'now' or 'oldest'", from);
    const { description } = this.#seat.participant;
    const own = this.#seatSubscribes;
    const seat = own ? new Seat(this.name, description, ['capacity'], this.#seat.participant.directory) : this.#seat;
    try {
      const subscription = new Subscription<R>({
        seat,
        // Each coder has its own scratch memory.
        coder: coderOf<R>(this.#codec),
        capacity: this.capacity,
        spin: new Spin(this.#spin),
        from,
        remains: this.#remains,
        closed: (subscription) => {
          this.#subscriptions.delete(subscription);
          if (own) {
            this.#remains.seats.delete(seat);
            return seat.close();
          }
          this.#seatSubscribes = false;
          seat.plays(SUBSCRIBES, false);
        },
      });
      if (!this.#keepAlive.referenced) subscription.unref();
      this.#subscriptions.add(subscription);
      this.#remains.seats.add(seat);
      if (!own) this.#seatSubscribes = true;
      seat.plays(SUBSCRIBES, true);
      return subscription;
    } catch (error) {
      if (own) seat.close();
      throw error;
    }
  }
  /** Pending waits, here and in subscriptions, keep the program running. This is the default. */
  ref(): this {
    this.#keepAlive.ref();
    for (const subscription of this.#subscriptions) subscription.ref();
    return this;
  }
  /** Pending waits, here and in subscriptions, now and later, do not keep the program running. You can set a subscription differently. */
  unref(): this {
    this.#keepAlive.unref();
    for (const subscription of this.#subscriptions) subscription.unref();
    return this;
  }
  /**
   * Closes the subscriptions too; an open loan is discarded, and publications that wait for it end with {@link ClosedError}. Idempotent.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closed(this.#remains);
    this.#watch?.close();
    this.#waiting.close(this.#what);
    this.#loan?.discard();
    for (const subscription of this.#subscriptions) subscription.close();
    this.#writer = undefined;
    this.#waking?.close();
    if (this.#ring !== undefined) giveRing(this.#seat.participant, this.#ring);
    this.#seat.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  get #what(): string {
    return `topic '${this.name}'`;
  }
  /** What is published and received through this object does not reach processes that open the topic from now on. */
  /** Not a closure of the constructor, which would keep the topic alive. */
  static #told<T, R>(topic: Topic<T, R>, error: RemovedError): void {
    topic.#lost(error);
  }
  #lost(error: RemovedError): void {
    this.#loss = error;
    this.#writer = undefined; // so that a publishing call gets the error
    for (const subscription of [...this.#subscriptions]) subscription.fail(error);
  }
  #checkOpen(): void {
    if (this.#closed) throw new ClosedError(this.#what);
    if (this.#loss !== undefined) throw this.#loss;
  }
  /** Takes a ring: from now on this object publishes. */
  #begin(): RingWriter {
    this.#checkOpen();
    const { participant, bell } = this.#seat;
    participant.check();
    const ring = takeRing(participant, this.capacity);
    try {
      this.#writer = new RingWriter(ring.mapping.buffer, this.capacity);
    } catch (error) {
      giveRing(participant, ring);
      throw error;
    }
    this.#ring = ring;
    this.#remains.ring = ring.mapping;
    this.#seat.plays(PUBLISHES, true);
    this.#remains.waking = this.#waking = new Waking(participant, bell);
    this.#waking.appear();
    return this.#writer;
  }
  #encode(value: T): Uint8Array {
    const payload = this.#coder.encode(value);
    if (payload.length > this.longest) throw this.#tooLarge(payload.length);
    return payload;
  }
  #write(writer: RingWriter, payload: Uint8Array): void {
    writer.write(payload);
    this.#published(payload.length);
  }
  /** After each message that has become visible. */
  #published(length: number): void {
    const { shown } = this.#seat;
    shown[PUBLISHED]!++;
    shown[PUBLISHED + 1]! += length;
    this.#waking!.wake();
  }
  #endLoan(writer: RingWriter, loan: Loan, length: number): void {
    if (loan !== this.#loan) {
      if (this.#closed && length >= 0) throw new ClosedError(this.#what);
      return; // ended before
    }
    this.#loan = undefined;
    if (length >= 0) {
      writer.commit(length);
      this.#published(length);
    }
    this.#waiting.flush((payload) => this.#write(writer, payload));
  }
  #tooLarge(length: number): MessageTooLargeError {
    return new MessageTooLargeError(
      `a message of ${length} bytes is too large for topic '${this.name}': with a capacity of ${this.capacity} bytes it takes at most ${this.longest}. ` +
        'Open it with a larger capacity in all processes',
    );
  }
}
