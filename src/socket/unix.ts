/** Unix sockets, unix(7): between processes of one machine, with descriptors and credentials. */

import { checkDescriptor, checkInteger, checkMode, checkOptions, type OptionNames } from '../system/arguments.js';
import { Deadline, WAIT_OPTIONS, type WaitOptions } from '../system/deadline.js';
import { EAGAIN, EINTR } from '../system/errno.js';
import { errnoName, invalidArgument, SystemError, UnsupportedError } from '../system/errors.js';
import { close, fcntl } from '../system/file.js';
import { type KeepAlive, program } from '../system/keep-alive.js';
import { constants, native } from '../system/native.js';
import { pause } from '../system/pause.js';
import { readOnly } from '../system/read-only.js';
import { getpeername, getsockname, listen, type SocketType, socket, socketpair } from '../system/socket.js';
import { shownName, unixAddress, unixName } from '../system/socket-address.js';
import { type Credentials, getsockopt, peerCredentials } from '../system/socket-option.js';
import { Server } from './server.js';
import { Socket } from './socket.js';
import { bindName, type UnixName } from './unix-name.js';

/** Options of a Unix server. */
export interface UnixListenOptions {
  /** Default: `stream`. */
  type?: SocketType;
  /** Who may connect: the exact permissions of the socket file, whatever the umask. Default: 0600. An abstract name has no permissions. */
  mode?: number;
  /** How many connections may wait to be accepted. Default: 511. The kernel's limit is /proc/sys/net/core/somaxconn. */
  backlog?: number;
}
/** Options for connecting to a Unix socket. */
export interface UnixConnectOptions extends WaitOptions {
  /** The type of the listening socket. Default: `stream`. */
  type?: SocketType;
  /** This side's own name (a path or `@name`; `'@'` lets the kernel choose). Receivers of datagrams need it to answer. */
  bind?: string;
}
/** As {@link UnixConnectOptions}, without `signal`: a call that blocks the thread cannot be aborted. */
export type UnixConnectSyncOptions = Omit<UnixConnectOptions, 'signal'>;
const LISTEN_OPTIONS: OptionNames<UnixListenOptions> = { type: true, mode: true, backlog: true };
const CONNECT_OPTIONS: OptionNames<UnixConnectOptions> = { type: true, bind: true, ...WAIT_OPTIONS };

const NONBLOCK = constants['SOCK_NONBLOCK']!;
const SOL_SOCKET = constants['SOL_SOCKET']!;

/** @internal */
export interface Adopted {
  fd: number;
  type: SocketType;
  name?: UnixName | undefined;
}

/** A Unix socket, created by {@link unix}. */
export class UnixSocket extends Socket {
  /** @internal */
  constructor({ fd, type, name }: Adopted, kind = `Unix ${type} socket`) {
    super(fd, type, 'unix', kind);
    this.handle.name = name;
  }
  /** This side's path or `@name`; undefined if it has none. */
  get localAddress(): string | undefined {
    return unixName(getsockname(this.fd));
  }
  /** The peer's path or `@name`; undefined if it has none. */
  get remoteAddress(): string | undefined {
    return unixName(getpeername(this.fd));
  }
  /**
   * The process at the other end when it connected, listened, or created the pair, as reported by the kernel (SO_PEERCRED).
   *
   * @throws UnsupportedError for a datagram socket that is not of a pair: it has no single peer
   */
  credentials(): Credentials {
    const found = peerCredentials(this.fd);
    if (found.uid === 0xffffffff) {
      throw new UnsupportedError(`${this.handle.what} has no credentials: it has no single peer`);
    }
    return found;
  }
}

/** A listening Unix socket, stream or seqpacket. `close()` also removes the socket file, if it is still this server's. */
export class UnixServer extends Server<UnixSocket> {
  /** The path or `@name`. */
  readonly address: string;
  /** The type of its connections: stream or seqpacket. */
  readonly type: SocketType;
  /** @internal */
  constructor(fd: number, type: SocketType, name: UnixName) {
    super(fd, `Unix ${type} server ${name.name}`);
    this.address = name.name;
    this.type = type;
    readOnly(this, 'address', 'type');
    this.handle.name = name;
  }
  protected override adopt(fd: number): UnixSocket {
    return new UnixSocket({ fd, type: this.type });
  }
}

/**
 * A datagram socket with a name: it receives from any socket (`from` of a message), and sends to the address in `to`.
 *
 * It has no connections. So that one program can serve all three types, `accept()` returns the socket itself, the first time.
 */
