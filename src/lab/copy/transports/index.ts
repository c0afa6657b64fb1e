/** The transports of `vecino copy`, by name. */
import type { Transport } from '../transport.js';
import { descriptor } from './descriptor.js';
import { fifo } from './fifo.js';
import { pipe } from './pipe.js';
import { posixQueue } from './posix-queue.js';
import { sharedMemory } from './shared-memory.js';
import { sysvQueue } from './sysv-queue.js';
import { tcp } from './tcp.js';
import { unix } from './unix.js';

const list: readonly Transport[] = [pipe, fifo, posixQueue, sysvQueue, unix, tcp, sharedMemory, descriptor];
export const transports: ReadonlyMap<string, Transport> = new Map(list.map((transport) => [transport.name, transport]));
