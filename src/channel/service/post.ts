import { MessageTooLargeError } from '../../system/errors.js';
import type { Connection } from '../connection/index.js';

/** Bytes that always fit in one piece, whatever the ring's capacity. */
const SURELY_ONE_PIECE_BYTES = 1024;

/**
 * Sends a frame. Returns true if it is in the ring; otherwise a promise, and a copy of the frame waits for room. If the frame is too large
 * for the peer, the promise rejects; if the connection is over, it throws.
 */
export function post(connection: Connection<unknown>, frame: Uint8Array): true | Promise<void> {
  try {
    return frame.length <= SURELY_ONE_PIECE_BYTES && connection.trySend(frame) ? true : connection.send(frame);
  } catch (error) {
    if (error instanceof MessageTooLargeError) return Promise.reject(error);
    throw error;
  }
}
