// @ts-check
/**
 * How far the two cores were from each other in a run. Cores of a virtual machine move between neighbouring and distant hardware, so that
 * the same program is three to seven times as slow a second later, in C as well. So a bare cache line is passed to and fro before and
 * after each run, and only runs with the cores equally far apart are compared.
 *
 * @typedef {'near' | 'far' | 'moved' | 'any'} Distance `moved`: other after the run than before it, or disturbed. `any`: it does not matter to the row
 * @typedef {[before: number, after: number]} Pings nanoseconds of a round trip
 */

/** Two groups of pings are two only if the one takes so many times as long as the other. */
const APART = 2;
/** If all pings of a benchmark are alike: up to this they are called near. Cores that share a cache need 30 to 150 ns. */
const NEAR_NS = 200;
/** No cache line takes so long: the processors had something else to do. */
const DISTURBED_NS = 5000;
/** So many pings make a group at least. */
const LEAST = 2;

/**
 * The ping up to which cores are near. Found where the pings, by their logarithms, fall into two groups best (Otsu's method).
 *
 * @param {number[]} pings of all runs, in nanoseconds
 */
export function border(pings) {
  const logs = pings
    .filter((ping) => ping <= DISTURBED_NS)
    .map(Math.log)
    .sort((a, b) => a - b);
  const total = logs.reduce((sum, log) => sum + log, 0);
  let best = { between: 0, low: 0, high: 0, apart: 0 };
  let below = 0;
  for (let count = 1; count < logs.length; count++) {
    const low = logs[count - 1];
    const high = logs[count];
    below += low;
    const above = logs.length - count;
    if (Math.min(count, above) < LEAST) continue;
    const apart = (total - below) / above - below / count;
    const between = count * above * apart ** 2;
    if (between > best.between) best = { between, low, high, apart };
  }
  return best.apart < Math.log(APART) ? NEAR_NS : Math.exp((best.low + best.high) / 2);
}
/** Pings that are all alike are one group, also if they lie about {@link NEAR_NS}. @param {number[]} pings */
export function classifier(pings) {
  const most = border(pings);
  const sorted = [...pings].sort((a, b) => a - b);
  const one = most === NEAR_NS ? (sorted[sorted.length >> 1] <= NEAR_NS ? 'near' : 'far') : undefined;
  /** @param {number} ping */
  const name = (ping) => (ping > DISTURBED_NS ? 'moved' : (one ?? (ping <= most ? 'near' : 'far')));
  /** @param {Pings | undefined} both @returns {Distance} */
  return (both) => {
    if (both === undefined) return 'any';
    const [before, after] = both.map(name);
    return before === after ? before : 'moved';
  };
}
