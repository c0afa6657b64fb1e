/**
 * Memory for reads whose bytes go to the user: pieces of one large block, one after the other, as in Node's Buffer pool. An `ArrayBuffer`
 * for each would cost more than the system call. A piece is never reused.
 */

import { markAsUntransferable } from 'node:worker_threads';
import type { Bytes } from './bytes.js';
import { native } from './native.js';

const BLOCK_BYTES = 256 * 1024;
/** With less room than this a new block is begun. */
const MIN_ROOM_BYTES = 4096;
/** Larger messages do not use the pool: making room for one would waste too much of it. */
export const MAX_POOLED_BYTES: number = BLOCK_BYTES / 4;
/** Bytes of a number that the addon stores before a message: its priority or type. The message's memory is aligned to it. */
export const MESSAGE_HEADER = 8;
const HEADER: number = MESSAGE_HEADER;
const { readPooled, usePool } = native;

let pool = new ArrayBuffer(0);
/** Its length is 0 once a user of a piece has transferred the buffer: then the addon must not write there any more. */
let view = new Uint8Array(pool);
let headers = new Float64Array(pool);
let used = BLOCK_BYTES;

function begin(): void {
  pool = new ArrayBuffer(BLOCK_BYTES);
  markAsUntransferable(pool); // or sending one piece to a worker would take all other pieces along
  view = new Uint8Array(pool);
  headers = new Float64Array(pool);
  used = 0;
  usePool(view);
}

/**
 * Where the next piece begins, with room for at least 4 KiB (or `most`, if less). The addon keeps the block's address, so call this before
 * every call that fills it.
 */
export function poolOffset(most = MIN_ROOM_BYTES): number {
  if (used + Math.min(most, MIN_ROOM_BYTES) > BLOCK_BYTES || view.length === 0) begin();
  return used;
}
/** The free bytes from `offset` on. */
export function poolRoom(offset: number): number {
  return BLOCK_BYTES - offset;
}
/** Returns the bytes that were filled. */
export function poolTake(offset: number, count: number): Bytes {
  used = (offset + count + 7) & ~7;
  return new Uint8Array(pool, offset, count);
}

/** read(2) of at most `most` bytes: the bytes, or the call's result if it is 0 (the end) or negative (an errno). */
export function readFresh(fd: number, most: number): Bytes | number {
  const offset = poolOffset(most);
  const count = readPooled(fd, offset, Math.min(most, BLOCK_BYTES - offset));
  return count <= 0 ? count : poolTake(offset, count);
}

/** Room for a message of at most `size` bytes (at most {@link MAX_POOLED_BYTES}) and its header: the offset of the header. */
export function messageRoom(size: number): number {
  if (used + HEADER + size > BLOCK_BYTES || view.length === 0) begin();
  return used;
}
/** The header of the message that landed at `offset`. */
export function messageHeader(offset: number): number {
  return headers[offset >> 3]!;
}
/** The content of the message at `offset`; the rest of its room is free again. */
export function messageContent(offset: number, length: number): Bytes {
  used = (offset + HEADER + length + 7) & ~7;
  return new Uint8Array(pool, offset + HEADER, length);
}
/** A separate buffer for a message that is too large for the pool, and the bytes in it. */
export function largeBuffer(size: number): Bytes {
  return new Uint8Array(HEADER + size);
}
export function largeHeader(buffer: Uint8Array): number {
  return new Float64Array(buffer.buffer, buffer.byteOffset, 1)[0]!;
}
export function largeContent(buffer: Bytes, length: number): Bytes {
  return buffer.slice(HEADER, HEADER + length);
}
