/** A queue in shared memory: many producers, many consumers, each message to one of them, at least once. */

import {
  CONSUMER_TICKETS,
  CONSUMERS,
  type Plan,
  PRODUCER_TICKETS,
  PRODUCERS,
  planOfFound,
} from '../../lock-free/slot-queue/layout.js';
import { Messages } from '../../lock-free/slot-queue/messages.js';
import { enter, leave, recover } from '../../lock-free/slot-queue/recovery.js';
import { WaiterTable } from '../../lock-free/slot-queue/waiter-table.js';
import { checkInteger, checkName, checkOptions } from '../../system/arguments.js';
import { Deadline, type SyncWaitOptions, type WaitOptions } from '../../system/deadline.js';
import { closed, type Remains, whenDropped } from '../../system/dropped.js';
import { ClosedError, MessageTooLargeError, type RemovedError } from '../../system/errors.js';
import { KeepAlive } from '../../system/keep-alive.js';
import type { Mapping } from '../../system/memory.js';
import { readOnly } from '../../system/read-only.js';
import type { Spin } from '../../system/spin.js';
import { type AnyCodecName, type Codec, type Coder, coderOf, type ReceivedOf, type ValueOf } from '../codec/index.js';
import { SharedDecoder } from '../codec/receive.js';
import { SEAT_COUNTERS } from '../directory/control-file.js';
import { DIRECTORY_OPTIONS, type DirectoryOptions, directoryOf } from '../directory/directory.js';
import { Doorbell } from '../directory/doorbell.js';
import { Participant } from '../directory/participant.js';
import { RemovalWatcher } from '../directory/removal-watcher.js';
import { unlinkPlace } from '../directory/unlink.js';
import { Delivery, type DeliveryOwner, Undecodable } from './delivery.js';
import type { LivenessChecker } from './liveness-checker.js';
import { codecOf, describe, type QueueOptions } from './open.js';
import {
  type QueueReceiveOptions,
  type QueueSendOptions,
  type QueueStats,
  RECEIVE_OPTIONS,
  SEND_OPTIONS,
  typeOf,
  typesOf,
} from './options.js';
import { hasSegment, mapSegment, type Segment } from './segment.js';
import { type Attempts, type Job, type Types, Waiting } from './waiting.js';
import { Waker } from './waker.js';

const FOREVER = new Deadline('wait for a queue');

/** Counters of a seat. */
const SENT_COUNT = 0;
const RECEIVED_COUNT = 1;
const ACKNOWLEDGED_COUNT = 2;
const RETURNED_COUNT = 3;
const RECOVERED_COUNT = 4;

/** Milliseconds from one look for the dead to the next, for those who never wait. */
const DEAD_CHECK_MS = 20;
/** Messages taken from one look at the clock to the next, at most. */
const MAX_UNTIMED_MESSAGES = 256;

/**
 * A queue under a name, for all processes of one user. It is there from the first `open` until {@link Queue.unlink}, with its
 * messages, also while nobody has it open; not across a restart of the machine.
 *
 * **Order**: the highest priority first; within a priority in the order of commit, which for one producer is the order of its
 * sends; a message that comes back stands in its old place.
 *
 * **Delivery**: each message to one consumer, and at least once: it is gone when its consumer has acknowledged it. If that
 * consumer closes the queue or dies before, it is delivered again, with `attempt` one higher. A producer that dies while it sends has
 * sent all of a message or nothing.
 *
 * @example
 * ```ts
 * import { Queue } from 'vecino';
 *
 * const queue = await Queue.open<{ id: number }>('queue-example', { capacity: 100 });
 * await queue.send({ id: 1 });
 * await queue.send({ id: 2 }, { priority: 3 });
 * const delivery = await queue.receive();
 * console.log(delivery.value, delivery.priority); // { id: 2 } 3
 * delivery.acknowledge();
 * console.log(queue.stats().ready); // 1
 * queue.close();
 * Queue.unlink('queue-example');
 * ```
 */
