// Calls the server, and outlives it: node dist/client.js
import { setTimeout } from 'node:timers/promises';
import { client, PeerDiedError } from 'vecino';
import type { Shop } from './server.js';

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());

/** Calls again if the server died meanwhile: right for questions, not for what must happen once. */
async function again<T>(call: () => PromiseLike<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof PeerDiedError)) throw error;
      console.log('the server died; the call waits for the next one');
    }
  }
}

try {
  using connected = await client<Shop>('example-shop', { reconnect: true, signal: stop.signal });
  const shop = connected.$with({ signal: stop.signal });

  for await (const i of shop.countdown(3)) console.log(i);
  await shop.price('gold').catch((error: Error) => console.log(`${error.name}: ${error.message}`));
  for (;;) {
    const { item, price, server } = await again(() => shop.price('bread'));
    console.log(`${item} costs ${price}, says server ${server}`);
    await setTimeout(200, undefined, { signal: stop.signal });
  }
} catch (error) {
  if (!stop.signal.aborted) throw error;
  console.log('client stopped');
}
