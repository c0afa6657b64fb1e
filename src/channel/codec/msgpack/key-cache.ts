/** The keys of objects come again and again: finding one by its bytes costs a fraction of decoding it. */
const SLOTS = 512;

export class KeyCache {
  readonly #keys: string[] = new Array(SLOTS).fill('');
  #slot = 0;

  /** The key of these bytes, if it was the last one in its slot. */
  find(memory: Uint8Array, start: number, length: number): string | undefined {
    if (length === 0) return '';
    const slot =
      ((memory[start]! * 31 + memory[start + length - 1]!) * 31 + memory[start + (length >> 1)]! * 7 + length) &
      (SLOTS - 1);
    this.#slot = slot;
    const key = this.#keys[slot]!;
    if (key.length !== length) return undefined;
    for (let i = 0; i < length; i++) if (key.charCodeAt(i) !== memory[start + i]) return undefined;
    return key;
  }
  /** Keeps one that was not found. Only ASCII, of which the lengths in characters and bytes are the same. */
  add(length: number, key: string): string {
    if (key.length === length) this.#keys[this.#slot] = key;
    return key;
  }
}
