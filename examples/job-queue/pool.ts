// Keeps a number of workers running: node dist/pool.js [NUMBER]
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const size = Number(process.argv[2] ?? 3);
const workers = new Set<ChildProcess>();
let stopping = false;

function startWorker(): void {
  const worker = fork(fileURLToPath(new URL('./worker.js', import.meta.url)));
  workers.add(worker);
  worker.once('exit', (code, signal) => {
    workers.delete(worker);
    if (!stopping) {
      console.log(`pool: worker ${worker.pid} ended (${signal ?? code}), starting another`);
      startWorker();
    } else if (workers.size === 0) console.log('pool: stopped');
  });
}
for (let i = 0; i < size; i++) startWorker();
console.log(`pool: ${size} workers`);

for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.on(name, () => {
    console.log(
      stopping ? 'pool: the jobs in hand go back' : 'pool: the workers finish their jobs; again: stop at once',
    );
    for (const worker of workers) worker.kill(stopping ? 'SIGKILL' : 'SIGTERM');
    stopping = true;
  });
