/** Copying messages into shared memory. */

/** Bytes up to which a loop over words is faster than `set`. */
const MAX_LOOP_BYTES = 256;
const NONE = new BigInt64Array(0);

export class CopyIn {
  readonly #bytes: Uint8Array;
  readonly #longs: BigInt64Array;
  /** The last short payload, and its words once it is used again. Its memory is kept until the next one, or until this side closes. */
  #last: Uint8Array | undefined;
  #words: BigInt64Array | undefined;

  constructor(buffer: ArrayBuffer) {
    this.#bytes = new Uint8Array(buffer);
    this.#longs = new BigInt64Array(buffer, 0, buffer.byteLength >> 3);
  }
  /** Copies `payload` to byte `offset`, a multiple of 8. */
  copy(payload: Uint8Array, offset: number, length: number): void {
    if (length > MAX_LOOP_BYTES || !this.#again(payload, offset, length)) this.#bytes.set(payload, offset);
  }
  /**
   * Copies a short payload word by word if the previous one was the same object, as with callers that reuse their memory. For another
   * object it would take a new view, which costs more than it saves. `set` is a call that writes more to the stack than to the ring, and
   * the processor's stores wait for each other when a reader's cache holds the lines.
   */
  #again(payload: Uint8Array, offset: number, length: number): boolean {
    let from = this.#words;
    if (payload !== this.#last) {
      this.#last = payload;
      this.#words = undefined;
      return false;
    }
    if (from === undefined) this.#words = from = wordsOf(payload);
    const count = from.length;
    if (count === 0 || count !== length >> 3) return false; // or it was resized meanwhile
    const to = this.#longs;
    const first = offset >> 3;
    let i = 0;
    for (; i <= count - 8; i += 8) {
      to[first + i] = from[i]!;
      to[first + i + 1] = from[i + 1]!;
      to[first + i + 2] = from[i + 2]!;
      to[first + i + 3] = from[i + 3]!;
      to[first + i + 4] = from[i + 4]!;
      to[first + i + 5] = from[i + 5]!;
      to[first + i + 6] = from[i + 6]!;
      to[first + i + 7] = from[i + 7]!;
    }
    for (; i < count; i++) to[first + i] = from[i]!;
    for (i = count << 3; i < length; i++) this.#bytes[offset + i] = payload[i]!;
    return true;
  }
}
/** Its whole words, if they lie at multiples of 8. */
function wordsOf({ buffer, byteOffset, length }: Uint8Array): BigInt64Array {
  return (byteOffset & 7) === 0 ? new BigInt64Array(buffer, byteOffset, length >> 3) : NONE;
}
