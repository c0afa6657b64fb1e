/** epoll(7): a set of descriptors that stays in the kernel, so a wait costs by the number of ready descriptors, not of watched ones. */

import { checkDescriptor, checkInteger, type OptionNames } from '../../system/arguments.js';
import { mayGoOn, nextTurn } from '../../system/cooperative-budget.js';
import { Deadline, type SyncWaitOptions, WAIT_OPTIONS, type WaitOptions } from '../../system/deadline.js';
import { closed, closeIfOwned, type Remains, whenDropped } from '../../system/dropped.js';
import { epollCreate, epollCtl, epollRoom, epollWait } from '../../system/epoll.js';
import { ClosedError, SystemError } from '../../system/errors.js';
import { close } from '../../system/file.js';
import { KeepAlive } from '../../system/keep-alive.js';
import { constants } from '../../system/native.js';
import { own } from '../../system/owned-descriptor.js';
import { Readiness } from '../../system/readiness.js';
import { decodeEvents, type Events, INTERESTS, type Interest, interestBits } from './events.js';
import { type Timeout, timeoutOptions } from './timeout.js';

/** What an epoll watches a descriptor for, and how it reports. Without a flag it reports as long as the state lasts (level-triggered). */
export interface EpollInterest extends Interest {
  /** Report once each time that something new happens; then read until nothing is left (EPOLLET). */
  edge?: boolean | undefined;
  /** Report once, then not again before `modify()` (EPOLLONESHOT). */
  oneShot?: boolean | undefined;
  /** If several epolls watch the same open file, wake at least one, not all (EPOLLEXCLUSIVE). */
  exclusive?: boolean | undefined;
}
/** A descriptor that is ready. */
export interface EpollEvent<Data = unknown> {
  /** The descriptor. */
  fd: number;
  /** Its state. */
  events: Events;
  /** The `data` passed to `add()` or `modify()`. */
  data: Data;
}
/** The most events that one wait returns. Default: 256; at most 65536. The rest come with the next wait. */
interface MaxEvents {
  /** 1 to 65536. */
  maxEvents?: number | undefined;
}
/** How long a wait may take, and how many events it may return. */
export type EpollWaitOptions = WaitOptions & MaxEvents;
/** As {@link EpollWaitOptions}, for a wait that blocks the thread. */
export type EpollSyncWaitOptions = SyncWaitOptions & MaxEvents;

const OPTIONS: OptionNames<EpollWaitOptions> = { maxEvents: true, ...WAIT_OPTIONS };

const BITS: Readonly<Record<string, number>> = {
  ...INTERESTS,
  edge: constants['EPOLLET']!,
  oneShot: constants['EPOLLONESHOT']!,
  exclusive: constants['EPOLLEXCLUSIVE']!,
};

/**
 * A set of descriptors, and which of them are ready. Any kind but regular files and directories (`EPERM`: they are always ready). A closed
 * descriptor leaves the set by itself, once no copy of it is open either; better `remove()` it first.
 *
 * The epoll's own descriptor is readable while something is ready: another `Epoll`, `poll`, `select` or `readable()` can wait for it.
 *
 * @example
 * ```ts
 * import { readiness } from 'vecino';
 * import { pipe2, write } from 'vecino/system';
 *
 * const [reader, writer] = pipe2();
 * using epoll = new readiness.Epoll<string>();
 * epoll.add(reader, { read: true }, 'pipe');
 * setTimeout(() => write(writer, new Uint8Array(1)), 10);
 * for (const { events, data } of await epoll.wait({ timeout: 1000 })) {
 *   console.log(data, events.read); // pipe true
 * }
 * ```
 */
export class Epoll<Data = unknown> implements AsyncIterable<EpollEvent<Data>[]>, Disposable, AsyncDisposable {
  readonly #fd = epollCreate();
  readonly #what = `epoll (fd ${this.#fd})`;
  readonly #keepAlive = new KeepAlive();
  readonly #readiness = new Readiness(this.#fd, this.#what, this.#keepAlive);
  readonly #data = new Map<number, Data | undefined>();
  /** The waiting calls; the first is served, then the others check again. */
  readonly #waiting: object[] = [];
  #room = epollRoom(0);
  #roomFor = 0;
  readonly #remains = remainsOf(this.#what, this.#fd, this.#readiness);
  #closed = false;

