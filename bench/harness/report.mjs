// @ts-check
/**
 * From outcomes to figures: the runs of a row are parted by how far the cores were from each other; of each part the median with the least
 * and the most, ratios to the baseline's runs of the same part, targets met or missed.
 *
 * @typedef {import('./run.mjs').Cell} Cell
 * @typedef {import('./row.js').Target} Target
 * @typedef {import('./row.js').Outcome} Outcome
 * @typedef {import('./distance.mjs').Distance} Distance
 * @typedef {{ median: number, min: number, max: number, runs: number[], unit: string, better: 'less' | 'more' }} Figure
 * @typedef {{ metric: string, against?: string, againstSize: number, atMost?: number, atLeast?: number, inRuns?: number, value: number | null,
 *   met: boolean | null }} Verdict value is a ratio where there is an `against`; null: nothing to compare with, or not judged
 * @typedef {{ cores: Distance, count: number, pings?: { median: number, min: number, max: number }, figures: Record<string, Figure>,
 *   ratios: { against: string, value: number | null }[], targets: Verdict[] }} Part
 * @typedef {{ row: string, group: string, kind: import('./row.js').Kind, size: number, status: 'ok' | 'failed' | 'skipped',
 *   why?: string, primary: string, parts: Part[], histogram?: { from: number, to: number, count: number }[] }} Result
 */
import { classifier } from './distance.mjs';
import { metricsOf } from './run.mjs';
import { FINENESS } from './samples.mjs';

/** @type {Distance[]} */
const ORDER = ['any', 'near', 'far', 'moved'];

