/** recvmsg(2) on the hot path: bytes into the buffer pool, what comes with them into an envelope that every receive reuses. */

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

/** A stream's chunk is no longer than this. */
const MAX_CHUNK_BYTES = 64 * 1024;
/**
 * More than the kernel makes a message of with 4 KiB pages (4 MiB and a little; its memory for one is contiguous). It costs
 * address space; memory only as far as the longest message so far.
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
 * A stream's next bytes, at most 64 KiB. The bytes, or the call's result if it is 0 (the end) or negative (an errno). The
 * functions below tell what came with them, until the next receive.
 */
export function receiveChunk(fd: number, flags: number): Bytes | number {
  const offset = poolOffset();
  const count = receivePooled(fd, offset, Math.min(MAX_CHUNK_BYTES, poolRoom(offset)), flags, STREAM);
  return count <= 0 ? count : poolTake(offset, count);
}
/**
 * One whole message of a seqpacket or datagram socket, as {@link receiveChunk}. 0 may be an empty message: see {@link hadAncillary}.
 * With `withName`, {@link senderAddress} tells the sender's address.
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
/** Whether anything beside bytes came, or something was cut: one look for the common case of nothing. */
export function isPlain(): boolean {
  return envelope[1] === 0 && (envelope[0]! & (MSG_TRUNC | MSG_CTRUNC)) === 0;
}
/** The message was longer than anything there was room for; its end is gone. */
export function wasCut(): boolean {
  return (envelope[0]! & MSG_TRUNC) !== 0;
}
/** Descriptors came that the kernel could not hand over. */
export function descriptorsLost(): boolean {
  return (envelope[0]! & MSG_CTRUNC) !== 0;
}
/** Ancillary data of any kind came: with SO_TIMESTAMP on, that tells an empty message from the end of the connection. */
export function hadAncillary(): boolean {
  return envelope[2] !== 0;
}
/** The descriptors that came; the caller's to close. */
export function receivedDescriptors(): number[] {
  return Array.from(envelope.subarray(4, 4 + envelope[1]!));
}
/** The sender's address, `null` if it has none. Valid until the next receive. */
export function senderAddress(): Uint8Array | null {
  const length = envelope[3]!;
  return length <= 2 ? null : new Uint8Array(buffer, NAME, length);
}
