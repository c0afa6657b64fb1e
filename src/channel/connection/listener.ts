/** Where connections come in: a name, and the socket that stands for it. */
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

/** As many as the kernel lets wait to be accepted: /proc/sys/net/core/somaxconn. */
const BACKLOG = 65_535;

export interface ListenOptions<T> extends LinkOptions {
  /** How values become bytes; `'msgpack'` if not given. Whoever connects must ask for the same. */
  codec?: Codec<T>;
  /** Microseconds that a waiter of a connection looks before it sleeps; if not given it adapts, and is 0 on one core. */
  spin?: number;
}
/** Also of a service. */
export const LISTEN_OPTIONS: OptionNames<ListenOptions<unknown>> = {
  codec: true,
  capacity: true,
  maxMessageSize: true,
  allow: true,
  spin: true,
  ...DIRECTORY_OPTIONS,
};
/** One object may be given to both sides: `listen` does not mind what only `connect` has. */
export const BOTH_SIDES: OptionNames<ListenOptions<unknown> & WaitOptions> = { ...LISTEN_OPTIONS, ...WAIT_OPTIONS };
interface Waiter<T, R> {
  resolve(connection: Connection<T, R>): void;
  reject(error: unknown): void;
}

/**
 * Takes connections; made by {@link listen}. As an async iterable it gives one after the other until it is closed.
 *
 * If its process is killed, connections die with it, and the name is free for the next one at once.
 */
export class Listener<T, R = T> implements AsyncIterable<Connection<T, R>>, Disposable, AsyncDisposable {
  /** The name that it listens at. */
  readonly name: string;
  readonly #makeCoder: () => Coder<T, R>;
  readonly #makeSpin: () => Spin;
  readonly #host: Host;
  /** Its place and its socket, and the watch for their loss. */
  readonly #present: Present;
  /** Why it listens no more, if not because it was closed. */
  #failure: RemovedError | undefined;
  /** Connections that nobody has accepted yet, and those who wait for one. One of both is empty. */
  readonly #ready: Connection<T, R>[] = [];
  readonly #waiters: Waiter<T, R>[] = [];
  readonly #over = new AbortController();
  /** The lines of the control file that are about connections. */
  readonly #perConnection: (Statistics | undefined)[] = new Array<Statistics | undefined>(SEATS).fill(undefined);
  readonly #remains: Remains;
  readonly #keepAlive = new KeepAlive();
  readonly #strangers = new Strangers();
  readonly #spare = new SpareDescriptor();
  #pumping = false;
  /** Ends the wait for the next stranger, while there is one, or the pause before it. */
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
    // Read once: the caller may use the object again for something else.
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
   * The next connection. Those who connect and then say nothing, or nonsense, or are of another user, are sent away and do not hold up
   * the others. Where the process has no descriptors left, connections wait until it has.
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
  /** A connection that is ready; undefined: none. It is made ready only while somebody waits in {@link accept}. */
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
  /** An accept that waits keeps the program running: so it is unless {@link unref} was called. */
  ref(): this {
    this.#keepAlive.ref();
    return this;
  }
  /** An accept that waits, now or later, does not keep the program running. Connections have their own. */
  unref(): this {
    this.#keepAlive.unref();
    return this;
  }
  /** Frees the name. Connections that were accepted stay; the others are closed. Idempotent. */
  close(): void {
    if (this.closed) return;
    this.#end(new ClosedError(`listener '${this.name}'`));
  }
  /** @internal Its name was removed. It takes it back, unless somebody else has it by now. */
  lost(error: RemovedError): void {
    if (this.closed) return;
    try {
      this.#present.enter(this, (participant) => {
        for (const statistics of this.#perConnection) statistics?.move(participant);
      });
      this.#accepting?.abort(); // at the socket that nobody can find any more
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

  /** Takes strangers while somebody waits for a connection. */
  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#waiters.length > 0 && !this.closed) {
      const accepting = new AbortController();
      const { signal } = accepting;
      this.#accepting = accepting;
      try {
        if (this.#strangers.tooMany) {
          await turn(); // what has come from them in this turn of the event loop is heard by then
          const pause = this.#strangers.makeRoom();
          if (pause > 0) {
            await sleep(pause, undefined, { signal, ref: false });
          }
        }
        // Without a spare descriptor those who are accepted could not be served.
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
  /** No descriptor is left: a stranger's is given back, or whoever connects waits. */
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
      // Whoever it was has been told, or is gone. It is nothing to those who wait for others.
    } finally {
      this.#strangers.delete(socket);
    }
  }
  /** For {@link listChannels}; beyond as many as there are lines for, connections are not listed. */
  #writeDown(connection: Connection<T, R>): void {
    const seat = this.#perConnection.indexOf(undefined, 1);
    if (seat < 0 || this.closed) return;
    const statistics = new Statistics(this.#present.participant, seat, connection.peer.pid);
    const perConnection = this.#perConnection; // and not the listener, which may be dropped before the connection
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
 * Takes the name `name` for connections, in this user's runtime folder.
 *
 * @param name `[A-Za-z0-9._-]{1,200}`
 * @throws SystemError `EADDRINUSE` if a living process listens there; MismatchError if the name is another kind of channel's
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
/** Where a listener can be found; again, after that was removed. Nothing in it leads to the listener, which it outlives. */
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
  /** Throws, and leaves what was, if somebody else has the name. */
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
        // Whoever removes it is at it still, and has taken the folder away that it was to be made in.
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
/** What is seen to when nobody refers to a listener any more, neither by itself nor by a pending accept. */
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