  constructor() {
    whenDropped(this, this.#remains);
  }

  /** The epoll's own descriptor. */
  get fd(): number {
    this.#use();
    return this.#fd;
  }
  /** Watches a descriptor. It can be in the set once (`EEXIST`); `data` comes back with its events. */
  add(fd: number, interest: EpollInterest, data?: Data): void {
    const bits = interestBits('interest', interest, BITS);
    this.#use();
    epollCtl(this.#fd, 'add', fd, bits);
    this.#data.set(fd, data);
  }
  /** Watches it for something else, or again after `oneShot`. Without `data` it keeps the previous value. */
  modify(fd: number, interest: EpollInterest, ...data: [data?: Data]): void {
    const bits = interestBits('interest', interest, BITS);
    this.#use();
    epollCtl(this.#fd, 'modify', fd, bits);
    if (data.length > 0) this.#data.set(fd, data[0]);
  }
  /** Stops watching it. Returns `false` if it was closed before, and so was not in the set any more. */
  remove(fd: number): boolean {
    this.#use();
    const known = this.#data.has(checkDescriptor('fd', fd));
    try {
      epollCtl(this.#fd, 'remove', fd);
      return true;
    } catch (error) {
      if (known && error instanceof SystemError && ['EBADF', 'ENOENT'].includes(error.code)) return false;
      throw error;
    } finally {
      this.#data.delete(fd);
    }
  }

  /**
   * Resolves with what is ready, once at least one descriptor is. Does not block the event loop, and uses no thread. Several waits are
   * served in order.
   * @param options milliseconds, or {@link EpollWaitOptions}
   * @throws TimeoutError when the time is up
   */
  async wait(options?: Timeout<EpollWaitOptions>): Promise<EpollEvent<Data>[]> {
    const { most, deadline } = this.#prepare(options);
    if (deadline.signal?.aborted) throw deadline.signal.reason;
    const me = {};
    let mayLook = this.#waiting.push(me) === 1;
    try {
      if (!mayGoOn()) await nextTurn();
      for (;;) {
        this.#use();
        // Serve one each time that the set becomes ready. A wait queue does not work here: what the first one gets stays ready until its
        // caller has read, and the next must not get it too.
        const first = this.#waiting[0] === me;
        const events = first && (mayLook || deadline.expired) ? this.#take(most, 0) : undefined;
        if (events !== undefined) return events;
        if (deadline.expired) throw deadline.error();
        await this.#readiness.readable(deadline);
        mayLook = first;
      }
    } finally {
      this.#waiting.splice(this.#waiting.indexOf(me), 1);
    }
  }
  /** Returns what is ready now; `undefined` if nothing is. */
  tryWait(options?: MaxEvents): EpollEvent<Data>[] | undefined {
    return this.#take(this.#prepare(options).most, 0);
  }
  /** Blocks the thread until at least one descriptor is ready. */
  waitSync(options?: Timeout<EpollSyncWaitOptions>): EpollEvent<Data>[] {
    const { most, deadline } = this.#prepare(options);
    for (let first = true; ; first = false) {
      const events = this.#take(most, first && deadline.expired ? 0 : deadline.block());
      if (events !== undefined) return events;
    }
  }
  /** What is ready, again and again, until the set is closed. Leaving the loop leaves the set open. */
  async *[Symbol.asyncIterator](): AsyncGenerator<EpollEvent<Data>[], void, undefined> {
    try {
      for (;;) yield await this.wait();
    } catch (error) {
      if (!(this.#closed && error instanceof ClosedError)) throw error;
    }
  }

  /** A pending wait keeps the program running. This is the default. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /** A pending wait, now or later, does not keep the program running. */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /** Closes the set; the descriptors in it stay open. Pending waits end with {@link ClosedError}. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closed(this.#remains);
    this.#readiness.close();
    this.#data.clear();
    close(this.#fd);
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #use(): void {
    if (this.#closed) throw new ClosedError(this.#what);
  }
  #prepare(options: Timeout<EpollWaitOptions> | undefined): { most: number; deadline: Deadline } {
    const given = timeoutOptions(options);
    const most = checkInteger('options.maxEvents', given?.maxEvents ?? 256, 1, 65536);
    const deadline = new Deadline(`wait for ${this.#what}`, given, OPTIONS);
    this.#use();
    if (most > this.#roomFor) {
      this.#room = epollRoom(most);
      this.#roomFor = most;
    }
    return { most, deadline };
  }
  #take(most: number, milliseconds: number): EpollEvent<Data>[] | undefined {
    const count = epollWait(this.#fd, this.#room, most, milliseconds);
    if (count === 0) return undefined;
    return Array.from({ length: count }, (_, index) => {
      const fd = this.#room[2 * index]!;
      return { fd, events: decodeEvents(this.#room[2 * index + 1]!), data: this.#data.get(fd) as Data };
    });
  }
}

function remainsOf(what: string, fd: number, readiness: Readiness): Remains {
  const serial = own(fd);
  return {
    what,
    abandon() {
      readiness.close();
      return closeIfOwned(fd, serial);
    },
  };
}
