/**
 * Copies of bytes in shared buffers, as for short Buffers. Allocating an `ArrayBuffer` for each copy takes V8 a microsecond or two, ten
 * times as long as copying 1 KiB, and its garbage collector frees it on another thread, which the next allocation waits for.
 */
import { markAsUntransferable } from 'node:worker_threads';

/** Bytes of an array whose memory V8 keeps in its own heap, which is cheap. */
const MAX_IN_HEAP_BYTES = 64;
/** Longer copies have memory of their own. */
export const MAX_POOLED_BYTES = 4096;
/** The most memory that one live copy keeps from being freed. */
export const POOL_BYTES = 32768;

export class Pool {
  #memory = new Uint8Array(0);
  #at = 0;

  /** A copy of `length` bytes at `offset`, at a multiple of 8 bytes of its buffer. */
  copy(memory: Uint8Array, offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (length <= MAX_IN_HEAP_BYTES || length > MAX_POOLED_BYTES) return memory.slice(offset, offset + length);
    let at = this.#at;
    // The length is 0 before the first copy, and if the memory was transferred all the same.
    if (at + length > this.#memory.length) {
      this.#renew();
      at = 0;
    }
    this.#at = (at + length + 7) & ~7;
    const copy = new Uint8Array(this.#memory.buffer, at, length);
    copy.set(memory.subarray(offset, offset + length));
    return copy;
  }
  #renew(): void {
    this.#memory = new Uint8Array(poolBuffer());
  }
}
/** Memory for several copies. */
export function poolBuffer(): ArrayBuffer {
  const buffer = new ArrayBuffer(POOL_BYTES);
  markAsUntransferable(buffer); // the other copies in it would be lost
  return buffer;
}
