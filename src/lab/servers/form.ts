/** What a form of server must supply. One file each in `forms/`. */
import type { Server, Socket } from '../../socket/index.js';
import { SystemError } from '../../system/index.js';
import type { Address } from './address.js';

export interface Settings {
  /** Milliseconds that the polling server sleeps between two looks. */
  period: number;
  /** Connections, and so processes, that the server with a process for each has at the most. */
  children: number;
}
export interface Task {
  readonly server: Server<Socket>;
  readonly kind: Address['kind'];
  readonly settings: Settings;
  /** Aborted when the server is to end. */
  readonly stop: AbortSignal;
}
export interface Form {
  /** As the command line names it. */
  readonly name: string;
  readonly summary: string;
  /** Serves until `stop`; then closes what it has accepted. Closing `server` is the caller's. */
  run(task: Task): Promise<void>;
}

/** Connections accepted in a row before the others are looked at again. */
const IN_A_ROW = 64;
/** Accepts those that wait. False: this process has no descriptor left, and they go on waiting. */
export function acceptWaiting(server: Server<Socket>, welcome: (socket: Socket) => void): boolean {
  for (let count = 0; count < IN_A_ROW; count++) {
    let socket: Socket | undefined;
    try {
      socket = server.tryAccept();
    } catch (error) {
      if (isExhausted(error)) return false;
      throw error;
    }
    if (socket === undefined) return true;
    welcome(socket);
  }
  return true;
}
export function isExhausted(error: unknown): boolean {
  return error instanceof SystemError && ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'].includes(error.code);
}
