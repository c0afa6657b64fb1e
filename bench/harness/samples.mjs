// @ts-check
/** Times of single events, all of them kept: a histogram's own bookkeeping would cost as much as a fast round trip. */

/** Buckets in a power of two. */
export const FINENESS = 8;
const CAPACITY = 1_000_000;
/** What is measured at least, however slow it is or busy the machine. */
export const LEAST = 10;

export class Samples {
  #times = new Float64Array(CAPACITY).fill(1); // filled, so that its pages are there
  #length = 0;
  /** Whether to go on measuring after `time`, if it is to end at `end`. @param {number} time @param {number} end */
  wanted(time, end) {
    return this.#length < LEAST || (time < end && this.#length < CAPACITY);
  }
  /** @param {number} milliseconds */
  add(milliseconds) {
    this.#times[this.#length++] = milliseconds;
  }
  /** @returns {import('./row.js').Outcome} */
  outcome() {
    const times = this.#times
      .subarray(0, this.#length)
      .map((time) => time * 1e6)
      .sort();
    /** @param {number} part */
    const at = (part) => times[Math.min(times.length - 1, Math.floor(times.length * part))];
    /** @type {Map<number, number>} */
    const buckets = new Map();
    for (const time of times) {
      const bucket = Math.floor(Math.log2(Math.max(time, 1)) * FINENESS);
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
    }
    return { metrics: { p50: at(0.5), p99: at(0.99), 'p99.9': at(0.999) }, histogram: [...buckets] };
  }
}
