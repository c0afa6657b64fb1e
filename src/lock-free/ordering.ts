/**
 * A load that is ordered after every earlier `Atomics.store` of this thread: the second half of every "store, then check" between two
 * processes.
 *
 * On x86-64 the store is a locked instruction, which no load passes. So a plain load is enough, at a tenth of the cost of `Atomics.load` (a
 * call of a builtin in V8). Elsewhere this is `Atomics.load`.
 */
export const loadAfterStore: (words: Int32Array, index: number) => number =
  process.arch === 'x64' ? (words, index) => words[index]! : (words, index) => Atomics.load(words, index);

/**
 * A store that is ordered after every earlier store of this thread: a process that reads it by `Atomics.load` sees what was written before.
 *
 * On x86-64 that holds for every store, and a plain one does not wait until other processors have seen it, as `Atomics.store` does.
 */
export const publish: (words: Int32Array, index: number, value: number) => void =
  process.arch === 'x64'
    ? (words, index, value) => {
        words[index] = value;
      }
    : (words, index, value) => void Atomics.store(words, index, value);
/**
 * The load that pairs with {@link publish}: it is ordered before every later load of this thread. On x86-64 that holds for every load. It
 * can also follow an `Atomics.store` of this thread, as {@link loadAfterStore}: both are needed where a sleep is announced before a last
 * poll.
 */
export const loadPublished: (words: Int32Array, index: number) => number = loadAfterStore;
/**
 * A store that is ordered before every later plain store: announces a change before it is made. On ARM a store-release orders only what
 * comes before it; the load-acquire behind it orders what comes after, and the two keep their order.
 */
export const storeFirst: (words: Int32Array, index: number, value: number) => void =
  process.arch === 'x64'
    ? (words, index, value) => {
        Atomics.store(words, index, value);
      }
    : (words, index, value) => {
        Atomics.store(words, index, value);
        Atomics.load(words, index);
      };
const fence = new Int32Array(new SharedArrayBuffer(4));
/**
 * A load that is ordered after every earlier plain load: checks, after reading, whether something has changed meanwhile. Pairs with
 * {@link storeFirst}. On x86-64 loads keep their order.
 */
export const loadLast: (words: Int32Array, index: number) => number =
  process.arch === 'x64'
    ? (words, index) => words[index]!
    : (words, index) => {
        Atomics.store(fence, 0, 0);
        return Atomics.load(words, index);
      };
