/**
 * Recently seen texts, with their bytes: messages repeat the same few texts, and a lookup costs a tenth of decoding or encoding. The
 * generated code of layout-program.ts computes the slots and does the lookup; this class handles the misses.
 */
import { LITTLE_ENDIAN } from '../system/bytes.js';
import { Memory } from './layout-memory.js';
import type { TextField } from './layout-text.js';

/** Slots: a power of two. The index is the upper bits of a product. */
const BITS = 7;
export const SLOTS: number = 1 << BITS;
export const SHIFT: number = 32 - BITS;
/** From the golden ratio: it spreads neighbours. */
export const FACTOR = 0x9e3779b1;
/** The longest text field worth caching, in bytes. */
export const MAX_CACHED_BYTES = 32;

/** For one direction of one field, whose size is a multiple of 4. Each slot holds the last text that mapped to it. */
export class TextCache {
  /** For each slot the whole field, with the bytes after the text. Zeros are the empty text. */
  readonly words: Int32Array;
  readonly texts: string[] = new Array<string>(SLOTS).fill('');
  readonly #field: TextField;
  /** A private copy of the field, because a peer can change the memory meanwhile. */
  readonly #now: Int32Array;
  readonly #memory: Memory;

  constructor(field: TextField) {
    const count = field.size >> 2;
    this.words = new Int32Array(SLOTS * count);
    this.#field = field;
    this.#now = new Int32Array(count);
    this.#memory = new Memory(this.#now.buffer);
  }
  /** The text of the words of a field. */
  decode(slot: number, a: number, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0): string {
    const now = this.#now;
    now[0] = a; // stores past the end have no effect
    now[1] = b;
    now[2] = c;
    now[3] = d;
    now[4] = e;
    now[5] = f;
    now[6] = g;
    now[7] = h;
    const text = this.#field.read(this.#memory, 0);
    this.#keep(slot, text);
    return text;
  }
  /** Writes a text; throws as the field does. */
  encode(slot: number, memory: Memory, at: number, value: unknown): void {
    this.#field.write(this.#memory, 0, value);
    this.#keep(slot, value as string);
    const now = this.#now;
    for (let i = 0; i < now.length; i++) memory.data.setInt32(at + 4 * i, now[i]!, LITTLE_ENDIAN);
  }
  #keep(slot: number, text: string): void {
    this.words.set(this.#now, slot * this.#now.length);
    this.texts[slot] = text;
  }
}
