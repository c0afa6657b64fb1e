/** What the tests of the locks share: peers in other processes, and memory for them. */
import { SharedMemory } from 'vecino/memory';
import { type Running, startScript, uniqueName } from './processes.js';

/** A named segment, unlinked and closed at the end of the scope. */
export function segment(size = 65536): SharedMemory {
  const memory = SharedMemory.create(uniqueName('locks'), size);
  const close = memory[Symbol.dispose].bind(memory);
  memory[Symbol.dispose] = () => {
    memory.unlink();
    close();
  };
  return memory;
}

/**
 * A process with the segment mapped, for lines like `guard = mutex.lockSync()`: each line sent is run, and answered by a line `done`,
 * or by the error's code.
 */
export async function peer(memory: SharedMemory): Promise<Peer> {
  const running = startScript(
    `import * as memories from 'vecino/memory';
     import * as locks from 'vecino/sync';
     import * as system from 'vecino/system';
     import { createInterface } from 'node:readline';
     Object.assign(globalThis, memories, locks, system);
     globalThis.memory = SharedMemory.open(process.argv[1]);
     globalThis.words = new Int32Array(memory.buffer);
     console.log('ready');
     for await (const line of createInterface(process.stdin)) {
       try {
         await (0, eval)('(async () => {' + line + '})()');
         console.log('done');
       } catch (error) {
         console.log(error.code ?? error.stack.replaceAll('\\n', ' '));
       }
     }`,
    [memory.name!],
  );
  await running.line();
  return {
    ...running,
    kill: running.kill,
    /** Runs it there; resolves with 'done' or the error's code. */
    run: (code: string) => {
      running.write(`${code}\n`);
      return running.line();
    },
    /** Starts it there, without waiting for its end. */
    begin: (code: string) => running.write(`${code}\n`),
  };
}
export interface Peer extends Omit<Running, 'pid'> {
  run(code: string): Promise<string>;
  begin(code: string): void;
}

/** Resolves when it holds; looked at in each turn of the event loop, for what no event tells. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}
/** Whether somebody sleeps on the lock word at this index. */
export const awaited = (words: Int32Array, index: number): boolean => Atomics.load(words, index) < 0;
