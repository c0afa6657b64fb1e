/**
 * Receives of one System V queue that wait in the event loop.
 *
 * Each type of message that receivers wait for has one helper thread. It ends when there is such a message, but leaves it in the queue
 * (native/sysv_message.c). Then the receivers are tried, oldest first. So an aborted or killed receiver takes nothing with it, and two
 * receivers that would take the same message are served in order.
 *
 * A message of 0 bytes is the exception: the thread does receive it. It goes to the oldest receiver that wants it, or back into the queue
 * (to its end) if that receiver has just given up.
 */

import { budgetIsSpent, mayGoOn, oncePerTurn } from '../system/cooperative-budget.js';
import type { Deadline } from '../system/deadline.js';
import { E2BIG, EAGAIN, EINTR } from '../system/errno.js';
import { TimeoutError } from '../system/errors.js';
import { checkStarted, HelperWait } from '../system/helper-wait.js';
import type { KeepAlive } from '../system/keep-alive.js';
import { constants, native } from '../system/native.js';
import { Pending } from '../system/pending.js';
import type { SysVMessage } from '../system/sysv-message.js';
import type { Selection } from './selection.js';

const IPC_NOWAIT = constants['IPC_NOWAIT']!;
const typeOut = new Float64Array(1);

/** Starts a helper thread that ends once there is such a message. Its eventfd. */
export function startWait(id: number, selection: Selection): number {
  return checkStarted(
    native.msgWaitStart(id, selection.type, selection.flags),
    'Each different type that receivers wait for',
  );
}
/**
 * Ends or interrupts such a wait. Returns the empty message that it received, `true` if there is a message, `false` if it was interrupted,
 * or another errno negated.
 */
export function finishWait(event: number, cancel: boolean): SysVMessage | boolean | number {
  return outcome(native.msgWaitFinish(event, cancel, typeOut));
}
function outcome(result: number): SysVMessage | boolean | number {
  if (result === 0) return { type: typeOut[0]!, content: new Uint8Array(0) };
  return result === E2BIG ? true : result === EINTR ? false : result;
}

interface Receiver {
  selection: Selection;
  pending: Pending<SysVMessage>;
}

export class SysVReceivers {
  readonly #id: number;
  readonly #take: (selection: Selection) => SysVMessage | undefined;
  readonly #failed: (result: number) => Error;
  readonly #keepAlive: KeepAlive;
  readonly #serveLater = oncePerTurn(() => this.serve());
  readonly #waits = new Map<string, HelperWait>();
  /** Threads that have ended their wait in this turn of the event loop: an immediate next receive needs no new one. */
  readonly #resting = new Map<string, HelperWait>();
  #receivers: Receiver[] = [];
  /** The number of receivers for each selection. */
  readonly #wanted = new Map<string, number>();
  /** Empty messages that could not be put back because the queue was full. */
  #held: SysVMessage[] = [];

