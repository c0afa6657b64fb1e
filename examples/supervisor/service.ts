// A program to be supervised: says that it lives, and ends when it is told to, or when its supervisor has died.
import { setTimeout } from 'node:timers/promises';
import { PipeReader } from 'vecino';

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
const lifeline = PipeReader.fromFd(3).unref();
void lifeline.read().then((end) => end === null && stop.abort());

console.log(`${process.pid} works`);
await setTimeout(2 ** 31 - 1, undefined, { signal: stop.signal }).catch(() => {}); // the work
console.log(`${process.pid} has tidied up`);
