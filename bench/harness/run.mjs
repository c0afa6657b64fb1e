// @ts-check
/**
 * Runs rows. Runs are interleaved (A B C, A B C, …), so that a machine which slows down slows all of them.
 *
 * @typedef {import('./row.js').Row & { file: string }} Row
 * @typedef {import('./row.js').Kind} Kind
 * @typedef {import('./row.js').Metric} Metric
 * @typedef {{ row: Row, kind: Kind, size: number, outcomes: import('./row.js').Outcome[], failed?: string, skipped?: string }} Cell
 * @typedef {{ runs: number, warmUp: number, duration: number, smoke: boolean, sizes?: number[], kinds?: Kind[] }} Settings
 */
import { fileURLToPath } from 'node:url';
import { programKey } from './compile.mjs';

const participant = fileURLToPath(new URL('participant.mjs', import.meta.url));
/** @type {Record<'round-trip' | 'one-way' | 'call', Record<string, Metric>>} */
const METRICS = {
  'round-trip': times(),
  'one-way': { rate: { unit: '/s', better: 'more' } },
  call: times(),
};
/** @returns {Record<string, Metric>} */
function times() {
  /** @type {Metric} */
  const time = { unit: 'ns', better: 'less' };
  return { p50: time, p99: time, 'p99.9': time };
}
/** The figures of a cell; the first is the one that ratios are made of. @param {Row} row @param {Kind} kind */
export const metricsOf = (row, kind) => (kind === 'measure' ? (row.metrics ?? {}) : METRICS[kind]);

/** What there is to run, those that are compared with each other side by side. @param {Row[]} rows @param {Settings} settings */
export function plan(rows, settings) {
  /** @type {Cell[]} */
  const cells = rows.flatMap((row) =>
    row.kinds
      .filter((kind) => settings.kinds?.includes(kind) ?? true)
      .flatMap((kind) => sizesOf(row, settings).map((size) => ({ row, kind, size, outcomes: [] }))),
  );
  const order = ['call', 'round-trip', 'one-way', 'measure'];
  return cells.sort(
    (a, b) =>
      order.indexOf(a.kind) - order.indexOf(b.kind) ||
      (isPaired(a.kind) ? 0 : a.row.group.localeCompare(b.row.group)) ||
      a.size - b.size ||
      Number(a.row.standing ?? false) - Number(b.row.standing ?? false),
  );
}
/** @param {Kind} kind */
export const isPaired = (kind) => kind === 'round-trip' || kind === 'one-way';
/** @param {Row} row @param {Settings} settings */
function sizesOf(row, { sizes, smoke }) {
  if (row.sizes === undefined) return [0];
  if (sizes !== undefined) return sizes.filter((size) => size <= (row.largest ?? Infinity));
  return smoke ? (row.smokeSizes ?? row.sizes.slice(0, 1)) : row.sizes;
}

/**
 * @param {import('./session.mjs').Session} session @param {Cell[]} cells @param {Settings} settings
 * @param {(text: string) => void} progress
 */
export async function runAll(session, cells, settings, progress) {
  for (const cell of cells) await setUp(session, cell, progress);
  for (let run = 1; run <= settings.runs; run++) {
    let before = await session.ping(settings.smoke);
    for (const [index, cell] of cells.entries()) {
      if (cell.failed !== undefined || cell.skipped !== undefined) continue;
      progress(
        `run ${run} of ${settings.runs}, ${index + 1} of ${cells.length}: ${cell.row.name}, ${cell.kind}, ${cell.size} B`,
      );
      /** @type {import('./row.js').Outcome | undefined} */
      let outcome;
      try {
        outcome = await runOnce(session, cell, settings);
      } catch (error) {
        cell.failed = message(error);
      }
      // It stands after this run and before the next.
      const after = await session.ping(settings.smoke);
      if (outcome !== undefined) {
        if (before !== undefined && after !== undefined) outcome.pings = [before, after];
        cell.outcomes.push(outcome);
      }
      before = after;
    }
  }
}
/** @param {import('./session.mjs').Session} session @param {Cell} cell @param {(text: string) => void} progress */
async function setUp(session, cell, progress) {
  const { row, size } = cell;
  progress(`making ready: ${row.name}, ${size} B`);
  try {
    if (cell.kind === 'measure') session.compile({ source: 'command.c' }, 0);
    const lacking = row.c === undefined ? undefined : session.compile(row.c, size);
    const why = lacking ?? (await row.setUp?.(session.place, size));
    if (why !== undefined) cell.skipped = why;
  } catch (error) {
    cell.failed = message(error);
  }
}
/** @param {import('./session.mjs').Session} session @param {Cell} cell @param {Settings} settings */
async function runOnce(session, { row, kind, size }, { warmUp, duration, smoke }) {
  const { cpus } = session;
  const limit = row.limit ?? 60;
  /** @type {string} */
  let line;
  if (row.c !== undefined) {
    const given = [kind, size, ...cpus, warmUp, duration, row.batch ?? 100].map(String);
    line = await session.run(
      cpus,
      limit,
      session.programs[programKey(row.c, size)],
      ...given,
      ...(row.c.options ?? []),
    );
  } else {
    /** @type {import('./participant.mjs').Assignment} */
    const assignment = {
      file: row.file,
      row: row.name,
      role: 'ask',
      kind,
      size,
      smoke,
      warmUp,
      duration,
      peerCpus: row.bothCores ? cpus : [cpus[1]],
      place: session.place,
    };
    const own = kind === 'measure' || row.bothCores ? cpus : [cpus[0]];
    line = await session.run(own, limit, process.execPath, participant, JSON.stringify(assignment));
  }
  /** @type {import('./row.js').Outcome} */
  const outcome = JSON.parse(line);
  for (const name of Object.keys(metricsOf(row, kind))) {
    if (!Number.isFinite(outcome.metrics[name])) throw new Error(`the run gave no ${name}: ${line.trim()}`);
  }
  return outcome;
}
/** One line: of a stack trace the line that names the error, else the first. @param {unknown} error */
function message(error) {
  const lines = (error instanceof Error ? error.message : String(error)).split('\n');
  return lines.find((line) => /^\w*Error\b/.test(line)) ?? lines[0];
}
