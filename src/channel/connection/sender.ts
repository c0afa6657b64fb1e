/**
 * The sending half of a connection: values to records, in three blocking modes.
 *
 * Guarantee: a message counts as sent when its record, or its last fragment, is committed. If the sender is killed, aborted or times out
 * before that, the message was not sent: the receiver drops fragments without their last.
 */

import { FIRST_FRAGMENT, LAST_FRAGMENT, longestRecord, MESSAGE, MIDDLE_FRAGMENT } from '../../lock-free/ring/layout.js';
import type { RingProducer } from '../../lock-free/ring/producer.js';
import { checkInteger } from '../../system/arguments.js';
import { Deadline, type SyncWaitOptions, type WaitOptions } from '../../system/deadline.js';
import { ClosedError, IpcError, MessageTooLargeError, NotEncodableError } from '../../system/errors.js';
import { commitTime, type Spin } from '../../system/spin.js';
import { type Task, WaitQueue } from '../../system/wait-queue.js';
import type { Coder } from '../codec/index.js';
import type { Statistics } from '../directory/statistics.js';
import { PREFIX } from './fragment-assembler.js';
import type { Link } from './link.js';
import { Loan } from './loan.js';

/** The result of a send that need not wait. */
const sent: Promise<void> = Promise.resolve();
/** In place of a loan while a value is encoded directly into the ring. */
const ENCODING: unique symbol = Symbol('encoding');

export class Sender<T> {
  readonly waitQueue: WaitQueue;
  /** Messages and bytes so far. */
  messages = 0;
  bytes = 0;
  statistics: Statistics | undefined;
  readonly #link: Link;
  readonly #ring: RingProducer;
  readonly #coder: Coder<T, unknown>;
  readonly #spin: Spin;
  /** The longest message in one record. */
  readonly #whole: number;
  /** The longest fragment. Several fit in the ring, so that both sides can work. */
  readonly #part: number;
  #loan: Loan | typeof ENCODING | undefined;
  #ended = false;
  /** There is a loan, or the end was sent. */
  #busy = false;
  readonly #peerTakes: number;
  /** All values have this length and are encoded directly into the ring; 0: not so. */
  readonly #direct: number;

  constructor(link: Link, coder: Coder<T, unknown>, spin: Spin) {
    this.#link = link;
    this.#ring = link.out;
    this.#coder = coder;
    this.#spin = spin;
    this.#peerTakes = link.terms.peerTakes;
    this.#whole = longestRecord(link.out.capacity);
    this.#part = link.out.capacity >> 3;
    const { fixedLength = 0 } = coder;
    this.#direct = fixedLength <= Math.min(this.#whole, this.#peerTakes) ? fixedLength : 0;
    this.waitQueue = new WaitQueue(link.bell.fd, link.what, 'readable', link.keepAlive);
    link.waitQueues.push(this.waitQueue);
  }