/** @param {Cell[]} cells @returns {Result[]} */
export function results(cells) {
  const distanceOf = classifier(cells.flatMap(({ outcomes }) => outcomes.flatMap(({ pings = [] }) => pings)));
  const made = cells.map((cell) => ({ cell, result: result(cell, distanceOf) }));
  /** The part to compare with. One of a row to which the distance does not matter goes with any. */
  const find = (
    /** @type {string} */ row,
    /** @type {string} */ kind,
    /** @type {number} */ size,
    /** @type {Distance} */ cores,
  ) =>
    made
      .find(({ result }) => result.row === row && result.kind === kind && result.size === size)
      ?.result.parts.find((part) => part.cores === cores || part.cores === 'any');
  for (const { cell, result } of made) {
    const { row, kind, size } = cell;
    const sizes = cells.filter((other) => other.row === row && other.kind === kind).map((other) => other.size);
    for (const part of result.parts) {
      /** @param {string} against @param {string} metric @param {number} at @param {number | undefined} mine @param {string} [other] */
      const ratio = (against, metric, at, mine, other = kind) => {
        if (part.cores === 'moved') return null;
        const theirs = find(against, other, at, part.cores)?.figures[metric]?.median;
        return mine === undefined || theirs === undefined || theirs === 0 ? null : mine / theirs;
      };
      for (const against of [row.against].flat()) {
        if (against === undefined) continue;
        part.ratios.push({
          against,
          value: ratio(against, result.primary, size, part.figures[result.primary]?.median),
        });
      }
      for (const target of row.targets ?? []) {
        if (target.kind !== undefined && target.kind !== kind) continue;
        if (target.at !== undefined && sizeOf(target.at, sizes) !== size) continue;
        const againstSize = target.againstAt === undefined ? size : sizeOf(target.againstAt, sizes);
        if (target.against === row.name && againstSize === size) continue; // only one size was run
        const { metric = result.primary, against, againstKind, atMost, atLeast, inRuns } = target;
        const mine = judged(part.figures[metric], target);
        const value = against === undefined ? (mine ?? null) : ratio(against, metric, againstSize, mine, againstKind);
        // A time or a rate that is hoped for belongs to cores that are near.
        const counts = value !== null && (against !== undefined || part.cores === 'near' || part.cores === 'any');
        const met = counts ? value <= (atMost ?? Infinity) && value >= (atLeast ?? -Infinity) : null;
        part.targets.push({ metric, against, againstSize, atMost, atLeast, inRuns, value, met });
      }
    }
  }
  return made.map(({ result }) => result);
}
/** The figure that a target is about. @param {Figure | undefined} figure @param {Target} target */
function judged(figure, { inRuns, atMost }) {
  if (figure === undefined || inRuns === undefined) return figure?.median;
  const best = [...figure.runs].sort((a, b) => (atMost === undefined ? b - a : a - b));
  return best[Math.ceil(best.length * inRuns) - 1];
}
/** @param {Cell} cell @param {ReturnType<typeof classifier>} distanceOf @returns {Result} */
function result({ row, kind, size, outcomes, failed, skipped }, distanceOf) {
  const metrics = metricsOf(row, kind);
  const status = failed !== undefined ? 'failed' : skipped !== undefined ? 'skipped' : 'ok';
  const whole = kind === 'call' || row.anywhere === true;
  /** @type {Map<Distance, Outcome[]>} */
  const runs = new Map();
  for (const outcome of status === 'ok' ? outcomes : []) {
    const cores = whole ? 'any' : distanceOf(outcome.pings);
    runs.set(cores, [...(runs.get(cores) ?? []), outcome]);
  }
  return {
    row: row.name,
    group: row.group,
    kind,
    size,
    status,
    ...(status === 'ok' ? {} : { why: failed ?? skipped }),
    primary: Object.keys(metrics)[0],
    parts: ORDER.flatMap((cores) => {
      const those = runs.get(cores);
      return those === undefined ? [] : [part(cores, those, metrics)];
    }),
    ...(status === 'ok' && outcomes[0].histogram !== undefined ? { histogram: histogram(outcomes) } : {}),
  };
}
/** @param {Distance} cores @param {Outcome[]} outcomes @param {Record<string, import('./row.js').Metric>} metrics @returns {Part} */
function part(cores, outcomes, metrics) {
  /** @type {Record<string, Figure>} */
  const figures = {};
  for (const [name, metric] of Object.entries(metrics)) {
    const runs = outcomes.map((outcome) => outcome.metrics[name]);
    figures[name] = { ...spread(runs), runs, ...metric };
  }
  const pings = outcomes.flatMap((outcome) => outcome.pings ?? []);
  return {
    cores,
    count: outcomes.length,
    ...(pings.length === 0 ? {} : { pings: spread(pings) }),
    figures,
    ratios: [],
    targets: [],
  };
}
/** Rows with targets none of which could be compared, because the two never ran with the cores equally far apart. @param {Result[]} results */
export function uncompared(results) {
  return results.filter(({ parts }) => {
    const verdicts = parts.flatMap(({ targets }) => targets).filter(({ against }) => against !== undefined);
    const there = verdicts.some(({ against, againstSize }) =>
      results.some((other) => other.row === against && other.size === againstSize && other.status === 'ok'),
    );
    return there && verdicts.every(({ met }) => met === null);
  });
}
/** @param {number[]} values */
function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}
/** All runs together, in nanoseconds. @param {import('./row.js').Outcome[]} outcomes */
function histogram(outcomes) {
  /** @type {Map<number, number>} */
  const buckets = new Map();
  for (const [bucket, count] of outcomes.flatMap((outcome) => outcome.histogram ?? [])) {
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + count);
  }
  return [...buckets]
    .sort(([a], [b]) => a - b)
    .map(([bucket, count]) => ({ from: 2 ** (bucket / FINENESS), to: 2 ** ((bucket + 1) / FINENESS), count }));
}
/** @param {import('./row.js').Size} size @param {number[]} sizes */
function sizeOf(size, sizes) {
  if (typeof size === 'number') return size;
  return size === 'smallest' ? Math.min(...sizes) : Math.max(...sizes);
}
