/**
 * The handshake of two processes, over a Unix socket that keeps message boundaries:
 *
 *     connector -> listener   { vecino: 1, codec, capacity, takes, barriers }
 *     listener -> connector   { vecino: 1, capacity, takes, barriers } and the descriptor of the memory, or { vecino: 1, error, message }
 *
 * JSON, at most 4 KiB. Before anything is shared each side checks the other's credentials, as reported by the kernel. No message is
 * trusted: the connector checks that the memory is sealed and as large as the terms say.
 */

import { AsyncResource } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkCapacity, MAX_CAPACITY_BYTES, MIN_CAPACITY_BYTES } from '../../lock-free/ring/layout.js';
import { SharedMemory } from '../../memory/index.js';
import type { UnixSocket } from '../../socket/index.js';
import { checkInteger } from '../../system/arguments.js';
import { Deadline, type WaitOptions } from '../../system/deadline.js';
import { EACCES, EAGAIN } from '../../system/errno.js';
import { CorruptError, IpcError, MismatchError, PeerDiedError, SystemError } from '../../system/errors.js';
import { close } from '../../system/file.js';
import { barriersReachUs } from '../../system/membarrier.js';
import { mmap } from '../../system/memory.js';
import { constants } from '../../system/native.js';
import { type Credentials, setsockopt } from '../../system/socket-option.js';
import type { ChannelDirectory, DirectoryOptions } from '../directory/directory.js';
import { Link, linkSize, type Terms } from './link.js';
import type { SpareDescriptor } from './spare.js';

const PROTOCOL = 1;
const MAX_HELLO_BYTES = 4096;
/** Bytes of a direction's ring. */
const DEFAULT_CAPACITY_BYTES: number = 128 * 1024;
/** The longest message that is accepted by default. */
const DEFAULT_MAX_MESSAGE_BYTES: number = 256 * 2 ** 20;
/** A connecting process cannot get a ring of more than this many times the listener's own. */
const MAX_RING_RATIO = 16;

/** Options of both sides of a connection. */
export interface LinkOptions extends DirectoryOptions {
  /** Bytes of the ring that this side writes to: a power of two from 4096 to 512 MiB. Default: 128 KiB. */
  capacity?: number;
  /** The longest message that this side accepts, in bytes. Default: 256 MiB. If the peer sends a longer one, its send fails. */
  maxMessageSize?: number;
  /**
   * Whether to accept a peer with these credentials. It must return `true` synchronously (a promise counts as no). Default: accept
   * processes of this user. With `directory`, a listener also accepts the members of `group`, and a connecting process accepts the `owner`
   * and root.
   */
  allow?: (peer: Credentials) => boolean;
}
export interface LinkSettings {
  readonly codec: string;
  readonly capacity: number;
  readonly takes: number;
  readonly allow: (peer: Credentials) => unknown;
}
const sameUser = ({ uid }: Credentials) => uid === process.geteuid!();

/** The peers that a listener accepts by default: the kernel lets only the owner and the group use its socket. */
export function allowedByListener({ named, group, owner }: ChannelDirectory): (peer: Credentials) => boolean {
  if (!named) return sameUser;
  return (peer) => group !== undefined || peer.uid === owner || sameUser(peer);
}
/** The peers that a connecting process accepts by default. Root can listen in any folder, and may drop its privileges afterwards. */
export function allowedByConnector({ named, owner }: ChannelDirectory): (peer: Credentials) => boolean {
  return named ? ({ uid }) => uid === owner || uid === 0 : sameUser;
}
export function linkSettings(
  codec: string,
  options: LinkOptions,
  allowed: (peer: Credentials) => boolean,
): LinkSettings {
  const { capacity = DEFAULT_CAPACITY_BYTES, maxMessageSize = DEFAULT_MAX_MESSAGE_BYTES, allow = allowed } = options;
  checkCapacity('options.capacity', capacity);
  checkInteger('options.maxMessageSize', maxMessageSize, 1, 0x7fffffff);
  if (typeof allow !== 'function')
    throw Object.assign(new TypeError('options.allow must be a function'), { code: 'ERR_INVALID_ARG_TYPE' });
  return { codec, capacity, takes: maxMessageSize, allow: AsyncResource.bind(allow) }; // called from the event loop
}

