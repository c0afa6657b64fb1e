/**
 * Copies of bytes that lie one behind the other in memory of several, as short Buffers do. To allocate an `ArrayBuffer` for each takes
 * V8 a microsecond or two, ten times as long as to copy 1 KiB, and its garbage collector gives it back from another thread, which the
 * next allocation waits for.
 */
import { markAsUntransferable } from 'node:worker_threads';

/** Bytes of an array whose memory V8 keeps in its own heap, which costs little. */
const MAX_IN_HEAP_BYTES = 64;
/** Longer ones have memory of their own. */
export const LARGEST_POOLED_BYTES = 4096;
/** What one copy that is kept keeps from being freed, at most. */
export const POOL_BYTES = 32768;

export class Pool {
  #memory = new Uint8Array(0);
  #at = 0;

  /** A copy of `length` bytes at `offset`, at a multiple of 8 bytes of its buffer. */
  copy(memory: Uint8Array, offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (length <= MAX_IN_HEAP_BYTES || length > LARGEST_POOLED_BYTES) return memory.slice(offset, offset + length);
    let at = this.#at;
    // Its length is 0 before the first, and if somebody has transferred it all the same.
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
/** Memory for copies of several. */
export function poolBuffer(): ArrayBuffer {
  const buffer = new ArrayBuffer(POOL_BYTES);
  markAsUntransferable(buffer); // the others in it would be gone
  return buffer;
}
