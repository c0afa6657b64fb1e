/**
 * A load that no earlier `Atomics.store` of this thread may follow: the half of every "tell, then look" between two processes.
 *
 * On x86-64 the store is a locked instruction that nothing passes, so that a plain load will do, which costs a tenth of
 * `Atomics.load` (a call of a builtin in V8). Elsewhere it is the real thing.
 */
export const loadAfterStore: (words: Int32Array, index: number) => number =
  process.arch === 'x64' ? (words, index) => words[index]! : (words, index) => Atomics.load(words, index);

/**
 * A store that no earlier store of this thread may follow: whoever reads it by `Atomics.load` reads what was written before it.
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
 * The load that pairs with {@link publish}: no later load of this thread may precede it. On x86-64 that holds for every load. It also stands
 * after an `Atomics.store` of this thread, which is {@link loadAfterStore}: both are needed where a sleep is announced before a last look.
 */
export const loadPublished: (words: Int32Array, index: number) => number = loadAfterStore;
/**
 * A store that no later plain store may overtake: "this will change", said before it is changed. On ARM a store-release holds back only
 * what comes before it; the load-acquire behind it holds back what comes after, and the two keep their order.
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
 * A load that no earlier plain load may follow: "has it changed meanwhile?", asked after reading. The pair of {@link storeFirst}. On
 * x86-64 loads keep their order.
 */
export const loadLast: (words: Int32Array, index: number) => number =
  process.arch === 'x64'
    ? (words, index) => words[index]!
    : (words, index) => {
        Atomics.store(fence, 0, 0);
        return Atomics.load(words, index);
      };
