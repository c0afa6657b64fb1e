/** TCP sockets, tcp(7), with the interface of Unix stream sockets. */

import { lookup } from 'node:dns';
import { isIP } from 'node:net';
import { checkDescriptor, checkInteger, checkOptions, type OptionNames } from '../system/arguments.js';
import { Deadline, WAIT_OPTIONS, type WaitOptions } from '../system/deadline.js';
import { EINPROGRESS, EINTR } from '../system/errno.js';
import { errnoName, invalidArgument, SystemError } from '../system/errors.js';
import { close, fcntl } from '../system/file.js';
import { constants, native } from '../system/native.js';
import { pollOne } from '../system/poll.js';
import { readOnly } from '../system/read-only.js';
import { bind, getpeername, getsockname, listen, socket } from '../system/socket.js';
import { type InetAddress, inetAddress, inetName } from '../system/socket-address.js';
import { getsockopt, setsockopt } from '../system/socket-option.js';
import { HostError } from './errors.js';
import { Handle } from './handle.js';
import { Server } from './server.js';
import { Socket } from './socket.js';

/** Options of a TCP server. */
export interface TcpListenOptions {
  /** A numeric address. Default: `127.0.0.1`, this machine only. `0.0.0.0` or `::` mean all networks. */
  host?: string;
  /** The port. Default: 0, the kernel chooses one; see `address.port`. */
  port?: number;
  /** How many connections may wait to be accepted. Default: 511. */
  backlog?: number;
  /** `::` accepts IPv4 as well, unless this is true. */
  ipv6Only?: boolean;
  /** As in {@link TcpConnectOptions}, for the accepted sockets. */
  noDelay?: boolean;
}
/** Where to connect to, and how. */
export interface TcpConnectOptions extends WaitOptions {
  /** A name or an address. Default: `127.0.0.1`. */
  host?: string;
  /** 1 to 65535. */
  port: number;
  /** TCP_NODELAY: send small messages at once, instead of waiting until earlier ones are acknowledged. Default: true. */
  noDelay?: boolean;
  /** SO_KEEPALIVE: the kernel probes a silent peer from time to time. */
  keepAlive?: boolean;
}
/** As {@link TcpConnectOptions}, without `signal`: a call that blocks the thread cannot be aborted. */
export type TcpConnectSyncOptions = Omit<TcpConnectOptions, 'signal'>;

const LISTEN_OPTIONS: OptionNames<TcpListenOptions> = {
  host: true,
  port: true,
  backlog: true,
  ipv6Only: true,
  noDelay: true,
};
const CONNECT_OPTIONS: OptionNames<TcpConnectOptions> = {
  host: true,
  port: true,
  noDelay: true,
  keepAlive: true,
  ...WAIT_OPTIONS,
};
const LOOPBACK = '127.0.0.1';
const TCP = constants['IPPROTO_TCP']!;
const SOL_SOCKET = constants['SOL_SOCKET']!;
const NODELAY = constants['TCP_NODELAY']!;
const NONBLOCK = constants['SOCK_NONBLOCK']!;

