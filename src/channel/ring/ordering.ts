/**
 * A load that no earlier `Atomics.store` of this thread may follow: the half of every "tell, then look" between two processes.
 *
 * On x86-64 the store is a locked instruction that nothing passes, so that a plain load will do, which costs a tenth of
 * `Atomics.load` (a call of a builtin in V8). Elsewhere it is the real thing.
 */
export const loadAfterStore: (words: Int32Array, index: number) => number =
  process.arch === 'x64' ? (words, index) => words[index]! : (words, index) => Atomics.load(words, index);
