// @ts-check
/**
 * Two programs with many connections between them, all waiting, and what they cost, for rows/idle.mjs:
 * node --expose-gc idle-connections.mjs FOLDER NAME COUNT MS
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as window } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect, listen } from 'vecino';

const [folder = '', name = '', count = '', milliseconds = '', role = 'accept'] = process.argv.slice(2);
process.env.VECINO_RUNTIME_DIR = folder;

/** @param {string} file @param {string} field */
const field = (file, field) => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(readFileSync(file, 'utf8'))?.[1]);
const descriptors = () => readdirSync('/proc/self/fd').length;
const own = () => field('/proc/self/status', 'RssAnon') * 1024;
/** How often each thread has gone to sleep, and the processor time of all, in nanoseconds. */
function threads() {
  let switches = 0;
  let time = 0;
  for (const task of readdirSync('/proc/self/task')) {
    switches += field(`/proc/self/task/${task}/status`, 'voluntary_ctxt_switches');
    time += Number(readFileSync(`/proc/self/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  }
  return { switches, time };
}

const listener = role === 'accept' ? await listen(name) : undefined;
const shared = field('/proc/meminfo', 'Shmem') * 1024;
const peer =
  listener === undefined
    ? undefined
    : spawn(process.execPath, [fileURLToPath(import.meta.url), folder, name, count, milliseconds, 'connect'], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
const before = { descriptors: descriptors(), own: own() };
const connections = [];
while (connections.length < Number(count)) connections.push(await (listener?.accept() ?? connect(name)));
const waits = connections.map((connection) => connection.receive());
const over = Promise.allSettled(waits);
// The first look of each, and whatever a process that has just begun still has to tidy up.
await window(1000);
const cost = () => ({
  descriptors: (descriptors() - before.descriptors) / connections.length,
  own: (own() - before.own) / connections.length,
  shared: (field('/proc/meminfo', 'Shmem') * 1024 - shared) / connections.length,
});
const begin = threads();
await window(Number(milliseconds));
const end = threads();
globalThis.gc?.(); // not before: the engine looks after its heap some seconds later
if (listener !== undefined) {
  // The end of the window is a wake-up too: this thread slept once, and was woken by its own clock.
  console.log(JSON.stringify({ wakeUps: end.switches - begin.switches - 1, time: end.time - begin.time, ...cost() }));
  for (const connection of connections) connection.close();
  listener.close();
}
await over;
peer?.kill();
process.exit(0);
