/** Copying short messages out of shared memory. */

/** Bytes up to which a loop over words is faster than a view and `set`. */
export const MAX_LOOP_BYTES = 256;

/**
 * Copies `length` bytes, rounded up to words, from word `first` of `source` to word `to` of `target`. Each word is read once. Four at a
 * time take half the time of one by one.
 */
export function copyOut(source: Int32Array, first: number, target: Int32Array, length: number, to = 0): void {
  const end = to + ((length + 3) >> 2);
  const shift = first - to;
  let i = to;
  for (; i <= end - 4; i += 4) {
    target[i] = source[shift + i]!;
    target[i + 1] = source[shift + i + 1]!;
    target[i + 2] = source[shift + i + 2]!;
    target[i + 3] = source[shift + i + 3]!;
  }
  for (; i < end; i++) target[i] = source[shift + i]!;
}
