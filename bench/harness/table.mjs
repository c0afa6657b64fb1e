// @ts-check
/**
 * The report for people.
 *
 * @typedef {import('./report.mjs').Result} Result
 * @typedef {import('./report.mjs').Part} Part
 * @typedef {ReturnType<typeof import('./header.mjs').header>} Header
 */
import { isPaired } from './run.mjs';

/** @param {Header} header */
export function headerText(header) {
  const { machine } = header;
  const commit = header.commit === null ? '' : `, commit ${header.commit}${header.dirty ? ' (dirty)' : ''}`;
  const lines = [
    `${header.date.slice(0, 16).replace('T', ' ')} UTC, vecino ${header.vecino}${commit}`,
    `${machine.cpu}, ${machine.cores} core${machine.cores === 1 ? '' : 's'}${machine.virtual ? ' of a virtual machine' : ''}, ${amount(machine.memory, 'B')}; Linux ${header.kernel}`,
    `Node ${header.node.slice(1)}; ${header.compiler ?? 'no C compiler'}`,
    `${header.runs} interleaved run${header.runs === 1 ? '' : 's'}, fresh processes on processors ${header.pinnedTo.join(' and ')}, ${header.warmUp} ms warm-up, ${header.duration} ms measured; medians`,
  ];
  if (header.pinnedTo[0] === header.pinnedTo[1])
    lines.push('Both processes share one processor: these figures tell little.');
  if (machine.load > 0.5 * machine.cores)
    lines.push(
      `The machine was busy before (load ${machine.load.toFixed(1)} over the last minute): trust no figure unless that was you.`,
    );
  if (header.smoke) lines.push('A smoke run: it shows that the rows work; the figures mean nothing.');
  return `${lines.join('\n')}\n`;
}

/** How far the cores were from each other, in one line. @param {Result[]} results */
export function distances(results) {
  const texts = /** @type {const} */ (['near', 'far', 'moved']).flatMap((cores) => {
    const parts = results.flatMap((result) => result.parts).filter((part) => part.cores === cores);
    const runs = parts.reduce((sum, { count }) => sum + count, 0);
    const least = Math.min(...parts.map(({ pings }) => pings?.min ?? Infinity));
    const most = Math.max(...parts.map(({ pings }) => pings?.max ?? 0));
    if (runs === 0) return [];
    return [`${cores} in ${runs} run${runs === 1 ? '' : 's'} (${amount(least, 'ns')} - ${amount(most, 'ns')})`];
  });
  return texts.length === 0 ? '' : `A cache line there and back: ${texts.join(', ')}\n`;
}

/** @param {Result[]} results @param {boolean} comparing whether to print ratios and targets */
export function tables(results, comparing) {
  /** @type {Map<string, Result[]>} */
  const groups = new Map();
  for (const result of results) {
    const size = result.size === 0 ? '' : `, ${amount(result.size, 'B')}`;
    const title = isPaired(result.kind) ? `${result.kind}${size}` : `${result.group}${size}`;
    groups.set(title, [...(groups.get(title) ?? []), result]);
  }
  return [...groups].map(([title, rows]) => table(title, rows, comparing)).join('\n');
}
const COMPARISON = ['ratio', 'to', 'target', ''];

/** @param {string} title @param {Result[]} results @param {boolean} comparing */
function table(title, results, comparing) {
  const { primary } = results[0];
  const parts = results.flatMap((result) => result.parts);
  const names = [...new Set(parts.flatMap(({ figures }) => Object.keys(figures)))];
  const compared = comparing && parts.some(({ ratios, targets }) => ratios.length + targets.length > 0);
  const parted = parts.some(({ cores }) => cores !== parts[0].cores);
  const head = [
    title,
    ...(parted ? ['cores'] : []),
    ...names.flatMap((name) => (name === 'rate' ? ['messages/s', 'bytes/s'] : [name])),
    'min - max',
    ...(compared ? COMPARISON : []),
  ];
  const lines = [head];
  for (const result of results) {
    if (result.status !== 'ok') {
      lines.push([result.row, `${result.status}: ${result.why}`]);
      continue;
    }
    for (const [index, part] of result.parts.entries()) {
      const main = part.figures[primary];
      const figures = names.flatMap((name) => figureCells(part, result.size, name));
      const cells = [
        index === 0 ? result.row : '',
        ...(parted ? [part.cores === 'any' ? '' : `${part.cores} ${part.count}x`] : []),
        ...figures,
        `${amount(main.min, main.unit)} - ${amount(main.max, main.unit)}`,
      ];
      const [first = [], ...more] = compared ? comparisons(result, part) : [];
      lines.push([...cells, ...first], ...more.map((comparison) => [...cells.map(() => ''), ...comparison]));
    }
  }
  const full = lines.filter(([, cell]) => !/^(failed|skipped):/.test(cell));
  const widths = head.map((_, column) => Math.max(...full.map((line) => (line[column] ?? '').length), 0));
  widths[0] = Math.max(...lines.map(([name]) => name.length));
  const last = head.length - (compared ? COMPARISON.length : 0); // of the columns of figures; the ratio is one more
  const text = lines.map((line) =>
    line
      .map((cell, column) =>
        column > 0 && column <= last && full.includes(line)
          ? cell.padStart(widths[column])
          : cell.padEnd(widths[column]),
      )
      .join('  ')
      .trimEnd(),
  );
  text.splice(1, 0, '-'.repeat(Math.max(...text.map((line) => line.length))));
  return `${text.join('\n')}\n`;
}
/** @param {Part} part @param {number} size @param {string} name */
function figureCells({ figures }, size, name) {
  const figure = figures[name];
  const text = figure === undefined ? '' : amount(figure.median, figure.unit);
  return name === 'rate' ? [text, figure === undefined ? '' : amount(figure.median * size, 'B/s')] : [text];
}
/**
 * The cells ratio, to, target, verdict: a line for each target, and for each baseline without one.
 *
 * @param {Result} result @param {Part} part
 */