  /**
   * @param take the message, or `undefined` if there is none; throws
   * @param failed the error for what a wait ended with
   */
  constructor(
    id: number,
    take: (selection: Selection) => SysVMessage | undefined,
    failed: (result: number) => Error,
    keepAlive: KeepAlive,
  ) {
    this.#id = id;
    this.#take = take;
    this.#failed = failed;
    this.#keepAlive = keepAlive;
  }
  /** Whether a receive may be tried at once: no earlier one waits, and the event loop does not need its turn first. */
  enter(): boolean {
    return this.#receivers.length === 0 && this.#held.length === 0 && mayGoOn();
  }
  /** An empty message that could not be put back into the queue. */
  takeHeld(selection: Selection): SysVMessage | undefined {
    const index = this.#held.findIndex(({ type }) => selection.matches(type));
    return index < 0 ? undefined : this.#held.splice(index, 1)[0];
  }
  /** A message that no earlier receiver wants. */
  tryReceive(selection: Selection): SysVMessage | undefined {
    if (this.#receivers.length > 0) {
      // A thread may just be receiving an empty message, which is older than those in the queue.
      for (const [key, wait] of this.#waits) this.#finish(key, wait, true);
      this.serve();
    }
    for (;;) {
      const message = this.#next(selection);
      // A message that came just now may be for a receiver that was tried a moment ago.
      if (message === undefined || this.#deliver(message) === undefined) return message;
    }
  }
  join(selection: Selection, deadline: Deadline): Promise<SysVMessage> {
    const receiver: Receiver = {
      selection,
      pending: new Pending(
        deadline,
        (error) => {
          if (error instanceof TimeoutError && this.#serveLate(receiver)) return;
          this.#remove(receiver);
          receiver.pending.reject(error);
          this.#trim();
        },
        this.#keepAlive,
      ),
    };
    this.#receivers.push(receiver);
    const { key } = selection;
    this.#wanted.set(key, (this.#wanted.get(key) ?? 0) + 1);
    if (budgetIsSpent()) this.#serveLater();
    else if (this.#held.length > 0) this.serve();
    else this.#watch(receiver);
    return receiver.pending.promise;
  }
  /** Delivers what is there to the waiting receivers, and has threads wait for the rest. */
  serve(): void {
    for (const [key, wait] of this.#waits) if (wait.ended) this.#finish(key, wait, false);
    const dry = new Set<string>();
    for (const receiver of [...this.#receivers]) {
      const { key } = receiver.selection;
      try {
        while (!dry.has(key)) {
          const message = this.#next(receiver.selection);
          if (message === undefined) {
            dry.add(key);
            this.#watch(receiver);
          } else if (this.#deliver(message) === receiver) break;
        }
      } catch (error) {
        this.#remove(receiver);
        receiver.pending.reject(error);
      }
    }
    this.#trim();
  }
  /** Ends all with `error`; messages in hand go back into the queue. */
  fail(error: unknown): void {
    this.#rejectAll(error);
    this.#trim();
    this.#dismiss();
    for (const message of this.#held.splice(0)) this.#putBack(message);
  }

  #next(selection: Selection): SysVMessage | undefined {
    return this.takeHeld(selection) ?? this.#take(selection);
  }
  /** Delivers a message to the oldest receiver that wants it, and returns that one. */
  #deliver(message: SysVMessage): Receiver | undefined {
    const receiver = this.#receivers.find(({ selection }) => selection.matches(message.type));
    if (receiver === undefined) return undefined;
    this.#remove(receiver);
    receiver.pending.resolve(message);
    return receiver;
  }
  #remove(receiver: Receiver): void {
    const index = this.#receivers.indexOf(receiver);
    if (index < 0) return;
    this.#receivers.splice(index, 1);
    const { key } = receiver.selection;
    const left = this.#wanted.get(key)! - 1;
    if (left > 0) this.#wanted.set(key, left);
    else this.#wanted.delete(key);
  }
  #rejectAll(error: unknown): void {
    this.#wanted.clear();
    for (const { pending } of this.#receivers.splice(0)) pending.reject(error);
  }
  /** Whether a receiver whose time is up is served after all: it may not have had its one try yet, or the event loop is late. */
  #serveLate(receiver: Receiver): boolean {
    const wait = this.#waits.get(receiver.selection.key);
    if (wait !== undefined && !wait.ended) return false; // there is nothing for it
    this.serve();
    return !this.#receivers.includes(receiver);
  }
  /** Has a thread wait for such a message, if there is none yet. It ends at once if the message is there. */
  #watch(receiver: Receiver): void {
    const { key } = receiver.selection;
    if (this.#waits.has(key)) return;
    const rested = this.#resting.get(key);
    if (rested !== undefined) {
      this.#resting.delete(key);
      this.#waits.set(key, rested);
      native.msgWaitResume(rested.event);
      rested.listen();
      return;
    }
    try {
      const wait = new HelperWait(startWait(this.#id, receiver.selection), (error) => {
        if (error !== undefined) {
          this.fail(error);
          return;
        }
        this.#rest(key, wait);
        this.serve();
      });
      this.#waits.set(key, wait);
    } catch (error) {
      this.#remove(receiver);
      receiver.pending.reject(error);
    }
  }
  /** Ends the waits that are not needed any more. */
  #trim(): void {
    if (this.#waits.size === 0) return;
    for (const [key, wait] of this.#waits) if (!this.#wanted.has(key)) this.#finish(key, wait, true);
  }
  /** Takes what the thread got, and keeps the thread until the end of this turn of the event loop. */
  #rest(key: string, wait: HelperWait): void {
    this.#waits.delete(key);
    if (this.#resting.size === 0) setImmediate(() => this.#dismiss());
    this.#resting.set(key, wait);
    this.#settle(outcome(native.msgWaitRest(wait.event, typeOut)));
  }
  #dismiss(): void {
    for (const wait of this.#resting.values()) finishWait(wait.leave(), false);
    this.#resting.clear();
  }
  #finish(key: string, wait: HelperWait, cancel: boolean): void {
    this.#waits.delete(key);
    this.#settle(finishWait(wait.leave(), cancel));
  }
  #settle(result: SysVMessage | boolean | number): void {
    if (typeof result === 'object') {
      if (this.#deliver(result) === undefined) this.#putBack(result);
    } else if (typeof result === 'number') {
      // The queue is removed or not readable for us: that holds for all receivers.
      this.#rejectAll(this.#failed(result));
    }
  }
  #putBack(message: SysVMessage): void {
    // Fails if the queue is removed, or full of messages without content.
    if (native.msgsnd(this.#id, message.type, message.content, IPC_NOWAIT) === EAGAIN) this.#held.push(message);
  }
}
