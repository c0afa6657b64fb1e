// node dist/jobs.js add 200000 300000 …    adds jobs: count the primes below each number
// node dist/jobs.js crash [TIMES]          adds a job that kills whoever takes it
// node dist/jobs.js status | remove
import { Queue } from 'vecino';

export type Job = { id: number; below: number } | { id: number; crash: number };

export const NAME = 'example-jobs';
export const open = () => Queue.open<Job>(NAME, { capacity: 1000, messageSize: 256 });

async function main([command, ...numbers]: string[]): Promise<void> {
  if (command === 'remove') return console.log(Queue.unlink(NAME) ? 'removed' : 'there was none');
  await using queue = await open();
  if (command === 'add') {
    for (const [id, below] of numbers.map(Number).entries()) await queue.send({ id: id + 1, below });
    console.log(`added ${numbers.length}`);
  } else if (command === 'crash') {
    await queue.send({ id: 0, crash: Number(numbers[0] ?? 1000) });
    console.log('added one that crashes');
  } else if (command === 'status') {
    const { ready, inFlight } = queue.stats();
    console.log(`${ready} ready, ${inFlight} in flight`);
  } else {
    console.error('usage: jobs.js add NUMBER… | crash [TIMES] | status | remove');
    process.exitCode = 2;
  }
}
if (process.argv[1]?.endsWith('jobs.js')) await main(process.argv.slice(2));