function comparisons({ primary, size }, part) {
  if (part.cores === 'moved') return [];
  const { figures } = part;
  const lines = part.targets.map(({ metric, against, againstSize, atMost, atLeast, inRuns, value, met }) => {
    const unit = against === undefined ? figures[metric].unit : 'x';
    const to = [
      against === undefined ? '' : `${against}${againstSize === size ? '' : ` at ${amount(againstSize, 'B')}`}`,
      metric === primary ? '' : metric,
    ];
    const wanted = [
      atMost === undefined ? '' : `at most ${amount(atMost, unit)}`,
      atLeast === undefined ? '' : `at least ${amount(atLeast, unit)}`,
      inRuns === undefined ? '' : `in ${Math.round(inRuns * 100)}% of runs`,
    ];
    const verdict = met === null ? (against === undefined ? 'not judged' : 'no baseline') : met ? 'ok' : 'MISSED';
    return [ratioText(value, unit), to.filter(Boolean).join(', '), wanted.filter(Boolean).join(', '), verdict];
  });
  /** @param {string} row */
  const isShown = (row) =>
    part.targets.some(
      ({ metric, against, againstSize }) => against === row && metric === primary && againstSize === size,
    );
  for (const { against, value } of part.ratios) {
    if (!isShown(against)) lines.push([ratioText(value, 'x'), against, '', '']);
  }
  return lines;
}
/** @param {number | null} value @param {string} unit */
const ratioText = (value, unit) => (value === null ? '-' : amount(value, unit));

const SCALES = /** @type {Record<string, [number, string][]>} */ ({
  ns: [
    [1e9, ' s'],
    [1e6, ' ms'],
    [1e3, ' µs'],
    [1, ' ns'],
  ],
  s: [
    [1, ' s'],
    [1e-3, ' ms'],
    [1e-6, ' µs'],
  ],
  '/s': [
    [1e6, ' M'],
    [1e3, ' k'],
    [1, ''],
  ],
  B: [
    [2 ** 30, ' GiB'],
    [2 ** 20, ' MiB'],
    [2 ** 10, ' KiB'],
    [1, ' B'],
  ],
  'B/s': [
    [2 ** 30, ' GiB/s'],
    [2 ** 20, ' MiB/s'],
    [2 ** 10, ' KiB/s'],
    [1, ' B/s'],
  ],
  x: [[1, '']],
});
/** A figure with three digits that count. @param {number} value @param {string} unit */
export function amount(value, unit) {
  const scales = SCALES[unit];
  const [scale, name] = scales.find(([least]) => Math.abs(value) >= least) ?? scales[scales.length - 1];
  const scaled = value / scale;
  const digits =
    unit === 'x' || unit.startsWith('B')
      ? Number.isInteger(scaled) && unit === 'B'
        ? 0
        : 2
      : scaled >= 100
        ? 0
        : scaled >= 10
          ? 1
          : 2;
  return `${scaled.toFixed(digits)}${name}`;
}

/** @param {Result[]} results */
export function histograms(results) {
  return results
    .filter(({ histogram }) => histogram !== undefined)
    .map((result) => {
      const buckets = result.histogram ?? [];
      const most = Math.max(...buckets.map(({ count }) => count));
      const bars = buckets.map(
        ({ from, count }) =>
          `${amount(from, 'ns').padStart(9)}  ${'#'.repeat(Math.ceil((count / most) * 60)).padEnd(60)}  ${count}`,
      );
      return `${result.row}, ${result.kind}, ${amount(result.size, 'B')}\n${bars.join('\n')}\n`;
    })
    .join('\n');
}
