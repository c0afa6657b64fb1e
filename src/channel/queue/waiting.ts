/**
 * The calls of one process that wait, for messages or for room, in the event loop or blocking the thread. They share the bell of their
 * seat, and the watcher for deaths of others.
 *
 * In order of arrival, each tries again when something may have changed. A receiver that wants certain types does not delay those behind
 * it. A call that times out leaves with nothing done, because an attempt is one synchronous call.
 */

import type { WaiterTable } from '../../lock-free/slot-queue/waiter-table.js';
import { afterTurn, loopTurned, mayGoOn } from '../../system/cooperative-budget.js';
import type { Deadline } from '../../system/deadline.js';
import { ClosedError, TimeoutError } from '../../system/errors.js';
import type { KeepAlive } from '../../system/keep-alive.js';
import { Pending } from '../../system/pending.js';
import { READABLE, type Waiter } from '../../system/readiness.js';
import type { Spin } from '../../system/spin.js';
import { inContext } from '../codec/context.js';
import type { Doorbell } from '../directory/doorbell.js';
import type { Participant } from '../directory/participant.js';
import type { Attempts, Job, Types } from './attempts.js';
import type { Delivery } from './delivery.js';
import { LivenessChecker } from './liveness-checker.js';
import { wantTypes } from './wanted-types.js';

interface Receiver<T> {
  readonly types: Types;
  receive(): Delivery<T> | undefined;
  readonly pending: Pending<Delivery<T>>;
}
interface Sender {
  readonly job: Job;
  readonly pending: Pending<void>;
}

/** Milliseconds for which a producer lets the consumers gather room for more than one message. */
const GATHER_MS = 2;
/** The most milliseconds that a thread blocks while a wake-up is still due. */
const AGAIN_MS = 10;

export class Waiting<T> {
  readonly #attempts: Attempts<T>;
  readonly #participant: Participant;
  readonly #bell: Doorbell;
  readonly #spin: Spin;
  readonly #spinForRoom: Spin;
  readonly #consumers: WaiterTable;
  readonly #producers: WaiterTable;
  readonly #what: string;
  readonly #keepAlive: KeepAlive;
  readonly #receivers = new Set<Receiver<T>>();
  readonly #senders = new Set<Sender>();
  #livenessChecker: LivenessChecker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #rest: NodeJS.Immediate | undefined;
  /** Since when no sender has found room. */
  #full = 0;
  #closed = false;
  readonly #rung: Waiter = told(() => this.#bellRung());
  #rungArmed = false;

  constructor(
    attempts: Attempts<T>,
    participant: Participant,
    bell: Doorbell,
    consumers: WaiterTable,
    producers: WaiterTable,
    spin: Spin,
    what: string,
    keepAlive: KeepAlive,
  ) {
    this.#attempts = attempts;
    this.#participant = participant;
    this.#bell = bell;
    this.#consumers = consumers;
    this.#producers = producers;
    this.#spin = spin;
    this.#spinForRoom = spin.another();
    this.#what = what;
    this.#keepAlive = keepAlive;
  }

