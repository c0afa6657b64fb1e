/** Accepts connections under a name, on a Unix socket. */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import type { UnixServer, UnixSocket } from '../../socket/index.js';
import { checkName, checkOptions, type OptionNames } from '../../system/arguments.js';
import { Deadline, WAIT_OPTIONS, type WaitOptions } from '../../system/deadline.js';
import { closed, type Remains, whenDropped } from '../../system/dropped.js';
import { ClosedError, type IpcError, RemovedError, SystemError } from '../../system/errors.js';
import { KeepAlive } from '../../system/keep-alive.js';
import { readOnly } from '../../system/read-only.js';
import { Spin } from '../../system/spin.js';
import { type AnyCodecName, type Codec, type Coder, coderOf, type ReceivedOf, type ValueOf } from '../codec/index.js';
import { type ChannelKind, type Description, SEATS } from '../directory/control-file.js';
import { DIRECTORY_OPTIONS, type DirectoryOptions, directoryOf } from '../directory/directory.js';
import type { Participant } from '../directory/participant.js';
import { RemovalWatcher } from '../directory/removal-watcher.js';
import { Statistics } from '../directory/statistics.js';
import { Connection } from './connection.js';
import {
  allowedByListener,
  type Host,
  isShortOfDescriptors,
  type LinkOptions,
  linkSettings,
  SHORT_OF_DESCRIPTORS_MS,
  welcome,
} from './handshake.js';
import { Presence } from './presence.js';
import { SpareDescriptor } from './spare.js';
import { MAX_SILENCE_MS, Strangers } from './strangers.js';

/** As many as the kernel allows to wait for an accept: /proc/sys/net/core/somaxconn. */
const BACKLOG = 65_535;

export interface ListenOptions<T> extends LinkOptions {
  /** How values become bytes. Default: `'msgpack'`. The connecting process must use the same codec. */
  codec?: Codec<T>;
  /** Microseconds that a waiter of a connection spins before it sleeps. By default it adapts, and is 0 on one core. */
  spin?: number;
}
/** Also for services. */
export const LISTEN_OPTIONS: OptionNames<ListenOptions<unknown>> = {
  codec: true,
  capacity: true,
  maxMessageSize: true,
  allow: true,
  spin: true,
  ...DIRECTORY_OPTIONS,
};
/** You can pass one object to both sides: `listen` ignores options that only `connect` has. */
export const BOTH_SIDES: OptionNames<ListenOptions<unknown> & WaitOptions> = { ...LISTEN_OPTIONS, ...WAIT_OPTIONS };
interface Waiter<T, R> {
  resolve(connection: Connection<T, R>): void;
  reject(error: unknown): void;
}

/**
 * Accepts connections; created by {@link listen}. As an async iterable it yields connections until it is closed.
 *
 * If its process is killed, its connections end with it, and the name is free again at once.
 */
export class Listener<T, R = T> implements AsyncIterable<Connection<T, R>>, Disposable, AsyncDisposable {
  /** The name that it listens at. */
  readonly name: string;
  readonly #makeCoder: () => Coder<T, R>;
  readonly #makeSpin: () => Spin;
  readonly #host: Host;
  /** Its participant and its socket, and the watcher for their removal. */
  readonly #present: Present;
  /** Why it stopped listening, if it was not closed. */
  #failure: RemovedError | undefined;
  /** Connections that were not accepted yet, and pending accepts. One of the two is empty. */
  readonly #ready: Connection<T, R>[] = [];
  readonly #waiters: Waiter<T, R>[] = [];
  readonly #over = new AbortController();
  /** The statistics of the control file for connections. */
  readonly #perConnection: (Statistics | undefined)[] = new Array<Statistics | undefined>(SEATS).fill(undefined);
  readonly #remains: Remains;
  readonly #keepAlive = new KeepAlive();
  readonly #strangers = new Strangers();
  readonly #spare = new SpareDescriptor();
  #pumping = false;
  /** Ends the wait for the next connecting process, or the pause before it. */
  #accepting: AbortController | undefined;

