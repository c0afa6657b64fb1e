// Offers functions to other processes: node dist/server.js
import { setTimeout } from 'node:timers/promises';
import { type CallContext, serve } from 'vecino';

const prices = new Map([
  ['bread', 3],
  ['milk', 2],
]);
const handlers = {
  /** What an item costs, and which process says so. */
  price(item: string): { item: string; price: number; server: number } {
    const price = prices.get(item);
    if (price === undefined) throw new RangeError(`there is no ${item}`); // the client gets a RangeError
    return { item, price, server: process.pid };
  },
  /** A stream; it ends when the client leaves its loop, or dies. */
  async *countdown(this: CallContext, from: number) {
    for (let i = from; i > 0; i--) {
      yield i;
      await setTimeout(10, undefined, { signal: this.signal });
    }
  },
};
export type Shop = typeof handlers; // all that a client needs to know

const service = await serve('example-shop', handlers);
console.log(`server ${process.pid} is ready`);
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, async () => {
    await service.shutdown({ timeout: 2000 }); // calls that run are answered
    console.log('server stopped');
  });
