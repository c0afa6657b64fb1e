// Four workers serve one port. They share one limit for each client, and one cache.
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { Clients } from './clients.js';

const WORKERS = 4;
const BURST = 10; // requests at once
const REFILL_PER_SECOND = 1;
const FRESH_MS = 600_000;
const INHERITED = 4; // descriptors 0 to 2 are standard, 3 is Node's own channel

if (cluster.isPrimary) {
  const clients = Clients.create();
  cluster.setupPrimary({ stdio: ['inherit', 'inherit', 'inherit', 'ipc', clients.fd] });
  for (let i = 0; i < WORKERS; i++) cluster.fork();

  let listening = 0;
  cluster.on('listening', (_, { port }) => {
    if (++listening === WORKERS) console.log(`listening on http://127.0.0.1:${port}/?user=ada`);
  });
  let stopping = false;
  cluster.on('exit', (worker, code, signal) => {
    if (stopping) return;
    console.log(`worker ${worker.process.pid} ended (${signal ?? code}), starting another`);
    cluster.fork();
  });
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => {
      stopping = true;
      cluster.disconnect(() => {
        clients.close();
        console.log('stopped');
      });
    });
} else {
  const clients = Clients.inherit(INHERITED);

  const server = createServer(async (request, response) => {
    const user = new URL(request.url ?? '/', 'http://localhost').searchParams.get('user') ?? 'nobody';
    response.setHeader('worker', process.pid);
    response.setHeader('connection', 'close'); // so that requests are spread over the workers
    if (Buffer.byteLength(user) > 64 || user.includes('\0')) return response.writeHead(400).end('not a user\n');

    const { allowed, cached } = await clients.update(user, (client) => {
      const now = Date.now();
      const seconds = (now - client.refilledAt) / 1000;
      const tokens = Math.min(BURST, client.tokens + seconds * REFILL_PER_SECOND); // a new client has a full bucket
      client.refilledAt = now;
      client.tokens = tokens >= 1 ? tokens - 1 : tokens;
      return { allowed: tokens >= 1, cached: client.freshUntil > now ? client.answer : null };
    });
    if (!allowed) return response.writeHead(429, { 'retry-after': '1' }).end('too many requests\n');
    if (cached !== null) return response.setHeader('cache', 'hit').end(cached);

    await setTimeout(20); // something slow, outside the lock
    const answer = `a profile, computed by worker ${process.pid}\n`;
    await clients.update(user, (client) => {
      client.answer = answer;
      client.freshUntil = Date.now() + FRESH_MS;
    });
    response.setHeader('cache', 'miss').end(answer);
  });
  server.listen(Number(process.env['PORT'] ?? 8080), '127.0.0.1', () => {
    console.log(`worker ${process.pid} serves port ${(server.address() as AddressInfo).port}`);
  });
  // Ctrl+C reaches the whole group; the primary stops the workers.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
}
