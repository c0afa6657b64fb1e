/** One to one, ordered, in both directions, through memory that both processes have mapped. */
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
 * One end of a connection between two processes (or threads), created by `listen` and `connect`.
 *
 * A message is written to shared memory and read there: no system call, unless the other side sleeps. Messages arrive whole, in order,
 * once. A message that is longer than the ring travels in fragments, which you do not notice.
 *
 * When the peer is killed, at whatever instruction, everything that it had sent is delivered. After that your calls fail with a
 * `PeerDiedError`. If the peer closes, or exits with code 0, it is a `ClosedError` instead, and the end of a `for await`.
 *
 * A connection belongs to the thread that created it. An open connection does not keep the program running; a pending wait does, unless you
 * call {@link unref}.
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

  /** The peer's credentials when it connected or began to listen, as reported by the kernel. */
  get peer(): Credentials {
    return this.#link.peer;
  }
  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#link.closed;
  }
  /** @internal The longest message that the peer accepts, encoded. */
  get peerTakes(): number {
    return this.#link.terms.peerTakes;
  }
  /** @internal For an owner that spins by itself, and then waits by {@link receiveAsleep}. */
  get spin(): Spin {
    return this.#receiver.spin;
  }
  /** @internal As {@link receive}, but without spinning before it sleeps. */
  receiveAsleep(): Promise<R> {
    return this.#receiver.receiveAsleep();
  }
  /**
   * @internal Ends the pending receives with `error`: for an owner that needs no signal for it, which would cost each receive something.
   */
  dismissReceivers(error: unknown): void {
    if (!this.#link.closed) this.#receiver.waitQueue.dismiss(error);
  }
  /** @internal Asks the kernel whether the peer has gone. What it had sent can still be received. */
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
    /** Messages sent. */
    sent: number;
    /** Bytes of those messages, encoded. */
    sentBytes: number;
    /** Messages received. */
    received: number;
    /** Bytes of those messages, encoded. */
    receivedBytes: number;
  } {
    const { messages: sent, bytes: sentBytes } = this.#sender;
    const { messages: received, bytes: receivedBytes } = this.#receiver;
    return { sent, sentBytes, received, receivedBytes };
  }

  /** @internal Publishes the counters until the connection closes. */
  account(statistics: Statistics, closed: () => void): void {
    this.#link.account(statistics, closed);
    this.#sender.statistics = statistics;
    this.#receiver.statistics = statistics;
  }

  /**
   * Sends a message; waits while the ring is full, without blocking the event loop. When it resolves, the message is in the peer's memory,
   * and is delivered even if this process is killed then. A time-out or abort means that it was not sent.
   *
   * @throws MessageTooLargeError if the peer does not accept a message of that size
   * @throws ClosedError, PeerDiedError
   */
  send(value: T, options?: WaitOptions): Promise<void> {
    return this.#sender.send(value, options);
  }
  /**
   * Sends a message if there is room for it now, and no earlier send waits; otherwise returns false. The message must fit in one piece,
   * which is three eighths of the capacity; use {@link send} for longer ones.
   */
  trySend(value: T): boolean {
    return this.#sender.trySend(value);
  }
  /** As {@link send}, but blocks the thread; pending sends go first. */
  sendSync(value: T, options?: SyncWaitOptions): void {
    this.#receiver.flush();
    this.#sender.sendSync(value, options);
  }
  /**
   * Returns the next message. A time-out or abort loses no message.
   *
   * @throws ClosedError once the peer has closed and everything that it had sent was received
   * @throws PeerDiedError if the peer died, or exited without closing
   */
  receive(options?: WaitOptions): Promise<R> {
    return this.#receiver.receive(options);
  }
  /** Returns the next message if there is one; otherwise undefined. At the end it throws as {@link receive} does. */
  tryReceive(): R | undefined {
    return this.#receiver.tryReceive();
  }
  /** As {@link receive}, but blocks the thread; pending receives are served first. */
  receiveSync(options?: SyncWaitOptions): R {
    return this.#receiver.receiveSync(options);
  }
  /**
   * Passes all messages that are there, at most `limit`, to `visit` where they lie: without copying, decoding or allocating. Of messages
   * that arrive meanwhile it passes at most one ring's worth, so it ends however fast the peer is. Read the bytes during the call only, and
   * copy what you check: a hostile peer can change them meanwhile. Returns the number of messages. If `visit` throws, its message counts as
   * received.
   */
  drain(visit: Visit, limit?: number): number {
    return this.#receiver.drain(visit, limit);
  }
  /**
   * Reserves room for a message of `length` bytes in the peer's memory. Fill it in and commit it: the codec is not used, and nothing is
   * copied. At most three eighths of the capacity. There is one loan at a time, and nothing else can be sent meanwhile.
   *
   * @throws FullError if there is no room now, see {@link tryReserve}
   */
  reserve(length: number): Loan {
    const loan = this.#sender.tryReserve(length);
    if (loan === null) throw new FullError(`${this.#link.what}: no room for ${length} bytes now`);
    return loan;
  }
  /** As {@link reserve}, but returns null if there is no room now. */
  tryReserve(length: number): Loan | null {
    return this.#sender.tryReserve(length);
  }
  /** The messages until the peer or this side closes. Leaving the loop leaves the connection open. */
  [Symbol.asyncIterator](): AsyncIterableIterator<R> {
    return new Loop(this.#receiver);
  }
  /**
   * Ends the sending side, after the pending sends. Commit or discard a loan first. The peer's receive ends once it has received
   * everything; this side can still receive.
   */
  end(options?: WaitOptions): Promise<void> {
    return this.#sender.end(options);
  }
  /** Two Node streams in object mode, one chunk per message. Do not receive in other ways as well. */
  toStreams(): {
    /** What the peer sends; ends when the peer ends. */
    readable: Readable;
    /** What is sent to the peer; ending it calls {@link end}. */
    writable: Writable;
  } {
    return streams(this);
  }

  /** Pending waits keep the program running. This is the default. */
  ref(): this {
    this.#link.keepAlive.ref();
    return this;
  }
  /** Pending waits, now and later, do not keep the program running. */
  unref(): this {
    this.#link.keepAlive.unref();
    return this;
  }
  /**
   * Closes the connection; pending waits end with ClosedError. The peer still receives what was sent, and then learns that this side has
   * closed. Idempotent.
   */
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