  trySend(value: T): boolean {
    if (this.#link.broken || this.#busy) this.#use();
    if (!this.waitQueue.idle) return false;
    if (this.#direct !== 0) return this.#tryDirect(value);
    const payload = this.#encode(value);
    if (payload.length > this.#whole) {
      throw new MessageTooLargeError(
        `${this.#link.what}: trySend() of ${payload.length} bytes failed: a ring with a capacity of ${this.#ring.capacity} takes at most ${this.#whole} bytes in one piece. Use send() or a larger capacity`,
      );
    }
    if (this.#write(payload)) return true;
    this.#lookAfterPeer();
    return false;
  }
  send(value: T, options?: WaitOptions): Promise<void> {
    try {
      const deadline = options === undefined ? undefined : new Deadline(`send over ${this.#link.what}`, options);
      deadline?.signal?.throwIfAborted();
      this.#use();
      const payload = this.#encode(value);
      const mayTry = this.waitQueue.mayTry();
      if (mayTry && payload.length <= this.#whole && this.#write(payload)) return sent;
      return this.#wait(payload, mayTry, deadline);
    } catch (error) {
      return Promise.reject(error);
    }
  }
  async #wait(payload: Uint8Array, mayTry: boolean, deadline: Deadline | undefined): Promise<void> {
    // A waiting message needs a copy: the coder's memory is reused.
    const task = this.#task(new Uint8Array(payload)); // the slice of a Buffer would not be a copy
    if (mayTry) {
      const attempt = () => task.attempt() === true;
      if (this.#spin.until(attempt) || attempt()) return;
    }
    await this.waitQueue.join(task, deadline);
  }
  sendSync(value: T, options?: SyncWaitOptions): void {
    const deadline = new Deadline(`send over ${this.#link.what}`, options);
    this.#use();
    if (!this.waitQueue.idle) {
      this.waitQueue.finishSync(deadline, () => this.#link.bell.blockSync(deadline));
      this.#use(); // the pending send may have been the end
    }
    const payload = this.#encode(value);
    if (payload.length <= this.#whole && this.#write(payload)) return;
    const task = this.#task(payload);
    const attempt = () => task.attempt() === true;
    while (!this.#spin.until(attempt) && !attempt()) this.#link.bell.blockSync(deadline);
  }
  async end(options?: WaitOptions): Promise<void> {
    const deadline = new Deadline(`end ${this.#link.what}`, options);
    deadline.signal?.throwIfAborted();
    this.#link.use();
    this.#noLoan();
    const finish = (): true => {
      if (this.#ended) return true;
      this.#ended = true;
      this.#busy = true;
      this.#ring.end();
      this.#link.bell.ring(); // whether it sleeps or not: it checks nothing else
      return true;
    };
    if (this.waitQueue.idle) finish();
    else await this.waitQueue.join(finish, deadline);
  }
  /** Null: no room. */
  tryReserve(length: number): Loan | null {
    this.#use();
    checkInteger('length', length, 0);
    if (length > this.#peerTakes) throw this.#tooLarge(length);
    if (length > this.#whole) {
      throw new MessageTooLargeError(
        `${this.#link.what}: reserve() of ${length} bytes failed: a ring with a capacity of ${this.#ring.capacity} takes at most ${this.#whole} bytes in one piece. Use send() or a larger capacity`,
      );
    }
    if (!this.waitQueue.idle) return null;
    const offset = this.#ring.reserve(length);
    if (offset < 0) {
      this.#lookAfterPeer();
      return null;
    }
    this.#busy = true;
    this.#loan = new Loan(this.#link.buffer, offset, length, this.#settle);
    return this.#loan;
  }
  /** Ends pending sends. Call it before the link closes. */
  close(): void {
    this.waitQueue.close();
  }

  readonly #settle = (loan: Loan, length: number): void => {
    if (loan !== this.#loan) return;
    this.#loan = undefined;
    this.#busy = this.#ended;
    if (length < 0) return;
    this.#link.use();
    this.#committed(length, this.#ring.commit(length, MESSAGE));
  };
  #tryDirect(value: T): boolean {
    const ring = this.#ring;
    const length = this.#direct;
    const offset = ring.reserve(length);
    if (offset < 0) {
      this.#lookAfterPeer();
      return false;
    }
    // A getter of the value that sends would write over this place; it gets the error of an open loan.
    this.#loan = ENCODING;
    this.#busy = true;
    try {
      this.#coder.encodeInto!(ring.memory, offset, value);
    } catch (error) {
      this.#link.use(); // a getter may have closed the connection, and with it the memory
      throw error;
    } finally {
      this.#loan = undefined;
      this.#busy = this.#ended;
    }
    this.#committed(length, ring.commit(length, MESSAGE));
    return true;
  }
  #encode(value: T): Uint8Array {
    if (value === undefined) {
      throw new NotEncodableError(
        'value',
        'cannot be sent: it is undefined, which is reserved for "no message". Send null',
      );
    }
    const payload = this.#coder.encode(value);
    if (this.#link.broken || this.#busy) this.#use(); // the value's own code may have closed it, reserved, or ended
    if (payload.length <= this.#peerTakes) return payload;
    throw this.#tooLarge(payload.length);
  }
  #tooLarge(length: number): MessageTooLargeError {
    return new MessageTooLargeError(
      `${this.#link.what}: a message of ${length} bytes is too large: the peer accepts at most ${this.#peerTakes}. Raise its option maxMessageSize`,
    );
  }
  #use(): void {
    this.#link.use();
    if (this.#ended) throw this.#over();
    this.#noLoan();
  }
  #over(): ClosedError {
    return new ClosedError(`the sending side of ${this.#link.what}`);
  }
  #noLoan(): void {
    if (this.#loan === undefined) return;
    throw new IpcError('ERR_VECINO_LOAN_OPEN', `${this.#link.what}: a loan is still open. Commit or discard it first`);
  }
  #write(payload: Uint8Array): boolean {
    const ring = this.#ring;
    if (!ring.write(payload, MESSAGE)) return false;
    this.#committed(payload.length, ring.quiet);
    return true;
  }
  #committed(length: number, quiet: boolean): void {
    this.messages++;
    this.bytes += length;
    this.statistics?.sent(this.messages, this.bytes);
    if (!quiet) this.#alarm();
  }
  #alarm(): void {
    const what = this.#ring.alarm();
    if (what === 'wake') {
      this.#ring.noteCommit(commitTime());
      this.#link.bell.ring();
    } else if (what === 'closed') throw this.#link.gone(true);
  }
  /** No room: perhaps the peer has stopped reading. */
  #lookAfterPeer(): void {
    const { bell } = this.#link;
    if (!this.#ring.consumerClosed) {
      this.#link.quiet(this.waitQueue);
      if (!bell.ended) return;
    }
    throw this.#link.gone(this.#ring.consumerClosed);
  }
  /** Writes a message that had no room, or has fragments, as far as possible each time. */
  #task(payload: Uint8Array): Task<true> {
    let sent = 0;
    const advance = (): boolean => {
      if (payload.length <= this.#whole) return this.#write(payload);
      while (sent < payload.length) {
        if (!this.#writePart(payload, sent)) return false;
        sent += Math.min(this.#part, payload.length - sent);
      }
      this.messages++;
      this.bytes += payload.length;
      return true;
    };
    return {
      attempt: () => {
        this.#link.use();
        if (this.#ended) throw this.#over(); // it was queued behind the end
        const { bell } = this.#link;
        this.#link.quiet(this.waitQueue);
        if (bell.ended || this.#ring.consumerClosed) throw this.#link.gone(this.#ring.consumerClosed);
        if (advance()) {
          this.#spin.woken(this.#ring.roomTime);
          return true;
        }
        this.#ring.announceSleep();
        if (!advance()) {
          this.#spin.sleeps();
          return undefined;
        }
        this.#ring.awake();
        return true;
      },
    };
  }
  #writePart(payload: Uint8Array, from: number): boolean {
    const count = Math.min(this.#part, payload.length - from);
    const ring = this.#ring;
    const first = from === 0;
    const length = first ? count + PREFIX : count;
    let offset = ring.reserve(length);
    if (offset < 0) return false;
    if (first) {
      ring.words[offset >> 2] = payload.length;
      ring.words[(offset >> 2) + 1] = 0;
      offset += PREFIX;
    }
    ring.memory.set(payload.subarray(from, from + count), offset);
    const kind = first ? FIRST_FRAGMENT : from + count === payload.length ? LAST_FRAGMENT : MIDDLE_FRAGMENT;
    if (!ring.commit(length, kind)) this.#alarm();
    return true;
  }
}