  /** Whether an asynchronous receive may try at once: no earlier one waits, and the event loop had its turn recently. */
  mayReceive(): boolean {
    return this.#receivers.size === 0 && this.#hasCredit();
  }
  /** Spins for a while until there is something to receive. */
  looksReady(): boolean {
    return this.#spin.until(this.#ready);
  }
  readonly #ready = (): boolean => this.#attempts.looksReady();
  readonly #free = (): boolean => this.#attempts.looksFree();
  maySend(): boolean {
    return this.#senders.size === 0 && this.#hasCredit();
  }
  receive(types: Types, deadline: Deadline): Promise<Delivery<T>> {
    if (deadline.signal?.aborted) return Promise.reject(deadline.signal.reason);
    const receiver: Receiver<T> = {
      types,
      receive: inContext(this.#attempts.coder, () => this.#attempts.receive(types)),
      pending: new Pending(
        deadline,
        (error) => {
          if (this.#isServedLate(this.#receivers, receiver, error)) return;
          this.#receivers.delete(receiver);
          receiver.pending.reject(error);
          this.#left(false);
        },
        this.#keepAlive,
      ),
    };
    this.#receivers.add(receiver);
    this.#begin();
    return receiver.pending.promise;
  }
  send(job: Job, deadline: Deadline): Promise<void> {
    if (deadline.signal?.aborted) return Promise.reject(deadline.signal.reason);
    const sender: Sender = {
      job,
      pending: new Pending(
        deadline,
        (error) => {
          if (this.#isServedLate(this.#senders, sender, error)) return;
          this.#senders.delete(sender);
          sender.pending.reject(error);
          this.#left(this.#senders.size === 0 && this.#producers.withdraw());
        },
        this.#keepAlive,
      ),
    };
    if (this.#senders.size === 0) this.#full = performance.now();
    this.#senders.add(sender);
    this.#begin();
    return sender.pending.promise;
  }
  /** Pending calls go first. */
  serve(): void {
    if (this.#receivers.size > 0) this.#serveReceivers();
    if (this.#senders.size > 0) this.#serveSenders();
  }
  get sending(): boolean {
    return this.#senders.size > 0;
  }
  receiveSync(types: Types, deadline: Deadline): Delivery<T> {
    try {
      for (;;) {
        if (this.looksReady()) {
          const delivery = this.#next(types);
          if (delivery !== undefined) return delivery;
        }
        wantTypes(this.#participant, this.#receivers, { types });
        this.#consumers.announce();
        const delivery = this.#next(types);
        if (delivery !== undefined) return delivery;
        this.#spin.sleeps();
        this.#block(deadline, Number.POSITIVE_INFINITY);
        this.#spin.woken(this.#bell.wakeTime);
        this.#consumers.withdraw();
      }
    } finally {
      this.#withdraw(this.#consumers);
      this.#left(false);
    }
  }
  sendSync(job: Job, deadline: Deadline): void {
    const since = performance.now();
    let sent = false;
    try {
      for (;;) {
        if (this.#spinForRoom.until(this.#free) && (sent = this.#sent(job))) return;
        const untilGathered = since + GATHER_MS - performance.now();
        this.#producers.announce(untilGathered <= 0);
        if ((sent = this.#sent(job))) return;
        this.#spinForRoom.sleeps();
        this.#block(deadline, untilGathered > 0 ? untilGathered : Number.POSITIVE_INFINITY);
        this.#spinForRoom.woken(this.#bell.wakeTime);
      }
    } finally {
      const woken = this.#withdraw(this.#producers);
      this.#left(woken && !sent);
    }
  }
  /** Ends every wait with {@link ClosedError}. */
  close(): void {
    this.#closed = true;
    this.#disarm();
    const error = new ClosedError(this.#what);
    for (const { pending } of [...this.#receivers, ...this.#senders]) pending.reject(error);
    this.#receivers.clear();
    this.#senders.clear();
    if (this.#rest !== undefined) clearImmediate(this.#rest);
    this.#livenessChecker?.close();
  }

  get #idle(): boolean {
    return this.#receivers.size === 0 && this.#senders.size === 0;
  }
  #next(types: Types): Delivery<T> | undefined {
    if (this.#receivers.size > 0) this.#serveReceivers();
    return this.#attempts.receive(types);
  }
  #sent(job: Job): boolean {
    if (this.#senders.size > 0) this.#serveSenders();
    return this.#senders.size === 0 && this.#attempts.send(job);
  }
  #hasCredit(): boolean {
    if (this.#rest !== undefined) return false;
    if (mayGoOn()) return true;
    this.#rest = afterTurn(() => {
      this.#rest = undefined;
      if (this.#receivers.size > 0) this.looksReady(); // not checked yet
      this.#settle();
    });
    return false;
  }
  #begin(): void {
    this.#watchDeaths();
    if (this.#rest === undefined) this.#settle();
  }
  /**
   * Whether a call whose time is up is served after all: it may not have had its one try yet (timers come before immediates), or the event
   * loop is late.
   */
  #isServedLate<Call>(calls: ReadonlySet<Call>, call: Call, error: unknown): boolean {
    if (!(error instanceof TimeoutError)) return false;
    this.serve();
    if (calls.has(call)) return false;
    if (this.#rest === undefined) this.#settle();
    return true;
  }
  /** A call has stopped waiting. `room`: without using the room that it was woken for. */
  #left(room: boolean): void {
    if (this.#closed) return;
    if (this.#receivers.size === 0) this.#consumers.withdraw();
    if (this.#senders.size === 0) this.#producers.withdraw();
    this.#attempts.passOn(room);
    if (this.#rest === undefined) this.#settle();
  }
  /** Serves the pending calls; announces the sleep of the rest, polls once more, and waits for events. */
  #settle(): void {
    if (this.#closed) return;
    this.serve();
    if (this.#idle) {
      this.#disarm();
      return;
    }
    if (this.#receivers.size > 0) {
      wantTypes(this.#participant, this.#receivers);
      this.#consumers.announce();
    }
    const untilGathered = this.#full + GATHER_MS - performance.now();
    if (this.#senders.size > 0) this.#producers.announce(untilGathered <= 0);
    this.serve();
    if (this.#receivers.size === 0) this.#withdraw(this.#consumers);
    if (this.#senders.size === 0) this.#withdraw(this.#producers);
    if (this.#receivers.size > 0) this.#spin.sleeps();
    if (this.#senders.size > 0) this.#spinForRoom.sleeps();
    if (this.#idle) this.#disarm();
    else this.#arm(this.#senders.size > 0 && untilGathered > 0 ? untilGathered : Number.POSITIVE_INFINITY);
  }
  /** True: it was woken in the meantime. */
  #withdraw(waiters: WaiterTable): boolean {
    const woken = waiters.withdraw();
    if (woken) this.#bell.missed();
    return woken;
  }
  #arm(within: number): void {
    try {
      if (!this.#rungArmed) this.#bell.notify(this.#rung);
      this.#rungArmed = true;
    } catch (error) {
      this.fail(error);
      return;
    }
    const time = Math.min(within, this.#livenessChecker?.remaining ?? Number.POSITIVE_INFINITY);
    clearTimeout(this.#timer);
    this.#timer =
      time === Number.POSITIVE_INFINITY ? undefined : setTimeout(() => this.#someDeath(), time + 0.5).unref();
  }
  #disarm(): void {
    if (this.#rungArmed) this.#bell.cancel(this.#rung);
    this.#rungArmed = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
  #bellRung(): void {
    this.#rungArmed = false;
    loopTurned();
    this.#spin.woken(this.#bell.wakeTime);
    this.#spinForRoom.woken(this.#bell.wakeTime);
    this.#bell.quiet();
    if (this.#rest === undefined) this.#settle();
  }
  /** A process closed the control file, or the next check is due. */
  #someDeath(): void {
    this.#lookForDead();
    if (this.#rest === undefined) this.#settle();
  }
  #lookForDead(blocking = false): void {
    if (this.#livenessChecker?.due() !== true) return;
    try {
      this.#attempts.recover();
    } catch (error) {
      this.fail(error);
      if (blocking) throw error;
    }
  }
  #died(): void {
    if (!this.#idle) this.#someDeath(); // otherwise the next waiter checks
  }
  #watchDeaths(): void {
    if (this.#livenessChecker !== undefined) return;
    const me = new WeakRef(this); // the watcher must not keep a dropped queue alive
    this.#livenessChecker = new LivenessChecker(this.#participant, () => {
      const waiting = me.deref();
      if (waiting !== undefined) waiting.#died();
    });
    this.#attempts.watches(this.#livenessChecker);
    this.#lookForDead(); // earlier deaths
  }
  /** Ends every wait with `error`. */
  fail(error: unknown): void {
    this.#disarm();
    for (const { pending } of [...this.#receivers, ...this.#senders]) pending.reject(error);
    this.#receivers.clear();
    this.#senders.clear();
  }
  #serveReceivers(): void {
    for (const receiver of this.#receivers) {
      let delivery: Delivery<T> | undefined;
      try {
        delivery = receiver.receive();
      } catch (error) {
        this.#receivers.delete(receiver);
        receiver.pending.reject(error);
        continue;
      }
      if (delivery !== undefined) {
        this.#receivers.delete(receiver);
        receiver.pending.resolve(delivery);
      } else if (receiver.types === undefined) return; // nothing at all
    }
  }
  #serveSenders(): void {
    for (const sender of this.#senders) {
      try {
        if (!this.#attempts.send(sender.job)) return;
        sender.pending.resolve();
      } catch (error) {
        sender.pending.reject(error);
      }
      this.#senders.delete(sender);
      this.#full = performance.now();
    }
  }
  /** Sleeps until the bell rings, a process dies, or `most` milliseconds are over. */
  #block(deadline: Deadline, most: number): void {
    this.#watchDeaths();
    if (this.#attempts.ringAgain()) most = Math.min(most, AGAIN_MS);
    this.#livenessChecker!.blockSync(this.#bell.fd, deadline, most);
    this.#bell.quiet();
    this.#lookForDead(true);
  }
}
function told(call: () => void): Waiter {
  return {
    events: READABLE,
    settle(error) {
      if (error === undefined) call(); // otherwise it is being closed
    },
  };
}
