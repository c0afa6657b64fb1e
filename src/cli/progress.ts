/** A progress bar on a terminal, and nothing elsewhere. */
import { formatBytes } from './format.js';

const WIDTH = 30;

export interface Progress {
  update(done: number, total: number | null): void;
  /** Removes the bar. */
  end(): void;
}

export function progressBar(stream: NodeJS.WriteStream): Progress | undefined {
  if (!stream.isTTY || process.env['TERM'] === 'dumb') return undefined;
  const [full, empty] = speaksUtf8() ? ['█', '░'] : ['#', '-'];
  const from = performance.now();
  const show = (line: string) => {
    // A line that wraps around could not be removed.
    stream.write(`\r\x1b[K${line.slice(0, Math.max(1, (stream.columns || 80) - 1))}`);
  };
  return {
    update(done, total) {
      const rate = `${formatBytes(done / Math.max(0.001, (performance.now() - from) / 1000))}/s`;
      if (total === null || total === 0) return show(`${formatBytes(done)}  ${rate}`);
      const filled = Math.round(Math.min(1, done / total) * WIDTH);
      const bar = full.repeat(filled) + empty.repeat(WIDTH - filled);
      show(`${bar} ${Math.floor((done / total) * 100)}%  ${formatBytes(done)} of ${formatBytes(total)}  ${rate}`);
    },
    end() {
      stream.write('\r\x1b[K');
    },
  };
}

/** Whether the locale says so, locale(7); where it says nothing, terminals do. */
function speaksUtf8(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env;
  const locale = LC_ALL || LC_CTYPE || LANG || 'C.UTF-8';
  return /utf-?8/i.test(locale);
}
