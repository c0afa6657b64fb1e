// @ts-check
/**
 * The rows: every file of rows/.
 *
 * @typedef {import('./row.js').Row} Row
 */
import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = new URL('../rows/', import.meta.url);

/** @param {string} file @returns {Promise<Row[]>} */
export async function loadRows(file) {
  const { default: rows } = await import(new URL(file, folder).href);
  return Array.isArray(rows) ? rows : [rows];
}
/** @returns {Promise<Map<string, Row & { file: string }>>} by name */
export async function allRows() {
  const rows = new Map();
  for (const file of readdirSync(fileURLToPath(folder)).sort()) {
    if (!file.endsWith('.mjs')) continue;
    for (const row of await loadRows(file)) {
      if (rows.has(row.name)) throw new Error(`two rows are named ${row.name}: ${rows.get(row.name).file} and ${file}`);
      rows.set(row.name, { ...row, file });
    }
  }
  for (const row of rows.values()) {
    for (const other of baselines(row)) {
      if (!rows.has(other)) throw new Error(`row ${row.name} is compared with ${other}, which does not exist`);
    }
  }
  return rows;
}
/** @param {Row} row */
const baselines = (row) =>
  [...(row.targets ?? []).map(({ against }) => against), ...[row.against].flat()].filter((name) => name !== undefined);

/**
 * The rows meant by `names` (of a row, a group or a file; none: all), what they are compared with, and the standing baselines.
 *
 * @template {Row & { file: string }} R
 * @param {Map<string, R>} rows @param {string[]} names @param {boolean} alone without the standing baselines
 * @returns {R[]}
 */
export function selectRows(rows, names, alone) {
  const wanted = new Set();
  /** @param {R} row */
  const want = (row) => {
    if (wanted.has(row)) return;
    wanted.add(row);
    for (const name of baselines(row)) want(/** @type {R} */ (rows.get(name)));
  };
  for (const name of names) {
    const meant = [...rows.values()].filter((row) => [row.name, row.group, basename(row.file, '.mjs')].includes(name));
    if (meant.length === 0) throw new RangeError(`there is no row, group or file ${name}; --list tells what there is`);
    meant.forEach(want);
  }
  if (names.length === 0) for (const row of rows.values()) want(row);
  const chosen = new Set(wanted);
  if (!alone) for (const row of rows.values()) if (row.standing) want(row);
  const sizes = new Set([...chosen].filter(isPaired).flatMap((row) => row.sizes ?? [0]));
  const kinds = new Set([...chosen].flatMap((row) => row.kinds));
  return [...rows.values()]
    .filter((row) => wanted.has(row))
    .map((row) =>
      chosen.has(row)
        ? row
        : {
            ...row,
            kinds: row.kinds.filter((kind) => kinds.has(kind)),
            sizes: row.sizes?.filter((size) => sizes.has(size)),
          },
    );
}
/** @param {Row} row */
const isPaired = (row) => row.kinds.includes('round-trip') || row.kinds.includes('one-way');
