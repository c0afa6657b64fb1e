// @ts-check
/**
 * From outcomes to figures: the median of the runs with the least and the most, ratios to the baseline, targets met or missed.
 *
 * @typedef {import('./run.mjs').Cell} Cell
 * @typedef {import('./row.js').Target} Target
 * @typedef {{ median: number, min: number, max: number, runs: number[], unit: string, better: 'less' | 'more' }} Figure
 * @typedef {{ metric: string, against?: string, againstSize: number, atMost?: number, atLeast?: number, value: number | null,
 *   met: boolean | null }} Verdict value is a ratio where there is an `against`; null: the baseline gave no figure
 * @typedef {{ row: string, group: string, kind: import('./row.js').Kind, size: number, status: 'ok' | 'failed' | 'skipped',
 *   why?: string, primary: string, figures: Record<string, Figure>, ratios: { against: string, value: number | null }[], targets: Verdict[],
 *   histogram?: { from: number, to: number, count: number }[] }} Result
 */
import { metricsOf } from './run.mjs';
import { FINENESS } from './samples.mjs';

/** @param {Cell[]} cells @returns {Result[]} */
export function results(cells) {
  const made = cells.map((cell) => ({ cell, result: result(cell) }));
  /** @param {string} row @param {string} kind @param {number} size */
  const find = (row, kind, size) =>
    made.find(({ result }) => result.row === row && result.kind === kind && result.size === size)?.result;
  for (const { cell, result } of made) {
    const { row, kind, size } = cell;
    const sizes = cells.filter((other) => other.row === row && other.kind === kind).map((other) => other.size);
    /** @param {string} against @param {string} metric @param {number} at */
    const ratio = (against, metric, at) => {
      const mine = result.figures[metric]?.median;
      const theirs = find(against, kind, at)?.figures[metric]?.median;
      return mine === undefined || theirs === undefined || theirs === 0 ? null : mine / theirs;
    };
    for (const against of [row.against].flat()) {
      if (against !== undefined) result.ratios.push({ against, value: ratio(against, result.primary, size) });
    }
    for (const target of row.targets ?? []) {
      if (target.kind !== undefined && target.kind !== kind) continue;
      if (target.at !== undefined && sizeOf(target.at, sizes) !== size) continue;
      const againstSize = target.againstAt === undefined ? size : sizeOf(target.againstAt, sizes);
      if (target.against === row.name && againstSize === size) continue; // only one size was run
      const { metric = result.primary, against, atMost, atLeast } = target;
      const value =
        against === undefined ? (result.figures[metric]?.median ?? null) : ratio(against, metric, againstSize);
      const met = value === null ? null : value <= (atMost ?? Infinity) && value >= (atLeast ?? -Infinity);
      result.targets.push({ metric, against, againstSize, atMost, atLeast, value, met });
    }
  }
  return made.map(({ result }) => result);
}
/** @param {Cell} cell @returns {Result} */
function result({ row, kind, size, outcomes, failed, skipped }) {
  const metrics = metricsOf(row, kind);
  const status = failed !== undefined ? 'failed' : skipped !== undefined ? 'skipped' : 'ok';
  /** @type {Record<string, Figure>} */
  const figures = {};
  if (status === 'ok') {
    for (const [name, metric] of Object.entries(metrics)) {
      const runs = outcomes.map((outcome) => outcome.metrics[name]);
      figures[name] = { ...spread(runs), runs, ...metric };
    }
  }
  return {
    row: row.name,
    group: row.group,
    kind,
    size,
    status,
    ...(status === 'ok' ? {} : { why: failed ?? skipped }),
    primary: Object.keys(metrics)[0],
    figures,
    ratios: [],
    targets: [],
    ...(status === 'ok' && outcomes[0].histogram !== undefined ? { histogram: histogram(outcomes) } : {}),
  };
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
