/**
 * Sends to one System V queue that wait in the event loop. The oldest waits in a helper thread, in msgsnd(2) itself; an interrupted
 * msgsnd(2) has not sent (native/sysv_message.c).
 */

import { budgetIsSpent, mayGoOn, oncePerTurn } from '../system/cooperative-budget.js';
import type { Deadline } from '../system/deadline.js';
import { EINTR } from '../system/errno.js';
import { TimeoutError } from '../system/errors.js';
import { checkStarted, HelperWait } from '../system/helper-wait.js';
import type { KeepAlive } from '../system/keep-alive.js';
import { native } from '../system/native.js';
import { Pending } from '../system/pending.js';

/** Starts a helper thread that sends a message. Its eventfd. */
export function startSend(id: number, type: number, bytes: Uint8Array): number {
  return checkStarted(native.msgSendStart(id, type, bytes), 'Each send that waits');
}
/** Ends or interrupts such a send: `true` if it has sent, `false` if it was interrupted before, or another errno negated. */
export function finishSend(event: number, cancel: boolean): boolean | number {
  const result = native.msgSendFinish(event, cancel);
  return result === 0 ? true : result === EINTR ? false : result;
}

interface Sender {
  type: number;
  bytes: Uint8Array;
  pending: Pending<void>;
}

export class SysVSenders {
  readonly #id: number;
  readonly #put: (type: number, bytes: Uint8Array) => boolean;
  readonly #failed: (result: number, length: number) => Error;
  readonly #keepAlive: KeepAlive;
  #senders: Sender[] = [];
  readonly #serveLater = oncePerTurn(() => this.serve());
  /** The wait of the first sender. */
  #wait: HelperWait | undefined;

  /**
   * @param put sends if there is room at once, `false` if not; throws, also if there can never be room
   * @param failed the error for what a wait ended with
   */
  constructor(
    id: number,
    put: (type: number, bytes: Uint8Array) => boolean,
    failed: (result: number, length: number) => Error,
    keepAlive: KeepAlive,
  ) {
    this.#id = id;
    this.#put = put;
    this.#failed = failed;
    this.#keepAlive = keepAlive;
  }
  /** Whether a send may be tried at once: no earlier one waits, and the event loop does not need its turn first. */
  enter(): boolean {
    return this.#senders.length === 0 && mayGoOn();
  }
  /** Whether the queue of senders is empty, as far as is known now. */
  settled(): boolean {
    if (this.#senders.length > 0) this.serve();
    return this.#senders.length === 0;
  }
  join(type: number, bytes: Uint8Array, deadline: Deadline): Promise<void> {
    const sender: Sender = {
      type,
      bytes: bytes.slice(),
      pending: new Pending(deadline, (error) => this.#giveUp(sender, error), this.#keepAlive),
    };
    this.#senders.push(sender);
    if (budgetIsSpent()) this.#serveLater();
    else this.serve();
    return sender.pending.promise;
  }
  /** Sends what there is room for, oldest first, and has a thread wait to send the next. */
  serve(): void {
    if (this.#wait?.ended === true) this.#finish(this.#wait);
    while (this.#wait === undefined && this.#senders.length > 0) {
      const { type, bytes, pending } = this.#senders[0]!;
      try {
        if (!this.#put(type, bytes)) {
          const wait = new HelperWait(startSend(this.#id, type, bytes), (error) => {
            if (error !== undefined) {
              this.fail(error);
              return;
            }
            this.#finish(wait);
            this.serve();
          });
          this.#wait = wait;
          return;
        }
        this.#senders.shift();
        pending.resolve();
      } catch (error) {
        this.#senders.shift();
        pending.reject(error);
      }
    }
  }
  /** Ends all with `error`, except one that has just been sent. */
  fail(error: unknown): void {
    while (this.#senders.length > 0) this.#interrupt(this.#senders.at(-1)!, error);
  }

  #finish(wait: HelperWait): void {
    this.#wait = undefined;
    const { pending, bytes } = this.#senders.shift()!;
    const result = finishSend(wait.leave(), false);
    if (typeof result === 'number') pending.reject(this.#failed(result, bytes.length));
    else pending.resolve();
  }
  #giveUp(sender: Sender, error: unknown): void {
    if (error instanceof TimeoutError) this.serve(); // it may not have had its one try yet, or the event loop is late
    this.#interrupt(sender, error);
    if (this.#wait !== undefined || this.#senders.length === 0) return;
    // When many give up at once, do not start a thread for each that was about to be first.
    this.#serveLater();
  }
  #interrupt(sender: Sender, error: unknown): void {
    const index = this.#senders.indexOf(sender);
    if (index < 0) return;
    this.#senders.splice(index, 1);
    if (index > 0 || this.#wait === undefined) {
      sender.pending.reject(error);
      return;
    }
    const result = finishSend(this.#wait.leave(), true);
    this.#wait = undefined;
    if (result === true) sender.pending.resolve();
    else sender.pending.reject(typeof result === 'number' ? this.#failed(result, sender.bytes.length) : error);
  }
}
