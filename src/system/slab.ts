/**
 * Where reads land whose bytes are handed to the user: pieces of one large block, one after the other, as Node's Buffer pool
 * does. An `ArrayBuffer` for each would cost more than the system call. A piece is never reused.
 */
import { native } from './native.js';

const SIZE = 256 * 1024;
/** Below this room a new block is begun. */
const SMALLEST = 4096;
const { readSlab, useSlab } = native;

let slab = new ArrayBuffer(0);
/** Its length is 0 once whoever got a piece has transferred the buffer away: then the addon must not write there any more. */
let view = new Uint8Array(slab);
let used = SIZE;

/** read(2) of at most `most` bytes: the bytes, or the call's result if it is 0 (the end) or negative (an errno). */
export function readFresh(fd: number, most: number): Uint8Array | number {
  if (used + Math.min(most, SMALLEST) > SIZE || view.length === 0) {
    slab = new ArrayBuffer(SIZE);
    view = new Uint8Array(slab);
    used = 0;
    useSlab(view);
  }
  const offset = used;
  const room = SIZE - offset;
  const count = readSlab(fd, offset, Math.min(most, room));
  if (count <= 0) return count;
  used = (offset + count + 7) & ~7;
  return new Uint8Array(slab, offset, count);
}