export class Queue<T = unknown, R = T> implements Disposable, AsyncDisposable, AsyncIterable<Delivery<R>> {
  /** Its name. */
  readonly name: string;
  readonly #participant: Participant;
  readonly #mapping: Mapping;
  readonly #messages: Messages;
  readonly #coder: Coder<T, R>;
  readonly #decoder: SharedDecoder<R>;
  readonly #plan: Plan;
  readonly #what: string;
  readonly #consumers: WaiterTable;
  readonly #producers: WaiterTable;
  readonly #spin: Spin;
  readonly #owner: DeliveryOwner;
  readonly #counters: Float64Array;
  readonly #counter: number;
  readonly #waker: Waker;
  readonly #bell: Doorbell;
  readonly #keepAlive = new KeepAlive();
  readonly #remains: Remnant;
  readonly #watch: RemovalWatcher<Queue<T, R>>;
  #loss: RemovedError | undefined;
  #waitingOrNone: Waiting<R> | undefined;
  /** When we looked for the dead, and how many messages may be taken before the clock is looked at. */
  #looked = 0;
  #untimed = 0;
  #batch = 0;
  #clock = 0;
  #closed = false;

  private constructor(participant: Participant, mapping: Mapping, plan: Plan, coder: Coder<T, R>, spin: Spin) {
    this.name = participant.name;
    readOnly(this, 'name');
    this.#what = `queue '${participant.name}'`;
    this.#participant = participant;
    this.#mapping = mapping;
    this.#plan = plan;
    this.#coder = coder;
    this.#spin = spin;
    this.#decoder = new SharedDecoder(coder, mapping.buffer);
    this.#messages = new Messages(mapping.buffer, plan, participant.seat);
    this.#counters = participant.doubles;
    this.#counter = (participant.wordOf(participant.seat) >> 1) + SEAT_COUNTERS;
    const { words } = this.#messages;
    const ring = (seat: number) => bell.ring(seat);
    this.#consumers = new WaiterTable(words, CONSUMERS, CONSUMER_TICKETS, participant.seat, ring);
    this.#producers = new WaiterTable(words, PRODUCERS, PRODUCER_TICKETS, participant.seat, ring, true);
    this.#waker = new Waker(participant, this.#messages, this.#consumers, this.#producers);
    this.#owner = {
      what: this.#what,
      closed: false,
      acknowledge: (slot, word) => this.#acknowledge(slot, word),
      redeliver: (slot, word, type) => this.#redeliver(slot, word, type),
    };
    const bell = new Doorbell(participant);
    this.#bell = bell;
    try {
      enter(this.#messages, participant.seat);
      this.#recover();
    } catch (error) {
      bell.close();
      throw error;
    }
    this.#watch = new RemovalWatcher<Queue<T, R>>(participant, this, Queue.#told);
    this.#remains = new Remnant(participant, bell, mapping, this.#watch);
    whenDropped(this, this.#remains);
  }

  /**
   * Opens the queue `name`, or makes it. What is given of `codec`, `capacity`, `messageSize` and `priorities` must be as it was
   * made; what is not given is as it is.
   *
   * @throws MismatchError if it was made otherwise, or another kind of channel has the name
   * @throws SystemError `ENOSPC` if there is no memory for it, `EADDRINUSE` if 256 have it open
   */
  static open<T = unknown>(name: string, options?: QueueOptions & { codec?: AnyCodecName }): Promise<Queue<T>>;
  static open<C extends Codec>(
    name: string,
    options: QueueOptions & { codec: C },
  ): Promise<Queue<ValueOf<C>, ReceivedOf<C>>>;
  static open<T>(name: string, options?: QueueOptions<T>): Promise<Queue<T>>;
  static async open(name: string, options?: QueueOptions): Promise<Queue> {
    const wanted = describe(checkName('name', name), options);
    const directory = directoryOf(options, true);
    const coder = coderOf<unknown>(codecOf(wanted.name, options?.codec, directory));
    const participant = Participant.open(
      wanted.name,
      { kind: 'queue', codec: coder.name, geometry: { ...wanted.geometry } },
      { directory, persistent: true, insist: wanted.insist },
    );
    let segment: Segment | undefined;
    try {
      const plan = planOfFound(participant.description.geometry, participant.name);
      segment = mapSegment(participant, plan);
      return new Queue(participant, segment.mapping, plan, coder, wanted.spin);
    } catch (error) {
      // What we have just made goes, if nobody else has come meanwhile; not if somebody may have left messages in it.
      participant.close(() => (segment === undefined ? !hasSegment(participant) : segment.made && segment.isEmpty()));
      segment?.mapping.unmap();
      throw error;
    }
  }
  /**
   * Removes the queue's name, and its messages with the last who has it open; they go on with it until then, and a new queue of that name
   * is another one. False: there was none.
   *
   * @throws MismatchError if the name is that of another kind of channel
   */
  static unlink(name: string, options?: DirectoryOptions): boolean {
    const plain = checkName('name', name);
    return unlinkPlace(plain, 'queue', directoryOf(checkOptions('options', options, DIRECTORY_OPTIONS)));
  }

  /** Sends a value; waits in the event loop while the queue is full. Waiting sends of this object are served in their order. */
  async send(value: T, options?: QueueSendOptions & WaitOptions): Promise<void> {
    const deadline = new Deadline(`send to ${this.#what}`, options, SEND_OPTIONS);
    const priority = this.#priorityOf(options);
    const type = typeOf(options);
    const payload = this.#encode(value);
    this.#mustBeOpen(); // what was called for the value and the options may have closed it
    if (deadline.signal?.aborted) throw deadline.signal.reason;
    if (this.#waiting.maySend() && this.#put(payload, priority, type)) return undefined;
    return this.#waiting.send({ payload: new Uint8Array(payload), priority, type }, deadline);
  }
  /** Sends a value if there is room and nobody of this object waits to send; otherwise false. Never blocks. */
  trySend(value: T, options?: QueueSendOptions): boolean {
    const priority = this.#priorityOf(options);
    const type = typeOf(options);
    const payload = this.#encode(value);
    this.#mustBeOpen();
    if (this.#sendersWait()) return false;
    if (this.#put(payload, priority, type)) return true;
    return this.#lookedForDead() && this.#put(payload, priority, type);
  }
  /** Sends a value; blocks the thread while the queue is full. */
  sendSync(value: T, options?: QueueSendOptions & SyncWaitOptions): void {
    const deadline =
      options?.timeout === undefined ? undefined : new Deadline(`send to ${this.#what}`, options, SEND_OPTIONS);
    const priority = this.#priorityOf(options);
    const type = typeOf(options);
    const payload = this.#encode(value);
    this.#mustBeOpen();
    if (!this.#sendersWait() && this.#put(payload, priority, type)) return;
    this.#mapping.check();
    this.#waiting.sendSync({ payload: new Uint8Array(payload), priority, type }, deadline ?? FOREVER);
  }

  /** Receives the next message; waits in the event loop while there is none. */
  async receive(options?: QueueReceiveOptions & WaitOptions): Promise<Delivery<R>> {
    const deadline = new Deadline(`receive from ${this.#what}`, options, RECEIVE_OPTIONS);
    const types = typesOf(options);
    this.#mustBeOpen();
    if (deadline.signal?.aborted) throw deadline.signal.reason;
    if (this.#waiting.mayReceive()) {
      const delivery = this.#take(types) ?? (this.#waiting.looksReady() ? this.#take(types) : undefined);
      if (delivery !== undefined) return delivery;
    }
    return this.#waiting.receive(types, deadline);
  }
  /** Receives the next message if there is one; otherwise undefined. Never blocks. */
  tryReceive(options?: QueueReceiveOptions): Delivery<R> | undefined {
    const types = typesOf(options);
    this.#mustBeOpen();
    this.#waitingOrNone?.serve();
    return this.#take(types) ?? (this.#lookedForDead() ? this.#take(types) : undefined);
  }
  /** Receives the next message; blocks the thread while there is none. */
  receiveSync(options?: QueueReceiveOptions & SyncWaitOptions): Delivery<R> {
    const deadline =
      options?.timeout === undefined ? undefined : new Deadline(`receive from ${this.#what}`, options, RECEIVE_OPTIONS);
    const types = typesOf(options);
    this.#mustBeOpen();
    this.#waitingOrNone?.serve();
    const delivery = this.#take(types);
    if (delivery !== undefined) return delivery;
    this.#mapping.check();
    return this.#waiting.receiveSync(types, deadline ?? FOREVER);
  }
  /**
   * Every message from now on. When the loop asks for the next, the one before is acknowledged, unless the body has settled it.
   * Leaving the loop, by `break` or by an error, gives the one in hand back to its place: acknowledge it before a `break` that ends
   * well. The loop ends when this object is closed.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Delivery<R>, void, undefined> {
    for (;;) {
      let delivery: Delivery<R>;
      try {
        delivery = await this.receive();
      } catch (error) {
        if (error instanceof ClosedError && this.#closed) return;
        throw error;
      }
      let done = false;
      try {
        yield delivery;
        done = true;
      } finally {
        if (!done && !delivery.settled && !this.#closed) delivery.reject();
      }
      if (!delivery.settled && !this.#closed) delivery.acknowledge();
    }
  }

  /** What is in it: exact while nobody changes it. Looks at the state of every slot: a microsecond for a thousand. */
  stats(): QueueStats {
    this.#mustBeOpen();
    const { capacity, messageSize, priorities } = this.#plan;
    const [sent, received, acknowledged, returned, recovered] = this.#counters.subarray(
      this.#counter,
      this.#counter + RECOVERED_COUNT + 1,
    ) as unknown as [number, number, number, number, number];
    const counts = { sent, received, acknowledged, returned, recovered };
    return { ...this.#messages.count(), capacity, messageSize, priorities, ...counts };
  }
  /** The codec's name. */
  get codec(): string {
    return this.#coder.name;
  }
  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#closed;
  }
  /** What waits here keeps the program running: so it is unless {@link unref} was called. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /** What waits here, now or later, does not keep the program running. */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /** Gives back what was received and not settled, and ends waits with {@link ClosedError}. The queue and its messages stay. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#owner.closed = true;
    closed(this.#remains);
    this.#watch.close();
    const { seat } = this.#participant;
    this.#waitingOrNone?.close();
    this.#waker.close();
    try {
      this.#consumers.withdraw();
      this.#producers.withdraw();
      this.#giveAllBack();
      leave(this.#messages, seat);
    } finally {
      this.#bell.close();
      this.#participant.close();
      this.#mapping.unmap();
    }
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** Static: a function made in the constructor would keep the queue. */
  static #told<T, R>(queue: Queue<T, R>, error: RemovedError): void {
    queue.#lost(error);
  }
  /** Who opens the queue from now on gets another one. */
  #lost(error: RemovedError): void {
    this.#loss = error;
    this.#waitingOrNone?.fail(error);
  }
  #mustBeOpen(): void {
    if (this.#closed) throw new ClosedError(this.#what);
    if (this.#loss !== undefined) throw this.#loss;
  }
  #encode(value: T): Uint8Array {
    const payload = this.#coder.encode(value);
    if (payload.length <= this.#plan.messageSize) return payload;
    throw new MessageTooLargeError(
      `${this.#what}: a message of ${payload.length} bytes is too large: the messageSize of the queue is ${this.#plan.messageSize}. ` +
        'Create the queue with a larger messageSize',
    );
  }
  #priorityOf(options: QueueSendOptions | undefined): number {
    if (options === undefined) return 0;
    const { priority } = checkOptions('options', options, SEND_OPTIONS)!;
    if (priority === undefined) return 0;
    return checkInteger('options.priority', priority, 0, this.#plan.priorities - 1);
  }
  #put(payload: Uint8Array, priority: number, type: number): boolean {
    if (!this.#messages.put(payload, priority, type)) return false;
    this.#counters[this.#counter + SENT_COUNT]!++;
    if (this.#consumers.some) this.#waker.message(type);
    return true;
  }
  #take(types: Types): Delivery<R> | undefined {
    const messages = this.#messages;
    if (--this.#untimed < 0) this.#lookNowAndThen();
    const slot = messages.take(types);
    if (slot < 0) {
      this.#waker.flush();
      return undefined;
    }
    const { word, type, priority, attempt } = messages;
    this.#counters[this.#counter + RECEIVED_COUNT]!++;
    let value: R;
    try {
      value = this.#decoder.decode(messages.offsetOf(slot), messages.length);
    } catch (error) {
      return new Undecodable<R>(error, priority, type, attempt, this.#owner, slot, word);
    }
    return new Delivery<R>(value, priority, type, attempt, this.#owner, slot, word);
  }
  #acknowledge(slot: number, word: number): void {
    this.#messages.acknowledge(slot, word);
    this.#counters[this.#counter + ACKNOWLEDGED_COUNT]!++;
    if (this.#producers.some) this.#waker.room();
  }
  #redeliver(slot: number, word: number, type: number): void {
    this.#messages.redeliver(slot, word);
    this.#counters[this.#counter + RETURNED_COUNT]!++;
    if (this.#consumers.some) this.#waker.message(type);
  }
  #giveAllBack(): void {
    const messages = this.#messages;
    let count = 0;
    messages.eachTakenBy(this.#participant.seat, (slot, word) => {
      messages.redeliver(slot, word);
      count++;
    });
    this.#waker.all(count > 0, false);
    this.#waker.flush();
    this.#waker.passOn();
  }
  /** Gives back what the dead had in hand. */
  #recover(): void {
    this.#loss ??= this.#participant.loss();
    if (this.#loss !== undefined) throw this.#loss;
    this.#mapping.check();
    const { returned, freed } = recover(this.#participant, this.#messages);
    this.#counters[this.#counter + RECOVERED_COUNT]! += returned;
    // One who was to wake others may have died before he did, so they look in any case; here are those who sleep for good reason.
    this.#waker.all(returned > 0, freed > 0);
  }
  /** Who always finds a message never waits, and must look for the dead all the same: what they had comes before what is there. */
  #lookNowAndThen(): void {
    const now = performance.now();
    const elapsed = now - this.#clock;
    this.#clock = now;
    this.#lookedForDead();
    // As many as may come in a quarter of the time, if they go on coming as they did.
    const rate = (this.#batch + 1) / Math.max(elapsed, 0.01);
    this.#batch = Math.min(MAX_UNTIMED_MESSAGES, Math.floor((rate * DEAD_CHECK_MS) / 4));
    this.#untimed = this.#batch;
  }
  /** For the voice that never waits: now and then, whether somebody has died. */
  #lookedForDead(): boolean {
    const now = performance.now();
    if (now - this.#looked < DEAD_CHECK_MS) return false;
    this.#looked = now;
    this.#recover();
    return true;
  }
  #sendersWait(): boolean {
    const waiting = this.#waitingOrNone;
    if (waiting === undefined) return false;
    waiting.serve();
    return waiting.sending;
  }
  get #waiting(): Waiting<R> {
    return (this.#waitingOrNone ??= this.#makeWaiting());
  }
  #makeWaiting(): Waiting<R> {
    const attempts: Attempts<R> = {
      coder: this.#coder,
      receive: (types) => this.#take(types),
      send: ({ payload, priority, type }: Job) => this.#put(payload, priority, type),
      recover: () => this.#recover(),
      watches: (livenessChecker) => {
        this.#remains.livenessChecker = livenessChecker;
      },
      looksReady: () => this.#messages.looksReady,
      looksFree: () => this.#messages.looksFree,
      passOn: () => this.#waker.passOn(),
      ringAgain: () => this.#waker.ringAgain(),
    };
    return new Waiting(
      attempts,
      this.#participant,
      this.#bell,
      this.#consumers,
      this.#producers,
      this.#spin,
      this.#what,
      this.#keepAlive,
    );
  }
}

/**
 * What is seen to when nobody refers to a queue any more, neither by itself nor by a delivery or something that waits: it counts as killed,
 * and others recover what it had in flight.
 */
class Remnant implements Remains {
  readonly what: string;
  livenessChecker: LivenessChecker | undefined;
  readonly #participant: Participant;
  readonly #bell: Doorbell;
  readonly #mapping: Mapping;

  readonly #watch: RemovalWatcher;

  constructor(participant: Participant, bell: Doorbell, mapping: Mapping, watch: RemovalWatcher) {
    this.what = `queue '${participant.name}'`;
    this.#participant = participant;
    this.#bell = bell;
    this.#mapping = mapping;
    this.#watch = watch;
  }
  abandon(): boolean {
    this.livenessChecker?.close();
    this.#watch.close();
    this.#bell.close();
    this.#participant.close();
    this.#mapping.unmap();
    return true;
  }
}
