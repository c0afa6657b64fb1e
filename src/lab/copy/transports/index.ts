/** The ways that `vecino copy` knows, by name. */
import type { Transport } from '../transport.js';
import { descriptor } from './descriptor.js';
import { fifo } from './fifo.js';
import { pipe } from './pipe.js';
import { sharedMemory } from './shared-memory.js';

const list: readonly Transport[] = [pipe, fifo, sharedMemory, descriptor];
export const transports: ReadonlyMap<string, Transport> = new Map(list.map((transport) => [transport.name, transport]));