interface Message {
  vecino?: unknown;
  codec?: unknown;
  capacity?: unknown;
  takes?: unknown;
  barriers?: unknown;
  error?: unknown;
  message?: unknown;
}
async function receiveMessage(
  socket: UnixSocket,
  what: string,
  options: WaitOptions,
): Promise<{ message: Message; descriptors: number[] }> {
  const received = await socket.receive(options);
  if (received === null) throw new PeerDiedError(`${what}: the peer disconnected during the handshake`);
  const { bytes, descriptors } = received;
  try {
    const message: unknown = bytes.length <= MAX_HELLO_BYTES ? JSON.parse(Buffer.from(bytes).toString()) : undefined;
    if (typeof message === 'object' && message !== null && (message as Message).vecino === PROTOCOL)
      return { message, descriptors };
  } catch {}
  for (const fd of descriptors) close(fd);
  throw new CorruptError(
    `${what}: the peer does not speak this version of vecino's protocol. Use the same version of vecino on both sides`,
  );
}
const encode = (message: Message) => Buffer.from(JSON.stringify({ vecino: PROTOCOL, ...message }));
const isCapacity = (value: unknown): value is number =>
  Number.isInteger(value) &&
  (value as number) >= MIN_CAPACITY_BYTES &&
  (value as number) <= MAX_CAPACITY_BYTES &&
  ((value as number) & ((value as number) - 1)) === 0;
const isSize = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 0x7fffffff;

/** What the handshakes of one listener have in common. */
export interface Host {
  readonly name: string;
  readonly settings: LinkSettings;
  readonly spare: SpareDescriptor;
  /** The connecting process has sent its request. */
  heard(socket: UnixSocket): void;
}
/** The listener's half. It takes over the socket, and closes it on failure. */
export async function welcome(socket: UnixSocket, host: Host, options: WaitOptions): Promise<Link> {
  const { name, settings } = host;
  const peer = socket.credentials();
  const what = `channel '${name}', process ${peer.pid} (user ${peer.uid})`;
  try {
    if (!allows(settings, peer)) throw await refuse(socket, 'EACCES', `user ${peer.uid} is not allowed to connect`);
    const { message, descriptors } = await receiveMessage(socket, what, options);
    for (const fd of descriptors) close(fd);
    host.heard(socket);
    const { codec, capacity, takes, barriers } = message;
    if (codec !== settings.codec) {
      throw await refuse(
        socket,
        'ERR_VECINO_MISMATCH',
        `the listener uses the codec ${settings.codec}, but the connecting process asked for ${String(codec)}`,
      );
    }
    if (!isCapacity(capacity) || capacity > Math.max(settings.capacity * MAX_RING_RATIO, 2 ** 20) || !isSize(takes)) {
      throw await refuse(socket, 'ERR_OUT_OF_RANGE', `the listener does not allow a capacity of ${String(capacity)}`);
    }
    const terms: Terms = {
      listenerCapacity: settings.capacity,
      connectorCapacity: capacity,
      peerTakes: takes,
      takes: settings.takes,
      barriers: barriersReachUs && barriers === true,
    };
    return await share(socket, host, terms, peer, options);
  } catch (error) {
    socket.close();
    throw error;
  }
}
/** Creates the memory and passes it to the peer. Waits if there are too few descriptors. */
async function share(
  socket: UnixSocket,
  { name, settings, spare }: Host,
  terms: Terms,
  peer: Credentials,
  { timeout, signal }: WaitOptions,
): Promise<Link> {
  const deadline = new Deadline(`share memory with process ${peer.pid}`, { timeout });
  const answer = encode({ capacity: settings.capacity, takes: settings.takes, barriers: barriersReachUs });
  const attempt = (): Link => {
    const memory = SharedMemory.anonymous(linkSize(terms));
    try {
      // This is the first message through this socket, so there is room for it.
      if (socket.trySend(answer, { descriptors: [memory.fd] }) === false)
        throw new SystemError(EAGAIN, 'sendmsg', { path: name });
      return attach(socket, 'listener', name, memory, terms, peer);
    } finally {
      memory.close();
    }
  };
  for (;;) {
    try {
      try {
        return attempt();
      } catch (error) {
        if (!isShortOfDescriptors(error) || !spare.take()) throw error;
        return spare.lend(attempt);
      }
    } catch (error) {
      if (!isShortOfDescriptors(error) || deadline.expired) {
        // Out of memory, for instance: tell the other side, so that it does not take it for a refusal.
        if (error instanceof IpcError) await refuse(socket, error.code, error.message);
        throw error;
      }
    }
    await sleep(SHORT_OF_DESCRIPTORS_MS, undefined, { signal, ref: false });
  }
}
/** How long to wait before the next try when descriptors are short. */
export const SHORT_OF_DESCRIPTORS_MS = 50;
/** The process or the machine has none left, or too many of this user's are in flight. */
export function isShortOfDescriptors(error: unknown): boolean {
  return error instanceof SystemError && ['EMFILE', 'ENFILE', 'ETOOMANYREFS'].includes(error.code);
}
/** An exception counts as no: there is no caller to report it to. */
function allows({ allow }: LinkSettings, peer: Credentials): boolean {
  try {
    return allow(peer) === true;
  } catch {
    return false;
  }
}
async function refuse(socket: UnixSocket, error: string, message: string): Promise<IpcError> {
  socket.trySend(encode({ error, message }));
  return new IpcError(error, message);
}

