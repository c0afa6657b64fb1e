/** The other side of listener.ts. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connectUnix } from '../../socket/unix.js';
import { checkName, checkOptions } from '../../system/arguments.js';
import type { WaitOptions } from '../../system/deadline.js';
import { Deadline } from '../../system/deadline.js';
import { errno, MismatchError, SystemError, TimeoutError } from '../../system/errors.js';
import { close } from '../../system/file.js';
import { KeepAlive, program } from '../../system/keep-alive.js';
import { openFile, openFolder } from '../../system/open-existing.js';
import { Spin } from '../../system/spin.js';
import { type AnyCodecName, type Codec, type Coder, coderOf, type ReceivedOf, type ValueOf } from '../codec/index.js';
import { type ChannelKind, readControl } from '../directory/control-file.js';
import { type ChannelDirectory, directoryOf } from '../directory/directory.js';
import { Connection } from './connection.js';
import { allowedByConnector, introduce, type LinkOptions, linkSettings, wasNotHeard } from './handshake.js';
import { BOTH_SIDES, type ListenOptions } from './listener.js';
import { SOCKET } from './presence.js';
import { Turnstile } from './turnstile.js';

/** Milliseconds that a listener gets to accept the connection, if no time-out was given: its process may be stopped. */
const DEFAULT_TIMEOUT_MS = 30_000;
/** The longest pause between two introductions that got no answer; the first one follows at once. */
const MAX_PAUSE_MS = 50;

export interface ConnectOptions<T> extends ListenOptions<T>, WaitOptions {}

/**
 * Connects to the process that listens under `name`. Any number of clients may connect at the same time: the ones that cannot be served yet
 * wait.
 *
 * @throws SystemError `ENOENT`, `ECONNREFUSED` if no process listens
 * @throws MismatchError if it is another kind of channel, or uses another codec
 * @throws TimeoutError if the listener does not accept the connection within `timeout` (default: 30 s)
 */
export function connect<T = unknown>(
  name: string,
  options?: LinkOptions & WaitOptions & { codec?: AnyCodecName; spin?: number },
): Promise<Connection<T>>;
export function connect<C extends Codec>(
  name: string,
  options: LinkOptions & WaitOptions & { codec: C; spin?: number },
): Promise<Connection<ValueOf<C>, ReceivedOf<C>>>;
export function connect<T>(name: string, options?: ConnectOptions<T>): Promise<Connection<T>>;
export async function connect(name: string, options: ConnectOptions<unknown> = {}): Promise<Connection<unknown>> {
  checkOptions('options', options, BOTH_SIDES);
  return program.during(() => connectTo<unknown>('connection', name, options));
}
/** It does not keep the program running; that is up to the caller. */
export async function connectTo<T>(
  kind: ChannelKind,
  name: string,
  options: ConnectOptions<T>,
  makeCoder: (codec: Codec | undefined) => Coder<T> = coderOf,
): Promise<Connection<T>> {
  const plain = checkName('name', name);
  const coder = makeCoder(options.codec);
  const spin = new Spin(options.spin);
  const { timeout = DEFAULT_TIMEOUT_MS, signal } = options;
  const deadline = new Deadline(`connect to '${plain}'`, { timeout, signal });
  signal?.throwIfAborted();
  const meeting = meetingOf(options);
  const settings = linkSettings(coder.name, options, allowedByConnector(meeting));
  const folder = `${meeting.path}/${plain}`;
  const rest = () => ({ timeout: deadline.remaining(), signal });
  const turnstile = await Turnstile.enter(folder, deadline);
  try {
    for (let pause = 0; ; pause = Math.min(2 * pause || 1, MAX_PAUSE_MS)) {
      let directory = -1;
      try {
        directory = folderOf(folder, kind, coder.name);
        const address = `/proc/self/fd/${directory}/${SOCKET}`;
        const socket = await connectUnix(address, { type: 'seqpacket', ...rest() }, new KeepAlive(false));
        socket.unref();
        return new Connection<T>(await introduce(socket, plain, settings, rest()), coder, spin);
      } catch (error) {
        // That is the time-out of the socket, whose address is a path of this process, with the time that was left.
        if (error instanceof TimeoutError) throw deadline.error();
        // A listener drops silent connections if there are too many, also if ours was silent because this thread was busy or stopped.
        if (!wasNotHeard(error)) throw nobody(error, folder);
        if (deadline.expired) throw deadline.error();
      } finally {
        if (directory >= 0) close(directory);
      }
      await sleep(Math.min(pause, deadline.remaining()), undefined, { signal, ref: false }).catch(() =>
        signal?.throwIfAborted(),
      );
    }
  } finally {
    turnstile.leave();
  }
}
/** Where the channel's folder is. A folder for channels between users need not exist. */
function meetingOf(options: LinkOptions): ChannelDirectory {
  try {
    return directoryOf(options);
  } catch (error) {
    throw options.directory === undefined ? error : nobody(error, options.directory);
  }
}
/** The channel's folder, if it is of that kind. The listener decides in the end. */
function folderOf(folder: string, kind: ChannelKind, codec: string): number {
  const control = openFile(`${folder}/control`, 'read');
  try {
    const found = readControl(control, folder);
    if (found.kind !== kind) throw new MismatchError(`'${folder}' is a ${found.kind}, not a ${kind}`);
    if (found.codec !== codec)
      throw new MismatchError(
        `'${folder}' uses the codec ${found.codec}, but this process asked for ${codec}. Use the same codec on both sides`,
      );
  } finally {
    close(control);
  }
  return openFolder(folder);
}
function nobody(error: unknown, folder: string): unknown {
  if (!(error instanceof SystemError) || (error.code !== 'ENOENT' && error.code !== 'ECONNREFUSED')) return error;
  const hint =
    error.code === 'ENOENT'
      ? 'No process listens under this name'
      : 'The process that listened under this name has ended';
  return new SystemError(errno[error.code]!, 'connect', { path: folder, hint, cause: error });
}
