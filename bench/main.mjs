// @ts-check
/** The command line: chooses rows, runs them, prints. See README.md. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { header } from './harness/header.mjs';
import { results, uncompared } from './harness/report.mjs';
import { allRows, selectRows } from './harness/rows.mjs';
import { plan, runAll } from './harness/run.mjs';
import { Session } from './harness/session.mjs';
import { distances, headerText, histograms, tables } from './harness/table.mjs';

const HELP = `npm run bench -- [ROW | GROUP | FILE]... [options]

  --runs N          runs of each row, interleaved (5)
  --json FILE       also write everything as JSON; - for standard output, without the tables
  --size LIST       these sizes instead of each row's own: 64,1K,1M
  --kind LIST       of round-trip, one-way, call, measure
  --alone           without the standing baselines (process.send, node:net)
  --histogram       print the distributions too
  --cpus A,B        the two processors (chosen)
  --warm-up MS      before each measurement (300)
  --duration MS     of each measurement (700)
  --check           exit with 1 if a target was missed, by runs with the cores equally far apart, or a row failed
  --smoke           one short run of each row, smallest size: do they work? Exit with 1 if not
  --list            the rows that there are
`;
const KINDS = /** @type {const} */ (['round-trip', 'one-way', 'call', 'measure']);

function commandLine() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: { type: 'string' },
      json: { type: 'string' },
      size: { type: 'string' },
      kind: { type: 'string' },
      alone: { type: 'boolean', default: false },
      histogram: { type: 'boolean', default: false },
      cpus: { type: 'string' },
      'warm-up': { type: 'string' },
      duration: { type: 'string' },
      check: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const { smoke } = values;
  const cpus = values.cpus?.split(',').map((text) => number('--cpus', text, 0));
  if (cpus !== undefined && cpus.length !== 2) throw new RangeError('--cpus takes two processors: 0,1');
  const kinds = values.kind?.split(',').map((text) => {
    const kind = KINDS.find((name) => name === text);
    if (kind === undefined) throw new RangeError(`--kind ${text}: it is one of ${KINDS.join(', ')}`);
    return kind;
  });
  return {
    ...values,
    names: positionals,
    cpus,
    settings: {
      runs: number('--runs', values.runs ?? (smoke ? '1' : '5'), 1),
      warmUp: number('--warm-up', values['warm-up'] ?? (smoke ? '20' : '300'), 0),
      duration: number('--duration', values.duration ?? (smoke ? '50' : '700'), 1),
      smoke,
      ...(values.size === undefined ? {} : { sizes: values.size.split(',').map(size) }),
      ...(kinds === undefined ? {} : { kinds }),
    },
  };
}
/** @param {string} option @param {string} text @param {number} least */
function number(option, text, least) {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < least)
    throw new RangeError(`${option} ${text}: a whole number from ${least} on`);
  return value;
}
/** @param {string} text */
function size(text) {
  const [, digits, unit = ''] = /^(\d+)([KMG]?)$/i.exec(text) ?? [];
  const value =
    Number(digits) *
    { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[/** @type {'' | 'K' | 'M' | 'G'} */ (unit.toUpperCase())];
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`--size ${text}: bytes, with K, M or G`);
  return value;
}

/** @param {ReturnType<typeof commandLine>} options */
async function bench(options) {
  const rows = await allRows();
  if (options.list) {
    const width = Math.max(...[...rows.keys()].map((name) => name.length));
    for (const row of rows.values()) console.log(`${row.name.padEnd(width)}  ${row.about} [${row.kinds.join(', ')}]`);
    return 0;
  }
  const { settings } = options;
  const cells = plan(selectRows(rows, options.names, options.alone), settings);
  if (cells.length === 0) throw new RangeError('nothing is left to run');
  const session = new Session(options.cpus);
  const stop = (/** @type {NodeJS.Signals} */ signal) => {
    session.close();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop).once('SIGHUP', stop);
  const terminal = process.stderr.isTTY;
  const progress = (/** @type {string} */ text) => {
    if (terminal) process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  };
  const head = header(session.cpus, settings);
  try {
    if (options.json !== '-') console.log(headerText(head));
    await runAll(session, cells, settings, progress);
  } finally {
    session.close();
    progress('');
  }
  const made = results(cells);
  const json = `${JSON.stringify({ ...head, results: made }, null, 1)}\n`;
  if (options.json === '-') process.stdout.write(json);
  else {
    if (options.json !== undefined) writeFileSync(options.json, json);
    if (!settings.smoke) console.log(distances(made));
    console.log(tables(made, !settings.smoke));
    if (options.histogram) console.log(histograms(made));
  }
  const failed = made.some(({ status }) => status === 'failed');
  const missed = made.some(({ parts }) => parts.some(({ targets }) => targets.some(({ met }) => met === false)));
  const alone = options.check ? uncompared(made).map(({ row, kind }) => `${row} (${kind})`) : [];
  if (alone.length > 0)
    console.error(
      `bench: not compared, as no run had the cores as far apart as one of the baseline: ${alone.join(', ')}`,
    );
  if (options.smoke) return failed ? 1 : 0;
  return options.check && (failed || missed) ? 1 : 0;
}

try {
  const options = commandLine();
  if (options.help) process.stdout.write(HELP);
  else process.exitCode = await bench(options);
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 2;
}
