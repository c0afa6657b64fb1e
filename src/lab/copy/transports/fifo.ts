/** Through a FIFO, fifo(7): a named pipe, which each process opens for itself. Four copies. */
import { mkdtempSync, rmdirSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { close, constants, mkfifo, open } from '../../../system/index.js';
import type { Side, Transport } from '../transport.js';
import { drain, feed, pipe } from './pipe.js';

export const fifo: Transport = {
  name: 'fifo',
  summary: 'a FIFO that both open',
  chunk: pipe.chunk,
  prepare() {
    const place = makeFifo();
    let isOpen = true;
    const cleanUp = () => {
      if (!isOpen) return;
      isOpen = false;
      close(place);
    };
    return { server: [place], client: [place], started: cleanUp, cleanUp };
  },
  serve: (side) => feed(side, openFifo(side, constants['O_WRONLY']!)),
  receive: (side) => drain(side, openFifo(side, constants['O_RDONLY']!)),
};

/** A FIFO without a name, held by an O_PATH descriptor. A process that removes the name later could be killed before that, and leave it. */
function makeFifo(): number {
  const folder = mkdtempSync(join(tmpdir(), 'vecino-copy-'));
  try {
    const path = join(folder, 'fifo');
    mkfifo(path);
    try {
      return open(path, constants['O_PATH']!);
    } finally {
      unlinkSync(path);
    }
  } finally {
    rmdirSync(folder); // rmSync would have to open it, which fails when there are no descriptors
  }
}
/** open(2) of the FIFO itself; it waits for the other process. */
function openFifo(side: Side, flags: number): number {
  return open(`/proc/self/fd/${side.descriptors[0]}`, flags);
}
