/** One to one, ordered, in both directions, through memory that both have mapped. */
import type { Readable, Writable } from 'node:stream';
import type { SyncWaitOptions, WaitOptions } from '../../system/deadline.js';
import type { Credentials } from '../../system/socket-option.js';
import type { Spin } from '../../system/spin.js';
import type { Coder } from '../codec/index.js';
import type { Statistics } from '../directory/statistics.js';
import { FullError } from '../full-error.js';
import { Loop } from '../loop.js';
import type { Link } from './link.js';
import type { Loan } from './loan.js';
import { Receiver, type Visit } from './receiver.js';
import { Sender } from './sender.js';
import { streams } from './streams.js';

/**
 * One end of a connection between two processes (or threads), made by `listen` and `connect`.
 *
 * A message is written to shared memory and read there: no system call, unless the other side sleeps. Messages arrive whole, in
 * order, once. One that is longer than the ring travels in parts, which nobody notices.
 *
 * When the peer is killed, at whichever instruction, all that it had sent is delivered, then whoever waits gets a `PeerDiedError`;
 * a peer that closes, or exits with code 0, is a {@link ClosedError} instead, and the end of a `for await`.
 *
 * Belongs to the thread that made it. An open connection does not keep the program running, waiting does, unless {@link unref} was called.
 *
 * @example
 * ```ts
 * import { connect, listen } from 'vecino';
 *
 * await using listener = await listen<{ n: number }>('example-doubler');
 * const [server, client] = await Promise.all([listener.accept(), connect<{ n: number }>('example-doubler')]); // usually in two processes
 * await client.send({ n: 21 });
 * const { n } = await server.receive();
 * await server.send({ n: n * 2 });
 * console.log(await client.receive()); // { n: 42 }
 * client.close();
 * server.close();
 * ```
 */
export class Connection<T, R = T> implements AsyncIterable<R>, Disposable, AsyncDisposable {
  readonly #link: Link;
  readonly #sender: Sender<T>;
  readonly #receiver: Receiver<R>;

  /** @internal */
  constructor(link: Link, coder: Coder<T, R>, spin: Spin) {
    this.#link = link;
    this.#sender = new Sender(link, coder, spin.another());
    this.#receiver = new Receiver(link, coder, spin);
  }

