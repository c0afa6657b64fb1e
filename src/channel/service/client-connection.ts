/** A client's connection that the service has greeted. */
import type { Connection } from '../connection/index.js';
import type { Greeted } from './dial.js';
import type { Frame } from './frame.js';
import { FrameReader, type Reader } from './frame-reader.js';

/** Gets the events of a connection. */
export interface ConnectionOwner {
  /** How many calls wait for a frame: while it is 0, nothing is read. */
  readonly wanted: number;
  received(from: ClientConnection, frame: Frame): void;
  lost(from: ClientConnection, error: unknown): void;
}

export class ClientConnection implements Reader {
  readonly connection: Connection<unknown>;
  readonly frames: FrameReader;
  /** The most calls in flight that the service accepts. */
  readonly limit: number;
  /** It accepts no calls any more. */
  retired = false;
  /** When something was last received. */
  heard: number = performance.now();
  /** Calls that were sent over it; and those that the service will not read, once it has said so. */
  launched = 0;
  unread = 0;
  readonly #owner: ConnectionOwner;

  constructor(owner: ConnectionOwner, { connection, limit }: Greeted) {
    this.#owner = owner;
    this.connection = connection;
    this.limit = limit;
    this.frames = new FrameReader(connection, this);
  }
  get wanted(): boolean {
    return this.#owner.wanted > 0;
  }
  received(frame: Frame): void {
    this.#owner.received(this, frame);
  }
  lost(error: unknown): void {
    this.#owner.lost(this, error);
  }
  /** The peer has gone. Reads and drops what it had sent last; returns the error that ends that, if there is one. */
  finish(): unknown {
    try {
      while (this.connection.tryReceive() !== undefined);
      return undefined;
    } catch (error) {
      return error;
    }
  }
}