  /** @internal */
  constructor(
    name: string,
    options: ListenOptions<T>,
    kind: ChannelKind,
    makeCoder: (codec: Codec | undefined) => Coder<T, R> = coderOf,
  ) {
    this.name = checkName('name', name);
    readOnly(this, 'name');
    // Read once: the caller may change the object afterwards.
    const { codec, spin, directory, owner, group } = options;
    const where: DirectoryOptions = { directory, owner, group };
    this.#makeCoder = () => makeCoder(codec);
    this.#makeSpin = () => new Spin(spin);
    this.#makeSpin();
    const settings = linkSettings(this.#makeCoder().name, options, allowedByListener(directoryOf(where, true)));
    this.#host = { name, settings, spare: this.#spare, heard: (socket) => this.#strangers.delete(socket) };
    const wanted: Description = { kind, codec: settings.codec, geometry: {} };
    this.#present = new Present(name, wanted, where);
    try {
      this.#present.enter(this);
      this.#spare.take();
    } catch (error) {
      this.#spare.close();
      this.#present.close();
      throw error;
    }
    this.#remains = remainsOf(`listener '${this.name}'`, this.#ready, this.#perConnection, this.#spare, this.#present);
    whenDropped(this, this.#remains);
  }
  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#over.signal.aborted;
  }
  /**
   * Waits for the next connection, without blocking the event loop. Processes that connect and send nothing, send an invalid request, or
   * belong to another user are dropped, and do not delay the others. While the process has no descriptors left, connections wait.
   */
  async accept(options?: WaitOptions): Promise<Connection<T, R>> {
    const deadline = new Deadline(`accept a connection to '${this.name}'`, options);
    deadline.signal?.throwIfAborted();
    this.#use();
    const connection = this.tryAccept();
    if (connection !== undefined) return connection;
    return new Promise((resolve, reject) => {
      const leave = () => {
        callOff();
        const index = this.#waiters.indexOf(waiter);
        if (index >= 0) {
          this.#waiters.splice(index, 1);
          this.#keepAlive.end();
        }
        if (this.#waiters.length === 0) this.#accepting?.abort();
      };
      const waiter: Waiter<T, R> = {
        resolve(value) {
          leave();
          resolve(value);
        },
        reject(error) {
          leave();
          reject(error);
        },
      };
      const callOff = deadline.onEnd(waiter.reject);
      this.#keepAlive.begin();
      this.#waiters.push(waiter);
      void this.#pump();
    });
  }
  /** Returns a connection that is ready; otherwise undefined. Connections become ready only while an {@link accept} is pending. */
  tryAccept(): Connection<T, R> | undefined {
    this.#use();
    return this.#ready.shift();
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<Connection<T, R>, void, undefined> {
    for (;;) {
      let connection: Connection<T, R>;
      try {
        connection = await this.accept();
      } catch (error) {
        if (error instanceof ClosedError && this.closed) return;
        throw error;
      }
      yield connection;
    }
  }
  /** A pending accept keeps the program running. This is the default. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /** A pending accept, now or later, does not keep the program running. Connections have their own setting. */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /** Frees the name. Accepted connections stay open; the others are closed. Idempotent. */
  close(): void {
    if (this.closed) return;
    this.#end(new ClosedError(`listener '${this.name}'`));
  }
  /** @internal Its name was removed. Takes the name back, unless another process has it by now. */
  lost(error: RemovedError): void {
    if (this.closed) return;
    try {
      this.#present.enter(this, (participant) => {
        for (const statistics of this.#perConnection) statistics?.move(participant);
      });
      this.#accepting?.abort(); // at the socket that no process can find any more
    } catch (cause) {
      this.#failure = new RemovedError(error.message, { cause });
      this.#end(this.#failure);
    }
  }
  #end(error: IpcError): void {
    this.#over.abort(error);
    this.#accepting?.abort();
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    for (const connection of this.#ready.splice(0)) connection.close();
    for (const statistics of this.#perConnection) statistics?.close();
    closed(this.#remains);
    this.#spare.close();
    this.#present.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** Accepts connecting processes while an accept is pending. */
  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#waiters.length > 0 && !this.closed) {
      const accepting = new AbortController();
      const { signal } = accepting;
      this.#accepting = accepting;
      try {
        if (this.#strangers.tooMany) {
          await turn(); // what they sent in this turn of the event loop has been read by then
          const pause = this.#strangers.makeRoom();
          if (pause > 0) {
            await sleep(pause, undefined, { signal, ref: false });
          }
        }
        // Without a spare descriptor, accepted processes could not be served.
        else if (this.#spare.take()) void this.#welcome((await this.#present.server.accept({ signal })).unref());
        else await this.#shortage(signal);
      } catch (error) {
        if (signal.aborted) continue;
        if (isShortOfDescriptors(error)) await this.#shortage(signal);
        else this.#waiters[0]?.reject(error);
      }
    }
    this.#accepting = undefined;
    this.#pumping = false;
  }
  /** No descriptor is left: drop the oldest silent process, or let new ones wait. */
  async #shortage(signal: AbortSignal): Promise<void> {
    await turn(); // as above
    if (this.#strangers.dismissOldest()) return;
    if (!this.#toldOfShortage) {
      this.#toldOfShortage = true;
      process.emitWarning(`Listener '${this.name}' has no file descriptors left, so new connections have to wait`, {
        code: 'VECINO_NO_DESCRIPTORS',
        detail: 'Close some, or raise the limit (ulimit -n). This warning is shown once.',
      });
    }
    await sleep(SHORT_OF_DESCRIPTORS_MS, undefined, { signal, ref: false }).catch(() => {});
  }
  #toldOfShortage = false;
  async #welcome(socket: UnixSocket): Promise<void> {
    this.#strangers.add(socket);
    try {
      const options = { timeout: MAX_SILENCE_MS, signal: this.#over.signal };
      const link = await welcome(socket, this.#host, options);
      const connection = new Connection<T, R>(link, this.#makeCoder(), this.#makeSpin());
      this.#writeDown(connection);
      if (this.closed) connection.close();
      else if (this.#waiters.length > 0) this.#waiters[0]!.resolve(connection);
      else this.#ready.push(connection);
    } catch {
      // That process was notified, or has ended. It must not affect accepts that wait for others.
    } finally {
      this.#strangers.delete(socket);
    }
  }
  /** For {@link listChannels}; connections beyond the number of entries are not listed. */
  #writeDown(connection: Connection<T, R>): void {
    const seat = this.#perConnection.indexOf(undefined, 1);
    if (seat < 0 || this.closed) return;
    const statistics = new Statistics(this.#present.participant, seat, connection.peer.pid);
    const perConnection = this.#perConnection; // and not the listener, which may be collected before the connection
    perConnection[seat] = statistics;
    connection.account(statistics, () => {
      perConnection[seat] = undefined;
    });
  }
  #use(): void {
    if (this.closed) throw this.#failure ?? new ClosedError(`listener '${this.name}'`);
  }
}

/**
 * Listens for connections under `name`, in this user's runtime folder.
 *
 * @param name `[A-Za-z0-9._-]{1,200}`
 * @throws SystemError `EADDRINUSE` if a running process listens under the name
 * @throws MismatchError if the name belongs to another kind of channel
 */
export function listen<T = unknown>(
  name: string,
  options?: LinkOptions & { codec?: AnyCodecName; spin?: number },
): Promise<Listener<T>>;
export function listen<C extends Codec>(
  name: string,
  options: LinkOptions & { codec: C; spin?: number },
): Promise<Listener<ValueOf<C>, ReceivedOf<C>>>;
export function listen<T>(name: string, options?: ListenOptions<T>): Promise<Listener<T>>;
export async function listen(name: string, options: ListenOptions<unknown> = {}): Promise<Listener<unknown>> {
  checkOptions('options', options, BOTH_SIDES);
  return new Listener<unknown>(name, options, 'connection');
}
const MAX_ATTEMPTS = 10;
/** The listener's presence in the file system; created again after a removal. Nothing in it refers to the listener, which it outlives. */
class Present {
  readonly #name: string;
  readonly #wanted: Description;
  readonly #where: DirectoryOptions;
  #now: Presence | undefined;
  #watch: RemovalWatcher | undefined;

  constructor(name: string, wanted: Description, where: DirectoryOptions) {
    this.#name = name;
    this.#wanted = wanted;
    this.#where = where;
  }
  /** Throws, and keeps the previous state, if another process has the name. */
  enter(listener: Listener<never, unknown>, move: (participant: Participant) => void = () => {}): void {
    const now = this.#makeAgain();
    move(now.participant);
    this.close();
    this.#now = now;
    this.#watch = new RemovalWatcher(now.participant, listener, (listener, error) => listener.lost(error));
  }
  #makeAgain(): Presence {
    for (let attempt = 1; ; attempt++) {
      try {
        return new Presence(this.#name, this.#wanted, directoryOf(this.#where, true), BACKLOG);
      } catch (error) {
        // The remover is still busy, and has just removed the folder in which this was to be created.
        if (!(error instanceof SystemError) || error.code !== 'ENOENT' || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }
  get participant(): Participant {
    return this.#now!.participant;
  }
  get server(): UnixServer {
    return this.#now!.server;
  }
  close(): void {
    this.#watch?.close();
    this.#now?.close();
  }
}
/** What closes a listener that was dropped, when neither the program nor a pending accept refers to it any more. */
function remainsOf(
  what: string,
  ready: Disposable[],
  perConnection: (Statistics | undefined)[],
  ...parts: { close(): void }[]
): Remains {
  return {
    what,
    abandon() {
      for (const connection of ready.splice(0)) connection[Symbol.dispose]();
      for (const statistics of perConnection) statistics?.close();
      for (const part of parts) part.close();
      return true;
    },
  };
}
