// Compiled by the newest TypeScript, with and without skipLibCheck: every type is exact, and every @ts-expect-error is an error.
import { client, connect, layout, listen, pipe, Queue, serve, Topic } from 'vecino';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}
const point = layout({ x: 'f64', y: 'i32' });
const own = {
  encode: (date: Date) => Buffer.from(date.toISOString()),
  decode: (bytes: Uint8Array) => new Date(`${bytes}`),
};

export async function received(): Promise<void> {
  const bytes = await Queue.open('q', { codec: 'bytes' });
  same<typeof bytes, Queue<Uint8Array, Uint8Array<ArrayBuffer>>>(true);
  bytes.sendSync(new Uint8Array(new SharedArrayBuffer(1)));
  await crypto.subtle.digest('SHA-256', (await bytes.receive()).value);
  const connection = await connect('c', { codec: 'bytes' });
  same<Awaited<ReturnType<typeof connection.receive>>, Uint8Array<ArrayBuffer>>(true);
  const asUsual: typeof bytes extends Queue<Uint8Array> ? true : false = true;
  void asUsual;
  const { reader } = pipe();
  same<ReturnType<typeof reader.readSync>, Uint8Array<ArrayBuffer> | null>(true);
}
export async function inferred(): Promise<void> {
  same<Awaited<ReturnType<typeof text>>, Queue<string>>(true);
  same<(typeof record)['value'], { x: number; y: number }>(true);
  same<typeof date, Queue<Date>>(true);
  async function text() {
    return Queue.open('q', { codec: 'text' });
  }
  const record = await (await Queue.open('q', { codec: point })).receive();
  const date = await Queue.open('q', { codec: own });
  const listener = await listen('c', { codec: 'text', capacity: 4096 });
  const connection: string = await (await listener.accept()).receive();
  void connection;
  const any = await Queue.open('q', { codec: 'json' });
  same<typeof any, Queue<unknown>>(true);
  const named: Queue<{ id: number }> = await Queue.open('q', { codec: 'json' });
  const mine = await Queue.open<{ id: number }>('q', { capacity: 1, codec: 'structured' });
  same<typeof named, typeof mine>(true);
}
export async function explicit(codec: import('vecino').Codec): Promise<void> {
  await Queue.open<string>('q', { codec: 'text' });
  await listen<Uint8Array>('q', { codec: 'bytes' });
  await connect<{ x: number; y: number }>('q', { codec: point });
  await Topic.open<Date>('q', { codec: own });
  await Topic.open<string>('q', { codec: 'text' });
  await Queue.open<unknown>('q', { codec });
  // biome-ignore lint/suspicious/noExplicitAny: also that
  await Queue.open<any>('q', { codec: 'text' });
}
export async function contradictory(): Promise<void> {
  // @ts-expect-error
  await Queue.open<number>('q', { codec: 'text' });
  // @ts-expect-error
  await Queue.open<string>('q', { codec: 'bytes' });
  // @ts-expect-error what arrives is a Uint8Array
  await Queue.open<Buffer>('q', { codec: 'bytes' });
  // @ts-expect-error
  await listen<{ z: string }>('q', { codec: point });
  // @ts-expect-error
  await connect<number>('q', { codec: own });
  // @ts-expect-error
  await Topic.open<number>('q', { codec: 'text' });
  // @ts-expect-error
  const numbers: Queue<number> = await Queue.open('q', { codec: 'text' });
  void numbers;
  // @ts-expect-error
  await Queue.open('q', { capcity: 5 });
  // @ts-expect-error
  await Queue.open('q', { codec: 'text', capcity: 5 });
}
export async function services(): Promise<void> {
  const handlers = {
    read: () => Buffer.from('x'),
    deep: async () => ({ id: 1, parts: [Buffer.from('x')], at: new Date(), map: new Map([['a', Buffer.from('x')]]) }),
    async *chunks() {
      yield Buffer.from('x');
    },
    plain: (a: number) => ({ a, b: 'x' as string | null, c: [1, 'x'] as [number, string] }),
  };
  await serve('s', handlers);
  const c = await client<typeof handlers>('s');
  same<ReturnType<typeof c.read>, Promise<Uint8Array<ArrayBuffer>>>(true);
  const { parts, map, at } = await c.deep();
  same<typeof parts, Uint8Array<ArrayBuffer>[]>(true);
  same<typeof map, Map<string, Uint8Array<ArrayBuffer>>>(true);
  same<typeof at, Date>(true);
  for await (const chunk of c.chunks()) same<typeof chunk, Uint8Array<ArrayBuffer>>(true);
  const plain: { a: number; b: string | null; c: [number, string] } = await c.plain(1);
  void plain;
}