export class UnixDatagramServer extends UnixSocket {
  /** The path or `@name`. */
  readonly address: string;
  #accepted = false;
  /** @internal */
  constructor(fd: number, name: UnixName) {
    super({ fd, type: 'datagram', name }, `Unix datagram server ${name.name}`);
    this.address = name.name;
    readOnly(this, 'address');
  }
  /** Returns this socket itself, the first time. Throws `UnsupportedError` after that, because there are no connections to wait for. */
  async accept(options?: WaitOptions): Promise<UnixSocket> {
    const deadline = new Deadline(`accept on ${this.handle.what}`, options);
    deadline.signal?.throwIfAborted();
    this.handle.open();
    const socket = this.tryAccept();
    if (socket !== undefined) return socket;
    throw new UnsupportedError(
      `${this.handle.what} has no connections to accept: a datagram server is accepted once, as itself`,
    );
  }
  /** Returns this socket itself, the first time; `undefined` after that. */
  tryAccept(): UnixSocket | undefined {
    this.handle.open();
    if (this.#accepted) return undefined;
    this.#accepted = true;
    return this;
  }
  /** As {@link accept}; it never blocks. */
  acceptSync(): UnixSocket {
    const socket = this.tryAccept();
    if (socket !== undefined) return socket;
    throw new UnsupportedError(
      `${this.handle.what} has no connections to accept: a datagram server is accepted once, as itself`,
    );
  }
}

function checkType(type: unknown): SocketType {
  if (type === 'stream' || type === 'seqpacket' || type === 'datagram') return type;
  throw invalidArgument('ERR_INVALID_ARG_VALUE', 'options.type', "'stream', 'seqpacket' or 'datagram'", type);
}

function listenUnix(path: string, options: UnixListenOptions & { type: 'datagram' }): UnixDatagramServer;
function listenUnix(path: string, options?: UnixListenOptions & { type?: 'stream' | 'seqpacket' }): UnixServer;
function listenUnix(path: string, options?: UnixListenOptions): UnixServer | UnixDatagramServer;
function listenUnix(path: string, options: UnixListenOptions = {}): UnixServer | UnixDatagramServer {
  checkOptions('options', options, LISTEN_OPTIONS);
  const { type = 'stream', mode = 0o600, backlog = 511 } = options;
  checkType(type);
  checkMode('options.mode', mode);
  checkInteger('options.backlog', backlog, 1, 0x7fffffff);
  const address = unixAddress('path', path);
  const fd = socket('unix', type, type === 'datagram' ? 0 : NONBLOCK);
  let name: UnixName | undefined;
  try {
    name = bindName(fd, shownName(path), mode, address);
    if (type === 'datagram') return new UnixDatagramServer(fd, name);
    listen(fd, backlog);
    return new UnixServer(fd, type, name);
  } catch (error) {
    name?.remove();
    close(fd);
    throw error;
  }
}

/** A socket that is connecting. */
class Connecting {
  readonly #path: string;
  readonly #type: SocketType;
  readonly #address: Uint8Array;
  readonly #fd: number;
  readonly #name: UnixName | undefined;
  constructor(path: string, address: Uint8Array, options: UnixConnectOptions) {
    this.#address = address;
    this.#path = shownName(path);
    const { type = 'stream', bind: own } = options;
    this.#type = checkType(type);
    const ownAddress = own === undefined ? undefined : unixAddress('options.bind', own, true);
    this.#fd = socket('unix', this.#type, NONBLOCK);
    try {
      if (ownAddress !== undefined) this.#name = bindName(this.#fd, shownName(own as string), 0o600, ownAddress);
    } catch (error) {
      close(this.#fd);
      throw error;
    }
  }
  /** Undefined while the listener's backlog is full. */
  attempt(): UnixSocket | undefined {
    const result = native.connect(this.#fd, this.#address);
    if (result === EAGAIN || result === EINTR) return undefined;
    if (result < 0) throw this.#error(result);
    fcntl(this.#fd, constants['F_SETFL']!, 0); // synchronous calls can then block in the call itself
    return new UnixSocket({ fd: this.#fd, type: this.#type, name: this.#name });
  }
  abandon(): void {
    this.#name?.remove();
    close(this.#fd);
  }
  #error(result: number): SystemError {
    const hints: Record<string, string> = {
      ENOENT: 'No process listens there: there is no such socket file',
      ECONNREFUSED: 'No process listens there; if the file exists, its owner has ended',
      EPROTOTYPE: `The socket there is not of the type '${this.#type}'`,
      EACCES: 'The permissions of the socket file or of its folder do not allow it',
      EPERM: 'The receiver is connected, and accepts datagrams from its peer only',
    };
    const hint = hints[errnoName(result)];
    return new SystemError(result, 'connect', { path: this.#path, hint });
  }
}
/** The kernel cannot wait for room in a backlog. Try again after so many milliseconds, doubled each time. */
const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 20;

/** @internal @param keepAlive counts the wait for room in the listener's backlog */
export async function connectUnix(
  path: string,
  options: UnixConnectOptions,
  keepAlive: KeepAlive,
): Promise<UnixSocket> {
  const address = unixAddress('path', path);
  const deadline = new Deadline(`connect to ${shownName(path)}`, options, CONNECT_OPTIONS);
  deadline.signal?.throwIfAborted();
  const connecting = new Connecting(path, address, options);
  try {
    for (let interval = FIRST_PAUSE; ; interval = Math.min(2 * interval, LONGEST_PAUSE)) {
      const connected = connecting.attempt();
      if (connected !== undefined) return connected;
      if (deadline.expired) throw deadline.error();
      await keepAlive.during(() => sleep(Math.min(interval, deadline.remaining()), deadline.signal));
    }
  } catch (error) {
    connecting.abandon();
    throw error;
  }
}
function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, milliseconds).unref();
    signal?.addEventListener('abort', abort, { once: true });
  });
}
function connectUnixSync(path: string, options: UnixConnectSyncOptions = {}): UnixSocket {
  checkOptions('options', options, CONNECT_OPTIONS);
  const address = unixAddress('path', path);
  const deadline = new Deadline(`connect to ${shownName(path)}`, { timeout: options.timeout });
  const connecting = new Connecting(path, address, options);
  try {
    for (let interval = FIRST_PAUSE; ; interval = Math.min(2 * interval, LONGEST_PAUSE)) {
      const connected = connecting.attempt();
      if (connected !== undefined) return connected;
      if (deadline.expired) throw deadline.error();
      pause(Math.min(interval, deadline.remaining()));
    }
  } catch (error) {
    connecting.abandon();
    throw error;
  }
}

function pairUnix(type: SocketType = 'stream'): [UnixSocket, UnixSocket] {
  const [first, second] = socketpair(checkType(type));
  try {
    return [new UnixSocket({ fd: first, type }), new UnixSocket({ fd: second, type })];
  } catch (error) {
    close(first);
    close(second);
    throw error;
  }
}

function adoptUnix(fd: number): UnixSocket {
  checkDescriptor('fd', fd);
  const is = (option: string) => getsockopt(fd, SOL_SOCKET, constants[option]!);
  const type = (['stream', 'seqpacket', 'datagram'] as const).find((name) => is('SO_TYPE') === TYPES[name]);
  if (is('SO_DOMAIN') !== constants['AF_UNIX'] || type === undefined || is('SO_ACCEPTCONN') !== 0) {
    throw invalidArgument('ERR_INVALID_ARG_VALUE', 'fd', 'a Unix socket that does not listen', fd);
  }
  fcntl(fd, constants['F_SETFD']!, constants['FD_CLOEXEC']!);
  return new UnixSocket({ fd, type });
}
const TYPES = {
  stream: constants['SOCK_STREAM'],
  seqpacket: constants['SOCK_SEQPACKET'],
  datagram: constants['SOCK_DGRAM'],
};

/**
 * Unix sockets: `stream` (bytes), `seqpacket` (messages over a connection), `datagram` (messages without a connection; on one machine they
 * are not lost and stay in order). A name is a path of at most 107 bytes, or `@name` in the abstract namespace. An abstract name is not a
 * file, disappears with its socket, and is open to every user of the machine (of its network namespace).
 *
 * @example
 * ```ts
 * import { unix } from 'vecino';
 *
 * using server = unix.listen('@vecino-example', { type: 'seqpacket' });
 * using client = await unix.connect('@vecino-example', { type: 'seqpacket' });
 * using peer = await server.accept();
 * await client.send(new TextEncoder().encode('hello'));
 * const message = await peer.receive();
 * console.log(new TextDecoder().decode(message!.bytes)); // hello
 * ```
 * @namespace
 */
export const unix = {
  /**
   * Listens. A socket file of a dead process is taken over. Throws `EADDRINUSE` if its owner lives, or if the file is not a socket. With
   * type `datagram` it returns a {@link UnixDatagramServer}, which is itself the socket to receive from.
   * @function
   */
  listen: listenUnix,
  /**
   * Connects. Waits while the listener's backlog is full. Throws `ENOENT` or `ECONNREFUSED` if no process listens, `EPROTOTYPE` if one
   * listens with another type.
   * @function
   */
  connect: (path: string, options: UnixConnectOptions = {}): Promise<UnixSocket> => connectUnix(path, options, program),
  /**
   * As `connect`, but blocks the thread.
   * @function
   */
  connectSync: connectUnixSync,
  /**
   * Creates two connected sockets, socketpair(2).
   * @function
   */
  pair: pairUnix,
  /**
   * A socket for a descriptor that was received or inherited; the socket owns the descriptor from then on.
   * @function
   */
  fromFd: adoptUnix,
} as const;
