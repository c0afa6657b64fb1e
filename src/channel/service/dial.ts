/** Connects to a service by name, and waits for its greeting. */
import { ClosedError, CorruptError, PeerDiedError, SystemError, TimeoutError } from '../../system/errors.js';
import { connectTo } from '../connection/connect.js';
import type { Connection } from '../connection/index.js';
import { directoryPath } from '../directory/directory.js';
import { type Frame, HELLO } from './frame.js';
import { frameCoder } from './service.js';
import { ServiceWatcher } from './service-watcher.js';
import type { ClientOptions } from './types.js';

/** Milliseconds for one attempt: the service may be stopped. */
const ATTEMPT_TIMEOUT_MS = 30_000;
const MAX_CALLS: number = 2 ** 20;

export interface Greeted {
  readonly connection: Connection<unknown>;
  /** The most calls in flight that the service accepts. */
  readonly limit: number;
}

/** It does not keep the program running; that is up to the caller. */
export async function dial(name: string, options: ClientOptions, signal: AbortSignal): Promise<Greeted> {
  const { reconnect: _, window: __, ...rest } = options;
  const wait = { timeout: ATTEMPT_TIMEOUT_MS, signal };
  // The frame reader spins by itself, with the spin of the connection.
  const connection = await connectTo('service', name, { ...rest, ...wait }, frameCoder);
  connection.unref(); // pending calls count, not the reader of their frames
  try {
    const { kind, number } = (await connection.receive(wait)) as Frame;
    if (kind === HELLO && number >= 1 && number <= MAX_CALLS) return { connection, limit: number };
    throw new CorruptError(`service '${name}' sent an invalid greeting`);
  } catch (error) {
    connection.close();
    throw error;
  }
}
/** Waits until the service exists. */
export async function dialUntilThere(name: string, options: ClientOptions, signal: AbortSignal): Promise<Greeted> {
  const watcher = new ServiceWatcher(directoryPath(options), name);
  try {
    for (;;) {
      try {
        return await dial(name, options, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!isAbsence(error)) throw error;
      }
      await watcher.wait(signal);
      signal.throwIfAborted();
    }
  } finally {
    watcher.close();
  }
}
/** Whether an attempt failed because no process serves there now. */
function isAbsence(error: unknown): boolean {
  return (
    (error instanceof SystemError && ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(error.code)) ||
    error instanceof PeerDiedError ||
    error instanceof ClosedError ||
    error instanceof TimeoutError
  );
}
