/**
 * Pipes, anonymous and named.
 *
 * @module vecino/pipe
 */
export { Fifo, type FifoReaderOptions } from './fifo.js';
export { type Pipe, type PipeOptions, pipe } from './pipe.js';
export { PipeReader, type ReadSize } from './reader.js';
export { type PartialWrite, PipeWriter } from './writer.js';
