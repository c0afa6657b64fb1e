/** The interface of a form of server. One file each in `forms/`. */
import type { Server, Socket } from '../../socket/index.js';
import { SystemError } from '../../system/index.js';
import type { Address } from './address.js';

export interface Settings {
  /** Milliseconds that the polling server sleeps between two polls. */
  period: number;
  /** The most connections, and so processes, of the server with a process for each. */
  children: number;
}
export interface Task {
  readonly server: Server<Socket>;
  readonly kind: Address['kind'];
  readonly settings: Settings;
  /** Aborted when the server must end. */
  readonly stop: AbortSignal;
}
export interface Form {
  /** As the command line names it. */
  readonly name: string;
  readonly summary: string;
  /** Serves until `stop`; then closes the accepted connections. The caller closes `server`. */
  run(task: Task): Promise<void>;
}

/** Connections accepted in a row before the others have their turn. */
const IN_A_ROW = 64;
/** Accepts the waiting connections. False: this process has no descriptor left, and they continue to wait. */
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