/** The connector's half. It takes over the socket, and closes it on failure. */
export async function introduce(
  socket: UnixSocket,
  name: string,
  settings: LinkSettings,
  options: WaitOptions,
): Promise<Link> {
  const peer = socket.credentials();
  const what = `channel '${name}', process ${peer.pid}`;
  let memory: SharedMemory | undefined;
  try {
    if (settings.allow(peer) !== true) {
      throw new SystemError(EACCES, 'connect', {
        path: name,
        hint: `The listener belongs to user ${peer.uid}. To connect to it, accept that user in the option allow`,
      });
    }
    const { codec, capacity, takes } = settings;
    let unsent: unknown;
    try {
      await socket.send(encode({ codec, capacity, takes, barriers: barriersReachUs }), options);
    } catch (error) {
      if (!wasNotHeard(error)) throw error;
      unsent = error; // the listener has hung up, perhaps after sending a reason
    }
    const { message, descriptors } = await receiveMessage(socket, what, options).catch((error) => {
      throw unsent ?? error;
    });
    try {
      if (message.error !== undefined) throw refusal(name, message);
      const { capacity, takes, barriers } = message;
      if (!isCapacity(capacity) || !isSize(takes) || descriptors.length !== 1)
        throw new CorruptError(`${what}: the peer sent an invalid handshake`);
      const terms: Terms = {
        listenerCapacity: capacity,
        connectorCapacity: settings.capacity,
        peerTakes: takes,
        takes: settings.takes,
        barriers: barriersReachUs && barriers === true,
      };
      memory = SharedMemory.fromFd(descriptors[0]!, { size: linkSize(terms) });
      return attach(socket, 'connector', name, memory, terms, peer);
    } finally {
      for (const fd of descriptors) close(fd);
    }
  } catch (error) {
    memory?.close();
    socket.close();
    throw error;
  }
}
/** Whether an introduction failed because the listener hung up before it had read anything: nothing has happened yet. */
export function wasNotHeard(error: unknown): boolean {
  return error instanceof SystemError && (error.code === 'EPIPE' || error.code === 'ECONNRESET');
}
function refusal(name: string, { error, message }: Message): IpcError {
  const text = `'${name}': ${String(message)}`;
  if (error === 'ERR_VECINO_MISMATCH') return new MismatchError(text);
  return new IpcError(typeof error === 'string' ? error : 'ERR_VECINO_CORRUPT', text);
}
/** The memory's descriptor is not needed any more: a connection keeps one, the socket's. */
function attach(
  socket: UnixSocket,
  role: 'listener' | 'connector',
  name: string,
  memory: SharedMemory,
  terms: Terms,
  peer: Credentials,
): Link {
  setsockopt(socket.fd, constants['SOL_SOCKET']!, constants['SO_TIMESTAMP']!, 0);
  const mapping = mmap(memory.fd, linkSize(terms), { name: `channel '${name}'` });
  memory.close();
  return new Link(name, role, socket.handOver(), mapping, terms, peer);
}
