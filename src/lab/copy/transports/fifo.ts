/** Through a FIFO: a pipe with a name, which two processes that inherited nothing from each other can find. Four copies. */
import { mkdtempSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constants, mkfifo, open } from '../../../system/index.js';
import type { Transport } from '../transport.js';
import { drain, feed, pipe } from './pipe.js';

export const fifo: Transport = {
  name: 'fifo',
  summary: 'a FIFO that both open by name',
  chunk: pipe.chunk,
  prepare() {
    const folder = mkdtempSync(join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), 'vecino-copy-'));
    const cleanUp = () => rmSync(folder, { recursive: true, force: true });
    try {
      const path = join(folder, 'fifo');
      mkfifo(path);
      return { server: [], client: [], note: path, started() {}, cleanUp };
    } catch (error) {
      cleanUp();
      throw error;
    }
  },
  serve: (side) => feed(side, open(side.plan.note!, constants['O_WRONLY']!)),
  receive(side) {
    const path = side.plan.note!;
    const reader = open(path, constants['O_RDONLY']!);
    unlinkSync(path); // both have it open now; a kill from here on leaves no name behind
    return drain(side, reader);
  },
};
