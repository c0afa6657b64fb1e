// Compiled by the oldest TypeScript that the declarations are for, with and without skipLibCheck. Bytes are just Uint8Array there.
import { client, connect, layout, listen, pipe, Queue, type Subscription, serve, Topic } from 'vecino';
import type * as system from 'vecino/system';

const point = layout({ x: 'f64', y: 'i32' });

export async function use(errno: typeof system.errno): Promise<unknown[]> {
  const bytes: Queue<Uint8Array> = await Queue.open('q', { codec: 'bytes' });
  const content: Uint8Array = (await bytes.receive()).value;
  const text: string = (await (await Queue.open('q', { codec: 'text' })).receive()).value;
  const { x }: { x: number } = (await (await Queue.open('q', { codec: point })).receive()).value;
  const topic = await Topic.open<{ price: number }>('t');
  const subscription: Subscription<{ price: number }> = topic.subscribe();
  for await (const { price } of subscription) if (price > x) break;
  await using listener = await listen('c', { codec: 'bytes' });
  using connection = await connect('c', { codec: 'bytes' });
  for await (const message of connection) listener.tryAccept()?.trySend(message);
  const { reader } = pipe();
  for await (const chunk of reader) chunk.fill(0);
  const handlers = {
    read: () => Buffer.from('x'),
    async *count(to: number) {
      for (let i = 0; i < to; i++) yield i;
    },
  };
  await serve('s', handlers);
  const c = await client<typeof handlers>('s');
  const answer: Uint8Array = await c.read();
  const stream = c.count(3);
  const first: IteratorResult<number, void> = await stream.next();
  for await (const i of stream) i.toFixed();
  // @ts-expect-error
  await Queue.open<number>('q', { codec: 'text' });
  return [content, text, answer, first, errno];
}
