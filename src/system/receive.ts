/** recvmsg(2) on the hot path: bytes go into the buffer pool, everything else into an envelope that every receive reuses. */

import { poolOffset, poolRoom, poolTake } from './buffer-pool.js';
import type { Bytes } from './bytes.js';
import { constants, native } from './native.js';

declare module './native.js' {
  interface Native {
    useEnvelope(envelope: ArrayBufferView, overflow: ArrayBufferView): number;
    receivePooled(fd: number, offset: number, length: number, flags: number, kind: number): number;
  }
}
const { receivePooled, useEnvelope } = native;

/** The longest chunk of a stream. */
const MAX_CHUNK_BYTES = 64 * 1024;
/**
 * More than the longest message that the kernel can hold with 4 KiB pages (4 MiB and a little, because its memory is contiguous). It costs
 * address space, and memory only as far as the longest message so far.
 */
const OVERFLOW = 5 * 1024 * 1024;
const MSG_TRUNC = constants['MSG_TRUNC']!;
const MSG_CTRUNC = constants['MSG_CTRUNC']!;
/** As in socket_message.c. */
const STREAM = 0;
const MESSAGE = 1;
const MESSAGE_WITH_NAME = 2;
const NAME = constants['offsetof_envelope_name']!;

const buffer = new ArrayBuffer(constants['sizeof_envelope']!);
const envelope = new Int32Array(buffer);
let overflow: Bytes = new Uint8Array(0);
useEnvelope(envelope, overflow);

/**
 * A stream's next bytes, at most 64 KiB. Returns the bytes, or the call's result if it is 0 (the end) or negative (an errno). The functions
 * below describe what came with them, until the next receive.
 */
export function receiveChunk(fd: number, flags: number): Bytes | number {
  const offset = poolOffset();
  const count = receivePooled(fd, offset, Math.min(MAX_CHUNK_BYTES, poolRoom(offset)), flags, STREAM);
  return count <= 0 ? count : poolTake(offset, count);
}
/**
 * One whole message of a seqpacket or datagram socket, as {@link receiveChunk}. 0 may be an empty message: see {@link hadAncillary}. With
 * `withName`, {@link senderAddress} has the sender's address.
 */
export function receiveWhole(fd: number, flags: number, withName: boolean): Bytes | number {
  if (overflow.length === 0) {
    overflow = new Uint8Array(OVERFLOW);
    useEnvelope(envelope, overflow);
  }
  const offset = poolOffset();
  const room = poolRoom(offset);
  const count = receivePooled(fd, offset, room, flags, withName ? MESSAGE_WITH_NAME : MESSAGE);
  if (count <= 0) return count;
  if (count <= room) return poolTake(offset, count);
  const bytes = new Uint8Array(count);
  bytes.set(poolTake(offset, room));
  bytes.set(overflow.subarray(0, count - room), room);
  return bytes;
}
/** Whether there is nothing but bytes, and nothing was truncated: one check for the common case. */
export function isPlain(): boolean {
  return envelope[1] === 0 && (envelope[0]! & (MSG_TRUNC | MSG_CTRUNC)) === 0;
}
/** The message was longer than the room for it; its end is lost. */
export function wasCut(): boolean {
  return (envelope[0]! & MSG_TRUNC) !== 0;
}
/** There were descriptors that the kernel could not deliver. */
export function descriptorsLost(): boolean {
  return (envelope[0]! & MSG_CTRUNC) !== 0;
}
/** There was ancillary data of any kind: with SO_TIMESTAMP on, that distinguishes an empty message from the end of the connection. */
export function hadAncillary(): boolean {
  return envelope[2] !== 0;
}
/** The received descriptors; yours to close. */
export function receivedDescriptors(): number[] {
  return Array.from(envelope.subarray(4, 4 + envelope[1]!));
}
/** The sender's address, `null` if it has none. Valid until the next receive. */
export function senderAddress(): Uint8Array | null {
  const length = envelope[3]!;
  return length <= 2 ? null : new Uint8Array(buffer, NAME, length);
}