  /** Who the peer was when it connected or began to listen, by the kernel's word. */
  get peer(): Credentials {
    return this.#link.peer;
  }
  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#link.closed;
  }
  /** @internal The longest message that the peer takes, encoded. */
  get peerTakes(): number {
    return this.#link.terms.peerTakes;
  }
  /** @internal For an owner who looks by itself, and then waits by {@link receiveAsleep}. */
  get spin(): Spin {
    return this.#receiver.spin;
  }
  /** @internal As {@link receive}, but without looking for a while before it sleeps. */
  receiveAsleep(): Promise<R> {
    return this.#receiver.receiveAsleep();
  }
  /** @internal Ends the receives that wait, with `error`: for an owner who needs no signal for it, which costs each of them something. */
  dismissReceivers(error: unknown): void {
    if (!this.#link.closed) this.#receiver.waitQueue.dismiss(error);
  }
  /** @internal Asks the kernel whether the peer is still there. What it had sent may still be received. */
  get isOver(): boolean {
    if (this.#link.closed) return true;
    const { bell } = this.#link;
    bell.quiet();
    const over = bell.ended || this.#link.in.producerClosed;
    this.#sender.waitQueue.retry();
    this.#receiver.waitQueue.retry();
    return over;
  }
  /** Messages and bytes (of payload) that this side has sent and received. */
  get counters(): {
    /** Messages that were sent. */
    sent: number;
    /** Bytes of those messages, encoded. */
    sentBytes: number;
    /** Messages that were received. */
    received: number;
    /** Bytes of those messages, encoded. */
    receivedBytes: number;
  } {
    const { messages: sent, bytes: sentBytes } = this.#sender;
    const { messages: received, bytes: receivedBytes } = this.#receiver;
    return { sent, sentBytes, received, receivedBytes };
  }

  /** @internal Has what passes written down, until it closes. */
  account(statistics: Statistics, closed: () => void): void {
    this.#link.account(statistics, closed);
    this.#sender.statistics = statistics;
    this.#receiver.statistics = statistics;
  }

  /**
   * Sends a message; waits, without blocking, while the ring is full. It has arrived in the peer's memory when this resolves, and is
   * read even if this process is killed then. A time-out or abort means that it was not sent.
   *
   * @throws MessageTooLargeError if the peer does not take one as long; ClosedError, PeerDiedError
   */
  send(value: T, options?: WaitOptions): Promise<void> {
    return this.#sender.send(value, options);
  }
  /**
   * Sends a message if there is room for it now (and nobody waits to send). It must fit in one piece, which is three eighths of the
   * capacity; longer ones are for {@link send}.
   */
  trySend(value: T): boolean {
    return this.#sender.trySend(value);
  }
  /** As {@link send}, blocking the thread; sends that wait go first. */
  sendSync(value: T, options?: SyncWaitOptions): void {
    this.#receiver.flush();
    this.#sender.sendSync(value, options);
  }
  /**
   * The next message. A time-out or abort takes none.
   *
   * @throws ClosedError once the peer has closed and all it had sent was received; PeerDiedError if it is gone without closing
   */
  receive(options?: WaitOptions): Promise<R> {
    return this.#receiver.receive(options);
  }
  /** The next message if there is one; undefined: not yet. At the end it throws as {@link receive} does. */
  tryReceive(): R | undefined {
    return this.#receiver.tryReceive();
  }
  /** As {@link receive}, blocking the thread; receives that wait are served first. */
  receiveSync(options?: SyncWaitOptions): R {
    return this.#receiver.receiveSync(options);
  }
  /**
   * Hands all messages that are there, at most `limit`, to `visit` where they lie: without a copy, without decoding, without
   * allocation. Of those that come meanwhile no more than a ring's worth: it comes to an end however fast the peer is. Read the bytes
   * during the call only; a hostile peer could change them meanwhile. Tells how many there were. If `visit` throws, its message counts as
   * received.
   */
  drain(visit: Visit, limit?: number): number {
    return this.#receiver.drain(visit, limit);
  }
  /**
   * Room for a message of `length` bytes in the peer's memory, to be filled in and committed: the codec is not used, nothing is copied.
   * At most three eighths of the capacity. One at a time; nothing else can be sent meanwhile.
   *
   * @throws FullError if there is no room now, see {@link tryReserve}
   */
  reserve(length: number): Loan {
    const loan = this.#sender.tryReserve(length);
    if (loan === null) throw new FullError(`${this.#link.what}: no room for ${length} bytes now`);
    return loan;
  }
  /** As {@link reserve}; null: no room now. */
  tryReserve(length: number): Loan | null {
    return this.#sender.tryReserve(length);
  }
  /** Messages until the peer or this side closes. Leaving the loop leaves the connection open. */
  [Symbol.asyncIterator](): AsyncIterableIterator<R> {
    return new Loop(this.#receiver);
  }
  /**
   * Says that nothing more will be sent, after the sends that wait. A loan must be committed or discarded before. The peer's receive ends
   * once it has had all; this side goes on receiving.
   */
  end(options?: WaitOptions): Promise<void> {
    return this.#sender.end(options);
  }
  /** Two Node streams in object mode, one chunk a message. Do not receive otherwise then. */
  toStreams(): {
    /** What the peer sends; ends when the peer has. */
    readable: Readable;
    /** What is sent to the peer; its end is {@link end}. */
    writable: Writable;
  } {
    return streams(this);
  }

  /** What waits here keeps the program running: so it is unless {@link unref} was called. */
  ref(): this {
    this.#link.keepAlive.ref();
    return this;
  }
  /** What waits here, now or later, does not keep the program running. */
  unref(): this {
    this.#link.keepAlive.unref();
    return this;
  }
  /** Ends what waits with ClosedError. The peer still receives what was sent, and then learns that this side has closed. Idempotent. */
  close(): void {
    if (this.#link.closed) return;
    this.#sender.close();
    this.#receiver.close();
    this.#link.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