/** A TCP connection, created by {@link tcp}. */
export class TcpSocket extends Socket {
  #local: InetAddress | undefined;
  #remote: InetAddress | undefined;
  /** @internal */
  constructor(fd: number) {
    super(fd, 'stream', 'inet', 'TCP socket');
  }
  /** The address of this side. */
  get localAddress(): InetAddress {
    return (this.#local ??= inetName(getsockname(this.fd)));
  }
  /** The address of the peer. Throws `ENOTCONN` if you first ask for it when the connection is over. */
  get remoteAddress(): InetAddress {
    return (this.#remote ??= inetName(getpeername(this.fd)));
  }
}

/** A listening TCP socket. */
export class TcpServer extends Server<TcpSocket> {
  /** The address that it listens on, with the port that the kernel chose. */
  readonly address: InetAddress;
  /** @internal */
  constructor(fd: number) {
    const address = inetName(getsockname(fd));
    super(fd, `TCP server ${at(address.host, address.port)}`);
    this.address = address;
    readOnly(this, 'address');
    Object.freeze(address);
  }
  /** The port of {@link address}. */
  get port(): number {
    return this.address.port;
  }
  protected override adopt(fd: number): TcpSocket {
    return new TcpSocket(fd); // TCP_NODELAY is inherited from the listening socket
  }
}

function at(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
const family = (host: string) => (isIP(host) === 6 ? 'ipv6' : 'ipv4');
function checkHost(host: unknown = LOOPBACK): string {
  if (typeof host !== 'string') throw invalidArgument('ERR_INVALID_ARG_TYPE', 'options.host', 'a string', host);
  if (host === '' || host.includes('\0')) {
    throw invalidArgument('ERR_INVALID_ARG_VALUE', 'options.host', 'a host name or a numeric address', host);
  }
  return host;
}
function checkNumeric(host: unknown): string {
  const text = checkHost(host);
  if (text === 'localhost') return LOOPBACK;
  if (isIP(text) !== 0) return text;
  const expected =
    'a numeric IPv4 or IPv6 address, because a name lookup would block (resolve the name with dns.promises.lookup first)';
  throw invalidArgument('ERR_INVALID_ARG_VALUE', 'options.host', expected, host);
}
function checkFlag(argument: string, value: unknown): void {
  if (typeof value !== 'boolean') throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, 'true or false', value);
}

function listenTcp(options: TcpListenOptions = {}): TcpServer {
  checkOptions('options', options, LISTEN_OPTIONS);
  const { port = 0, backlog = 511, ipv6Only = false, noDelay = true } = options;
  const host = checkNumeric(options.host);
  checkInteger('options.port', port, 0, 65535);
  checkInteger('options.backlog', backlog, 1, 0x7fffffff);
  checkFlag('options.ipv6Only', ipv6Only);
  checkFlag('options.noDelay', noDelay);
  const address = inetAddress(host, port);
  const fd = socket(family(host), 'stream', NONBLOCK);
  try {
    // A port may be used again while connections of an earlier server are in TIME_WAIT, not while another socket listens.
    setsockopt(fd, SOL_SOCKET, constants['SO_REUSEADDR']!, 1);
    if (family(host) === 'ipv6')
      setsockopt(fd, constants['IPPROTO_IPV6']!, constants['IPV6_V6ONLY']!, ipv6Only ? 1 : 0);
    if (noDelay) setsockopt(fd, TCP, NODELAY, 1);
    bindOrListen(() => bind(fd, address, { path: at(host, port) }), host, port);
    bindOrListen(() => listen(fd, backlog), host, port);
    return new TcpServer(fd);
  } catch (error) {
    close(fd);
    throw error;
  }
}
function bindOrListen(call: () => void, host: string, port: number): void {
  const hints: Record<string, string> = {
    EADDRINUSE: 'Another socket uses this port; choose another, or 0 for any free one',
    EADDRNOTAVAIL: 'No interface of this machine has this address',
    EACCES: 'Ports below 1024 need root or CAP_NET_BIND_SERVICE',
  };
  try {
    call();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const hint = hints[error.code];
    const path = at(host, port);
    throw new SystemError(error.errno, error.syscall, { path, hint });
  }
}

interface Plan {
  host: string;
  port: number;
  noDelay: boolean;
  keepAlive: boolean;
}
function plan(options: TcpConnectOptions | TcpConnectSyncOptions, check: (host: unknown) => string): Plan {
  if (options === undefined) throw invalidArgument('ERR_INVALID_ARG_TYPE', 'options', 'an object with a port', options);
  checkOptions('options', options, CONNECT_OPTIONS);
  const host = check(options.host);
  const { port, noDelay = true, keepAlive = false } = options;
  checkInteger('options.port', port, 1, 65535);
  checkFlag('options.noDelay', noDelay);
  checkFlag('options.keepAlive', keepAlive);
  return { host, port, noDelay, keepAlive };
}
/** Starts to connect; returns whether the connection is still pending. */
function begin(host: string, { port, noDelay, keepAlive }: Plan): { fd: number; pending: boolean } {
  const address = inetAddress(host, port);
  const fd = socket(family(host), 'stream', NONBLOCK);
  try {
    if (noDelay) setsockopt(fd, TCP, NODELAY, 1);
    if (keepAlive) setsockopt(fd, SOL_SOCKET, constants['SO_KEEPALIVE']!, 1);
    const result = native.connect(fd, address);
    const pending = result === EINPROGRESS || result === EINTR;
    if (result < 0 && !pending) throw refusal(result, host, port);
    return { fd, pending };
  } catch (error) {
    close(fd);
    throw error;
  }
}
function refusal(result: number, host: string, port: number): SystemError {
  const hints: Record<string, string> = {
    ECONNREFUSED: 'No process listens there',
    EHOSTUNREACH: 'There is no route to this host',
    ENETUNREACH: 'There is no route to this network',
    ETIMEDOUT: 'The host does not answer',
  };
  const hint = hints[errnoName(result)];
  const path = at(host, port);
  return new SystemError(result, 'connect', { path, hint });
}
/** Once the socket is writable: whether it is connected. */
function finish(fd: number, host: string, port: number): void {
  const error = getsockopt(fd, SOL_SOCKET, constants['SO_ERROR']!);
  if (error !== 0) throw refusal(error, host, port);
}

async function connectTcp(options: TcpConnectOptions): Promise<TcpSocket> {
  const wanted = plan(options, checkHost);
  const deadline = new Deadline(`connect to ${at(wanted.host, wanted.port)}`, options, CONNECT_OPTIONS);
  deadline.signal?.throwIfAborted();
  let failure: unknown;
  for (const host of await resolve(wanted.host, deadline)) {
    try {
      return await connectTo(host, wanted, deadline);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      failure = error;
    }
  }
  throw failure;
}
async function connectTo(host: string, wanted: Plan, deadline: Deadline): Promise<TcpSocket> {
  const { fd, pending } = begin(host, wanted);
  const handle = new Handle(fd, 'TCP socket');
  try {
    if (pending) {
      await handle.readiness.writable(deadline);
      finish(fd, host, wanted.port);
    }
    handle.detach();
    return new TcpSocket(fd);
  } catch (error) {
    handle.close();
    throw error;
  }
}
function connectTcpSync(options: TcpConnectSyncOptions): TcpSocket {
  const wanted = plan(options, checkNumeric);
  const deadline = new Deadline(`connect to ${at(wanted.host, wanted.port)}`, { timeout: options.timeout });
  const { fd, pending } = begin(wanted.host, wanted);
  try {
    if (pending) {
      pollOne(fd, constants['POLLOUT']!, deadline);
      finish(fd, wanted.host, wanted.port);
    }
    fcntl(fd, constants['F_SETFL']!, 0); // synchronous calls can then block in the call itself
    return new TcpSocket(fd);
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** The addresses of a host, in the resolver's order. */
function resolve(host: string, deadline: Deadline): Promise<string[]> {
  if (isIP(host) !== 0) return Promise.resolve([host]);
  // RFC 6761: these names do not exist, and no resolver must be asked for them.
  if (/(^|\.)invalid\.?$/i.test(host)) {
    return Promise.reject(new HostError(host, Object.assign(new Error(host), { code: 'ENOTFOUND', errno: -3008 })));
  }
  return new Promise((resolve, reject) => {
    const { signal } = deadline;
    const left = deadline.remaining();
    const onAbort = () => settle(() => reject(signal?.reason));
    const timer = Number.isFinite(left)
      ? setTimeout(() => settle(() => reject(deadline.error())), Math.min(left, 0x7fffffff))
      : undefined;
    signal?.addEventListener('abort', onAbort, { once: true });
    const settle = (how: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      how();
    };
    lookup(host, { all: true }, (error, found) =>
      settle(() => {
        if (error) reject(new HostError(host, error));
        else resolve(found.map(({ address }) => address));
      }),
    );
  });
}

function adoptTcp(fd: number): TcpSocket {
  checkDescriptor('fd', fd);
  const is = (option: string) => getsockopt(fd, SOL_SOCKET, constants[option]!);
  const domain = is('SO_DOMAIN');
  const inet = domain === constants['AF_INET'] || domain === constants['AF_INET6'];
  if (!inet || is('SO_TYPE') !== constants['SOCK_STREAM'] || is('SO_ACCEPTCONN') !== 0) {
    throw invalidArgument('ERR_INVALID_ARG_VALUE', 'fd', 'a TCP socket that does not listen', fd);
  }
  fcntl(fd, constants['F_SETFD']!, constants['FD_CLOEXEC']!);
  return new TcpSocket(fd);
}

/**
 * TCP over IPv4 and IPv6. No encryption, no authentication: every machine on the path can read and change the data.
 *
 * @example
 * ```ts
 * import { tcp } from 'vecino';
 *
 * using server = tcp.listen();
 * using client = await tcp.connect({ port: server.port });
 * using peer = await server.accept();
 * await client.send(new TextEncoder().encode('hello'));
 * const message = await peer.receive();
 * console.log(new TextDecoder().decode(message!.bytes)); // hello
 * ```
 * @namespace
 */
export const tcp = {
  /**
   * Listens, on the loopback interface only unless `host` says otherwise. Throws `EADDRINUSE` if the port is taken.
   * @function
   */
  listen: listenTcp,
  /**
   * Connects, to each address of a name in turn until one answers. Throws a {@link HostError} (`ENOTFOUND`) for an unknown name. Names are
   * looked up as node:dns does, on a thread of libuv's pool: the only place in vecino that uses one.
   * @function
   */
  connect: connectTcp,
  /**
   * As `connect`, but blocks the thread; numeric addresses only, because a lookup cannot be limited in time.
   * @function
   */
  connectSync: connectTcpSync,
  /**
   * A socket for a descriptor that was received or inherited; the socket owns the descriptor from then on.
   * @function
   */
  fromFd: adoptTcp,
} as const;
