/** A progress bar on a terminal, and nothing anywhere else. */
import { formatBytes } from './format.js';

const WIDTH = 30;

export interface Progress {
  update(done: number, total: number | null): void;
  /** Takes the bar away. */
  end(): void;
}

export function progressBar(stream: NodeJS.WriteStream): Progress | undefined {
  if (!stream.isTTY) return undefined;
  const from = performance.now();
  return {
    update(done, total) {
      const rate = `${formatBytes(done / Math.max(0.001, (performance.now() - from) / 1000))}/s`;
      if (total === null || total === 0) return void stream.write(`\r\x1b[K${formatBytes(done)}  ${rate}`);
      const full = Math.round((done / total) * WIDTH);
      const bar = '█'.repeat(full) + '░'.repeat(WIDTH - full);
      stream.write(
        `\r\x1b[K${bar} ${Math.floor((done / total) * 100)}%  ${formatBytes(done)} of ${formatBytes(total)}  ${rate}`,
      );
    },
    end() {
      stream.write('\r\x1b[K');
    },
  };
}
