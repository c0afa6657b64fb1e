/** A queue in shared memory: many producers, many consumers, each message to one consumer, at least once. */

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
import { closed, whenDropped } from '../../system/dropped.js';
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
import { unlinkChannel } from '../directory/unlink.js';
import type { Attempts, Job, Types } from './attempts.js';
import { Delivery, type DeliveryOwner, Undecodable } from './delivery.js';
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
import { RecoveryTimer } from './recovery-timer.js';
import { Remnant } from './remnant.js';
import { hasSegment, mapSegment, type Segment } from './segment.js';
import { Waiting } from './waiting.js';
import { Waker } from './waker.js';

const FOREVER = new Deadline('wait for a queue');
/** Slots that a call that may block checks before it waits: two cache lines of them. It checks all before it sleeps. */
const QUICK_CHECK_SLOTS = 32;

/** Counters of a seat. */
const SENT_COUNT = 0;
const RECEIVED_COUNT = 1;
const ACKNOWLEDGED_COUNT = 2;
const RETURNED_COUNT = 3;
const RECOVERED_COUNT = 4;

/**
 * A named queue for all processes of one user. It exists, with its messages, from the first `open` until {@link Queue.unlink}, also while
 * no process has it open. It does not survive a restart of the machine.
 *
 * **Order**: the highest priority first. Within a priority in the order of commit, which for one producer is the order of its sends. A
 * redelivered message keeps its position.
 *
 * **Delivery**: each message goes to one consumer, at least once. It is removed when its consumer acknowledges it. If the consumer closes
 * the queue or dies before that, the message is delivered again, with `attempt` one higher. If a producer dies while it sends, the whole
 * message is in the queue, or nothing.
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
  /** The name of the queue. */
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
  readonly #recoveryTimer = new RecoveryTimer(() => this.#recover());
  #loss: RemovedError | undefined;
  #waitingOrNone: Waiting<R> | undefined;
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
   * Opens the queue `name`, or creates it. If it exists, the options `codec`, `capacity`, `messageSize` and `priorities` that you give must
   * match; the others are taken from the queue.
   *
   * @throws MismatchError if an option does not match, or the name belongs to another kind of channel
   * @throws SystemError `ENOSPC` if there is no memory for it, `EADDRINUSE` if 256 processes have it open
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
      // Remove what we have just created, unless another process came meanwhile and may have left messages in it.
      participant.close(() => (segment === undefined ? !hasSegment(participant) : segment.made && segment.isEmpty()));
      segment?.mapping.unmap();
      throw error;
    }
  }
  /**
   * Removes the queue's name. Processes that have the queue open keep it, with its messages, until they close it; a new queue of that name
   * is another one. Returns false if the name does not exist.
   *
   * @throws MismatchError if the name belongs to another kind of channel
   */
  static unlink(name: string, options?: DirectoryOptions): boolean {
    const plain = checkName('name', name);
    return unlinkChannel(plain, 'queue', directoryOf(checkOptions('options', options, DIRECTORY_OPTIONS)));
  }

  /**
   * Sends a value; waits while the queue is full, without blocking the event loop. Waiting sends of this object are served in order. When
   * it resolves, the message is in the queue and survives this process.
   *
   * @throws MessageTooLargeError if it is longer than `messageSize` when encoded
   * @throws TimeoutError, or the signal's reason: then it was not sent
   */
  async send(value: T, options?: QueueSendOptions & WaitOptions): Promise<void> {
    const deadline = new Deadline(`send to ${this.#what}`, options, SEND_OPTIONS);
    const priority = this.#priorityOf(options);
    const type = typeOf(options);
    const payload = this.#encode(value);
    this.#mustBeOpen(); // code of the value or the options may have closed it
    if (deadline.signal?.aborted) throw deadline.signal.reason;
    if (this.#waiting.maySend() && this.#put(payload, priority, type)) return undefined;
    return this.#waiting.send({ payload: new Uint8Array(payload), priority, type }, deadline);
  }
  /** Sends a value if there is room at once, and no send of this object waits; otherwise returns false. Never blocks. */
  trySend(value: T, options?: QueueSendOptions): boolean {
    const priority = this.#priorityOf(options);
    const type = typeOf(options);
    const payload = this.#encode(value);
    this.#mustBeOpen();
    if (this.#sendersWait()) return false;
    if (this.#put(payload, priority, type)) return true;
    return this.#recoveryTimer.recoveredIfDue() && this.#put(payload, priority, type);
  }
  /** As {@link send}, but blocks the thread while the queue is full. */
  sendSync(value: T, options?: QueueSendOptions & SyncWaitOptions): void {
    const deadline =
      options?.timeout === undefined ? undefined : new Deadline(`send to ${this.#what}`, options, SEND_OPTIONS);
    const priority = this.#priorityOf(options);
    const type = typeOf(options);
    const payload = this.#encode(value);
    this.#mustBeOpen();
    if (!this.#sendersWait() && this.#put(payload, priority, type, QUICK_CHECK_SLOTS)) return;
    this.#mapping.check();
    // Not a copy: nothing else can be encoded before this call returns.
    this.#waiting.sendSync({ payload, priority, type }, deadline ?? FOREVER);
  }

  /**
   * Receives the next message; waits for one without blocking the event loop. Settle the delivery: if this process dies first, another
   * consumer gets the message.
   *
   * @throws TimeoutError, or the signal's reason: no message was taken
   */
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
  /** Receives the next message if there is one; otherwise returns undefined. Never blocks. */
  tryReceive(options?: QueueReceiveOptions): Delivery<R> | undefined {
    const types = typesOf(options);
    this.#mustBeOpen();
    this.#waitingOrNone?.serve();
    return this.#take(types) ?? (this.#recoveryTimer.recoveredIfDue() ? this.#take(types) : undefined);
  }
  /** As {@link receive}, but blocks the thread while there is no message. */
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
   * All messages from now on. When the loop asks for the next one, the previous one is acknowledged, unless the body has settled it.
   * Leaving the loop, by `break` or an error, rejects the current message, so acknowledge it before a `break` that means success. The loop
   * ends when this object is closed.
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

  /** The state of the queue: exact if no process changes it meanwhile. Reads the state of every slot: a microsecond for a thousand. */
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
  /** Pending waits keep the program running. This is the default. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /** Pending waits, now and later, do not keep the program running. */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /**
   * Closes this object: unsettled deliveries are redelivered, and pending waits end with {@link ClosedError}. The queue and its messages
   * stay.
   */
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
      this.#giveAllBack(this.#producers.withdraw());
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

  /** Static: a closure of the constructor would keep the queue alive. */
  static #told<T, R>(queue: Queue<T, R>, error: RemovedError): void {
    queue.#lost(error);
  }
  /** Processes that open the queue from now on get another one. */
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
  #put(payload: Uint8Array, priority: number, type: number, looks?: number): boolean {
    if (!this.#messages.put(payload, priority, type, looks)) return false;
    this.#counters[this.#counter + SENT_COUNT]!++;
    if (this.#consumers.some) this.#waker.message(type);
    return true;
  }
  #take(types: Types): Delivery<R> | undefined {
    const messages = this.#messages;
    this.#recoveryTimer.beforeMessage();
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
  /** @param room this side was woken for room that it has not used */
  #giveAllBack(room: boolean): void {
    const messages = this.#messages;
    let count = 0;
    messages.eachTakenBy(this.#participant.seat, (slot, word) => {
      messages.redeliver(slot, word);
      count++;
    });
    this.#waker.all(count > 0, false);
    this.#waker.flush();
    this.#waker.passOn(room);
  }
  /** Returns the messages of dead consumers to the queue. */
  #recover(): void {
    this.#loss ??= this.#participant.loss();
    if (this.#loss !== undefined) throw this.#loss;
    this.#mapping.check();
    const { returned, freed } = recover(this.#participant, this.#messages);
    this.#counters[this.#counter + RECOVERED_COUNT]! += returned;
    // A waker may have died first, so sleepers check for themselves; the ones here have checked and found nothing.
    this.#waker.all(returned > 0, freed > 0);
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
      passOn: (room) => this.#waker.passOn(room),
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
