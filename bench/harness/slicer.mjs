// @ts-check
/** Cuts messages of one size out of what a stream gives. One that arrived whole is not copied. For rows on pipes and stream sockets. */
export class Slicer {
  #size;
  /** @type {Uint8Array} */
  #chunk = new Uint8Array(0);
  #at = 0;
  /** The beginning of a message whose end is not here yet. */
  #part;
  #have = 0;
  /** @param {number} size */
  constructor(size) {
    this.#size = size;
    this.#part = new Uint8Array(size);
  }
  /** What the stream gave, once next() has answered undefined. @param {Uint8Array} chunk */
  add(chunk) {
    this.#chunk = chunk;
    this.#at = 0;
  }
  /** @returns {Uint8Array | undefined} */
  next() {
    const size = this.#size;
    const chunk = this.#chunk;
    const at = this.#at;
    const left = chunk.length - at;
    if (this.#have === 0 && left >= size) {
      this.#at = at + size;
      return left === chunk.length && left === size ? chunk : chunk.subarray(at, at + size);
    }
    const count = Math.min(left, size - this.#have);
    this.#part.set(chunk.subarray(at, at + count), this.#have);
    this.#at = at + count;
    this.#have += count;
    if (this.#have < size) return undefined;
    const message = this.#part;
    this.#part = new Uint8Array(size);
    this.#have = 0;
    return message;
  }
}
