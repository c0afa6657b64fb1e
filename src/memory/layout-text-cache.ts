/**
 * Texts that were seen lately, beside their bytes: in messages the same few come again and again, and finding one costs a
 * tenth of decoding or encoding it. Used by the generated code of layout-program.ts, which computes the slots itself.
 */

/** Slots: a power of two. The index is the upper bits of a product. */
const BITS = 7;
export const SLOTS: number = 1 << BITS;
export const SHIFT: number = 32 - BITS;
/** Of the golden ratio: neighbours are spread. */
export const FACTOR = 0x9e3779b1;
/** The longest text field that is worth it, in bytes. */
export const LONGEST = 32;

/** For one direction of one field of `size` bytes, a multiple of 4. A slot is replaced by whatever comes next to it. */
export class TextCache {
  /** Of each slot the whole field, with what lies behind the text. Zeros are the empty text. */
  readonly words: Int32Array;
  readonly texts: string[] = new Array<string>(SLOTS).fill('');
  readonly #count: number;
  constructor(size: number) {
    this.#count = size >> 2;
    this.words = new Int32Array(SLOTS * this.#count);
  }
  /** `words` decode to `text`. */
  keep(slot: number, text: string, words: Int32Array): string {
    this.words.set(words, slot * this.#count);
    this.texts[slot] = text;
    return text;
  }
}
