import { MessageTooLargeError } from '../../system/errors.js';
import type { Connection } from '../connection/index.js';

/** What surely goes in one piece, whatever the ring's capacity. */
const SURELY_ONE_PIECE_BYTES = 1024;

/**
 * Sends a frame: true if it is in the ring, otherwise it waits for room (with a copy of the frame). That the peer takes none so
 * long is always told by the promise; what is thrown is that the connection is over.
 */
export function post(connection: Connection<unknown>, frame: Uint8Array): true | Promise<void> {
  try {
    return frame.length <= SURELY_ONE_PIECE_BYTES && connection.trySend(frame) ? true : connection.send(frame);
  } catch (error) {
    if (error instanceof MessageTooLargeError) return Promise.reject(error);
    throw error;
  }
}
