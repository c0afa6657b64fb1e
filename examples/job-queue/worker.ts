// Takes jobs until it is told to stop. Killed in the middle of one, it loses nothing: the job goes to another worker.
import { setImmediate } from 'node:timers/promises';
import { type Job, open } from './jobs.js';

const MAX_ATTEMPTS = 3;

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
process.on('SIGINT', () => {}); // Ctrl+C reaches the whole group; the pool tells us when to stop
process.once('disconnect', () => stop.abort()); // the pool has died
process.channel?.unref(); // or the listener above would keep us running after the last job

await using queue = await open();
const say = (text: string) => console.log(`worker ${process.pid}: ${text}`);

while (!stop.signal.aborted) {
  let delivery: Awaited<ReturnType<typeof queue.receive>>;
  try {
    delivery = await queue.receive({ signal: stop.signal });
  } catch (error) {
    if (stop.signal.aborted) break;
    throw error;
  }
  const { value: job, attempt } = delivery;
  if (attempt > MAX_ATTEMPTS) {
    say(`job ${job.id} given up after ${MAX_ATTEMPTS} attempts`);
  } else {
    say(`job ${job.id} begun, attempt ${attempt}`);
    say(`job ${job.id} done: ${await work(job, attempt)}`);
  }
  delivery.acknowledge(); // only now: until here a death gives the job back
}

async function work(job: Job, attempt: number): Promise<string> {
  if ('crash' in job) {
    if (attempt <= job.crash) process.kill(process.pid, 'SIGKILL');
    return `it killed ${attempt - 1}`;
  }
  const { below } = job;
  let primes = 0;
  for (let candidate = 2; candidate < below; candidate++) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= candidate && prime; divisor++) prime = candidate % divisor !== 0;
    if (prime) primes++;
    if (candidate % 10_000 === 0) await setImmediate(); // signals get their turn
  }
  return `${primes} primes below ${below}`;
}
