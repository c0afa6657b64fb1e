/**
 * What two connected processes share, and what both directions of a connection have in common: the memory, the bell, the liveness of the
 * peer.
 *
 *     the memory, a sealed memfd
 *     byte     0  control block of the ring from the listener to the connector (see ring/layout.ts)
 *            512  control block of the other
 *           4096  data of the first, then of the second
 */

import { RingConsumer } from '../../lock-free/ring/consumer.js';
import { CONTROL } from '../../lock-free/ring/layout.js';
import { RingProducer } from '../../lock-free/ring/producer.js';
import { closed, closeIfOwned, type Remains, whenDropped } from '../../system/dropped.js';
import { ClosedError, type CorruptError, PeerDiedError } from '../../system/errors.js';
import { KeepAlive } from '../../system/keep-alive.js';
import type { Mapping } from '../../system/memory.js';
import { own } from '../../system/owned-descriptor.js';
import type { Credentials } from '../../system/socket-option.js';
import type { WaitQueue } from '../../system/wait-queue.js';
import type { Statistics } from '../directory/statistics.js';
import { Bell } from './bell.js';

const DATA = 4096;

/** The result of the handshake. */
export interface Terms {
  /** Bytes of the ring that the listener writes to, and of the one that the connector writes to. */
  readonly listenerCapacity: number;
  readonly connectorCapacity: number;
  /** The longest message that the peer accepts, in bytes. */
  readonly peerTakes: number;
  /** The longest message that this side accepts. */
  readonly takes: number;
  /** Whether barriers of this side reach the peer, see ring/layout.ts. */
  readonly barriers: boolean;
}

/** The bytes of memory for these terms. */
export function linkSize({
  listenerCapacity,
  connectorCapacity,
}: Pick<Terms, 'listenerCapacity' | 'connectorCapacity'>): number {
  return DATA + listenerCapacity + connectorCapacity;
}

export class Link {
  /** `connection 'jobs' to pid 42`, for errors. */
  readonly what: string;
  readonly peer: Credentials;
  readonly terms: Terms;
  readonly bell: Bell;
  /** For all waits on the peer, in either direction. */
  readonly keepAlive: KeepAlive = new KeepAlive();
  readonly out: RingProducer;
  readonly in: RingConsumer;
  readonly buffer: ArrayBuffer;
  readonly #memory: Mapping;
  /** Closed or damaged: {@link use} throws. */
  broken = false;
  #closed = false;
  #damage: CorruptError | undefined;
  readonly #remains: Remnant;

  /** Takes over the descriptor of the socket and the memory. */
  constructor(
    name: string,
    role: 'listener' | 'connector',
    fd: number,
    memory: Mapping,
    terms: Terms,
    peer: Credentials,
  ) {
    this.what = `connection '${name}' to process ${peer.pid}`;
    this.peer = peer;
    this.terms = terms;
    this.#memory = memory;
    const { buffer } = memory;
    this.buffer = buffer;
    const { listenerCapacity, connectorCapacity } = terms;
    const dataOfSecond = DATA + listenerCapacity;
    if (role === 'listener') {
      this.out = new RingProducer(buffer, 0, DATA, listenerCapacity);
      this.in = new RingConsumer(buffer, CONTROL, dataOfSecond, connectorCapacity);
    } else {
      this.out = new RingProducer(buffer, CONTROL, dataOfSecond, connectorCapacity);
      this.in = new RingConsumer(buffer, 0, DATA, listenerCapacity);
    }
    this.in.mayBeBusy = terms.barriers;
    this.bell = new Bell(fd);
    const me = new WeakRef(this); // the remains must not refer to this object
    this.out.onDamage = this.in.onDamage = (error) => me.deref()?.fail(error);
    this.#remains = new Remnant(this, own(fd), memory, me);
    whenDropped(this, this.#remains);
    open.add(me);
  }
  get closed(): boolean {
    return this.#closed;
  }
  /** Throws if this side is closed, or the connection was found damaged. */
  use(): void {
    if (this.#closed) throw new ClosedError(this.what);
    if (this.#damage !== undefined) throw this.#damage;
  }
  /** The peer violates the protocol: hang up, and let each operation from now on throw the error. */
  fail(error: CorruptError): void {
    if (this.#closed || this.#damage !== undefined) return;
    this.#damage = error;
    this.broken = true;
    this.bell.hangUp();
  }
  /** The waiters on the bell, one queue for each direction. */
  get waitQueues(): WaitQueue[] {
    return this.#remains.waitQueues;
  }
  /** Where to publish the counters, and what to call when that ends. */
  account(statistics: Statistics, over: () => void): void {
    this.#remains.statistics = statistics;
    this.#remains.over = over;
  }
  /**
   * Reads the wake-ups of the bell, on behalf of `waitQueue`. One of them may have been meant for the other direction, which the event loop
   * will not notify any more. So that one tries again, but only after the caller has finished.
   */
  quiet(waitQueue: WaitQueue): void {
    if (!this.bell.quiet()) return;
    for (const other of this.waitQueues) if (other !== waitQueue && !other.idle) queueMicrotask(() => other.retry());
  }
  /**
   * The error of an operation that needs the peer, once the peer's end of the bell is closed or the peer has announced (`closed`) that it
   * has closed.
   */
  gone(closed: boolean): ClosedError | PeerDiedError | CorruptError {
    if (this.#damage !== undefined) return this.#damage;
    if (closed) return new ClosedError(`${this.what} (by the peer)`);
    return new PeerDiedError(
      `${this.what}: the peer died, or exited without close(). Everything that it had sent was delivered. Connect again`,
    );
  }
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.broken = true;
    closed(this.#remains);
    this.#remains.end();
    this.bell.close();
    this.#memory.unmap();
  }
}
/**
 * Closes a connection that was dropped, when neither the program nor a pending operation refers to it any more. The peer sees it as closed.
 */
class Remnant implements Remains {
  readonly what: string;
  readonly waitQueues: WaitQueue[] = [];
  statistics: Statistics | undefined;
  over: (() => void) | undefined;
  readonly #out: RingProducer;
  readonly #in: RingConsumer;
  readonly #bell: Bell;
  readonly #serial: number;
  readonly #memory: Mapping;
  readonly #link: WeakRef<Link>;

  constructor(link: Link, serial: number, memory: Mapping, reference: WeakRef<Link>) {
    this.what = link.what;
    this.#out = link.out;
    this.#in = link.in;
    this.#bell = link.bell;
    this.#serial = serial;
    this.#memory = memory;
    this.#link = reference;
  }
  end(): void {
    open.delete(this.#link);
    this.statistics?.close();
    this.over?.();
    this.#out.end();
    this.#in.end();
  }
  abandon(): boolean {
    for (const waitQueue of this.waitQueues) waitQueue.close();
    this.end();
    this.#bell.ended = true; // it may be about to ring again, with a number that belongs to another file then
    const ours = closeIfOwned(this.#bell.fd, this.#serial);
    this.#memory.unmap();
    return ours;
  }
}

/** A program that exits with code 0 closes its connections. One that fails does not, so its peers learn of it. */
const open = new Set<WeakRef<Link>>();
process.on('exit', (code) => {
  if (code === 0) for (const link of [...open]) link.deref()?.close();
});
