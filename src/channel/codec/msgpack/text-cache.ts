/**
 * Recently read texts, with their bytes: the same few come again and again, keys above all, and a lookup costs a fraction of decoding. A
 * hit has exactly the same bytes, so it does not matter where they came from.
 */

/** Slots: a power of two. The index is the upper bits of a product. */
const BITS = 9;
const SLOTS = 1 << BITS;
const SHIFT = 32 - BITS;
/** From the golden ratio: it spreads neighbours. */
const FACTOR = 0x9e3779b1 | 0;
/** Words of a slot. */
const WORDS = 8;
/** The longest cached text, in bytes. */
export const LONGEST_CACHED = WORDS * 4;

/** The cache is used while this is above 0: one hit makes up for two misses. */
const MAX_CREDIT = 64;
/** Otherwise it is used for one text in so many, less one. */
const SELDOM = 15;

/** One for all decoders of a thread. A text replaces a slot when it comes for the second time. */
export class TextCache {
  readonly #texts: string[] = new Array<string>(SLOTS).fill('');
  /**
   * The bytes of each text, in words; the last word may overlap the previous one. Texts of up to three bytes take one word, with their
   * length.
   */
  readonly #words = new Int32Array(SLOTS * WORDS);
  /** For each slot, a hash of the last text that was not found there. */
  readonly #seen = new Int32Array(SLOTS);
  #slot = 0;
  #hash = 0;
  #credit = MAX_CREDIT;
  #passed = 0;
  readonly #ofKeys: boolean;

  /** @param ofKeys whether the texts will be keys of objects */
  constructor(ofKeys: boolean) {
    this.#ofKeys = ofKeys;
  }

  /** Whether to call {@link find}: it does not pay if all texts differ. */
  get worthwhile(): boolean {
    if (this.#credit > 0) return true;
    this.#passed = (this.#passed + 1) & SELDOM;
    return this.#passed === 0;
  }
  /** The text of `length` bytes at `start`, up to {@link LONGEST_CACHED}; undefined if it is not here, see {@link keep}. */
  find(data: DataView, start: number, length: number): string | undefined {
    const text = this.#lookUp(data, start, length);
    if (text === undefined) {
      if (this.#credit > 0) this.#credit--;
    } else if (this.#credit < MAX_CREDIT) this.#credit += 2;
    return text;
  }
  #lookUp(data: DataView, start: number, length: number): string | undefined {
    if (length < 4) return this.#findShort(data, start, length);
    const first = data.getInt32(start, true);
    const last = data.getInt32(start + length - 4, true);
    const middle = data.getInt32(start + ((length - 4) >> 1), true);
    const mixed = Math.imul(first ^ Math.imul(last ^ Math.imul(middle + length, FACTOR), FACTOR), FACTOR);
    const slot = mixed >>> SHIFT;
    this.#slot = slot;
    this.#hash = mixed;
    const text = this.#texts[slot]!;
    if (text.length !== length) return undefined;
    const words = this.#words;
    let word = slot * WORDS;
    if (words[word] !== first) return undefined;
    if (length === 4) return text;
    for (let i = 4; i < length - 4; i += 4) if (words[++word] !== data.getInt32(start + i, true)) return undefined;
    return words[word + 1] === last ? text : undefined;
  }
  #findShort(data: DataView, start: number, length: number): string | undefined {
    if (length === 0) return '';
    const word = shortWord(data, start, length);
    const mixed = Math.imul(word, FACTOR);
    const slot = mixed >>> SHIFT;
    this.#slot = slot;
    this.#hash = mixed;
    const text = this.#texts[slot]!;
    return text.length === length && this.#words[slot * WORDS] === word ? text : undefined;
  }
  /**
   * Stores and returns a text that was not found, if it came for the second time. Only ASCII, where characters and bytes have the same
   * length.
   */
  keep(data: DataView, start: number, length: number, text: string): string {
    if (text.length !== length || length === 0) return text;
    const slot = this.#slot;
    if (this.#seen[slot] !== this.#hash) {
      this.#seen[slot] = this.#hash;
      return text;
    }
    const words = this.#words;
    const kept = this.#ofKeys ? asKey(text) : text;
    this.#texts[slot] = kept;
    let word = slot * WORDS;
    if (length < 4) words[word] = shortWord(data, start, length);
    else {
      for (let i = 0; i < length - 4; i += 4) words[word++] = data.getInt32(start + i, true);
      words[word] = data.getInt32(start + length - 4, true);
    }
    return kept;
  }
}
function shortWord(data: DataView, start: number, length: number): number {
  const middle = data.getUint8(start + (length >> 1)) << 8;
  return data.getUint8(start) | middle | (data.getUint8(start + length - 1) << 16) | (length << 24);
}

/** The same text in the engine's form for keys: otherwise the engine would look it up each time. */
function asKey(text: string): string {
  for (const key in { [text]: 0 }) return key;
  return text;
}
