/**
 * What two processes share once they are connected, and what both directions of a connection have in common: the memory, the bell,
 * whether the peer is there.
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

/** What the two have agreed on. */
export interface Terms {
  /** Bytes of the ring that the listener writes to, and of the one that the connector writes to. */
  readonly listenerCapacity: number;
  readonly connectorCapacity: number;
  /** The longest message that the peer takes, in bytes. */
  readonly peerTakes: number;
  /** The longest message that this side takes. */
  readonly takes: number;
  /** Whether barriers of this side reach the peer, see ring/layout.ts. */
  readonly barriers: boolean;
}

/** How much memory that needs. */
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
  /** Of what waits for the peer, in either direction. */
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

  /** Takes the descriptor of the socket and the memory over. */
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
    const me = new WeakRef(this); // what is left of us must not lead to us
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
  /** The peer breaks the rules: no more of it. It is hung up on, and each operation from now on throws the error. */
  fail(error: CorruptError): void {
    if (this.#closed || this.#damage !== undefined) return;
    this.#damage = error;
    this.broken = true;
    this.bell.hangUp();
  }
  /** Those who wait for the bell, one line for each direction. */
  get waitQueues(): WaitQueue[] {
    return this.#remains.waitQueues;
  }
  /** Where what passes is written down, and who is told when that ends. */
  account(statistics: Statistics, over: () => void): void {
    this.#remains.statistics = statistics;
    this.#remains.over = over;
  }
  /**
   * Takes the strokes of the bell, on behalf of `line`. One of them may have been meant for the other, which will then not be told
   * by the event loop any more: it tries again, but not before the caller is through.
   */
  quiet(waitQueue: WaitQueue): void {
    if (!this.bell.quiet()) return;
    for (const other of this.waitQueues) if (other !== waitQueue && !other.idle) queueMicrotask(() => other.retry());
  }
  /** The error of an operation that needs the peer, once its end of the bell is closed or it has said (`closed`) that it has closed. */
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
 * What is seen to when nobody refers to a connection any more, neither by itself nor by something that is pending: the peer learns that it
 * has been closed.
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
    this.#bell.ended = true; // it may be about to ring again, by a number that is somebody else's then
    const ours = closeIfOwned(this.#bell.fd, this.#serial);
    this.#memory.unmap();
    return ours;
  }
}

/** A program that ends well has closed; one that fails has not, and its peers shall know. */
const open = new Set<WeakRef<Link>>();
process.on('exit', (code) => {
  if (code === 0) for (const link of [...open]) link.deref()?.close();
});
