// Publishes what it costs, ten times a second: node dist/sensor.js NAME
import { setTimeout } from 'node:timers/promises';
import { open } from './sample.js';

const name = process.argv[2] ?? 'sensor';
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

await using topic = await open();
console.log(`${name} (${process.pid}) publishes`);
let before = process.cpuUsage();
while (!stop.signal.aborted) {
  const used = process.cpuUsage(before);
  before = process.cpuUsage();
  // Nobody needs to listen, and a slow listener holds up nothing.
  await topic.publish({
    name,
    pid: process.pid,
    at: Date.now(),
    memory: process.memoryUsage.rss(),
    load: used.user + used.system,
  });
  await setTimeout(100, undefined, { signal: stop.signal }).catch(() => {}); // Ctrl+C
}
console.log(`${name} stopped`);
