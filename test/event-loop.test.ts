import './support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startScript, temporaryFolder, uniqueName } from './support/processes.js';

/** The other process: it answers whatever comes. */
const answers = `
  import { listen, Queue, serve, Topic } from 'vecino';
  const [kind, name] = process.argv.slice(1);
  const ends = {
    async connection() {
      const connection = await (await listen(name, { spin: 200 })).accept();
      return { take: () => connection.receive(), answer: (value) => connection.send(value) };
    },
    async queue() {
      const [asked, answered] = [await Queue.open(name), await Queue.open(name + '-back')];
      return {
        async take() {
          const delivery = await asked.receive();
          delivery.acknowledge();
          return delivery.value;
        },
        answer: (value) => answered.send(value),
      };
    },
    async topic() {
      const [asked, answered] = [await Topic.open(name), await Topic.open(name + '-back')];
      const subscription = asked.subscribe();
      return { take: () => subscription.receive(), answer: (value) => answered.publish(value) };
    },
    async service() {
      await serve(name, { echo: (value) => value });
      return { take: () => new Promise(() => {}), answer() {} };
    },
  };
  const ready = ends[kind]();
  if (kind === 'connection') console.log('ready');
  const { take, answer } = await ready;
  if (kind !== 'connection') console.log('ready');
  for (;;) await answer(await take());`;

/**
 * Its clock is not the machine's, which other programs may keep busy: it is half a microsecond later each time that somebody asks. So what is measured is
 * how much this program does between two turns of its event loop, and not how fast it is.
 */
const asks = `
  let time = 0;
  performance.now = () => (time += 0.0005);
  const { client, connect, Queue, Topic } = await import('vecino');
  const [kind, name] = process.argv.slice(1);
  const spin = 100; // it rarely sleeps, which would be a turn of its own
  const ends = {
    async connection() {
      const connection = await connect(name, { spin });
      return async (value) => {
        await connection.send(value);
        return connection.receive();
      };
    },
    async queue() {
      const [asked, answered] = [await Queue.open(name, { spin }), await Queue.open(name + '-back', { spin })];
      return async (value) => {
        await asked.send(value);
        const delivery = await answered.receive();
        delivery.acknowledge();
        return delivery.value;
      };
    },
    async topic() {
      const [asked, answered] = [await Topic.open(name, { spin }), await Topic.open(name + '-back', { spin })];
      const subscription = answered.subscribe();
      return async (value) => {
        await asked.publish(value);
        return subscription.receive();
      };
    },
    async service() {
      const service = await client(name, { spin });
      return (value) => service.echo(value);
    },
  };
  const ask = await ends[kind]();
  for (let i = 0; i < 1_000; i++) await ask(i);
  let turns = 0;
  let longest = 0;
  let last = performance.now();
  const turn = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    turns++;
    setImmediate(turn);
  };
  setImmediate(turn);
  let wrong = 0;
  for (let i = 0; i < 20_000; i++) if ((await ask(i)) !== i) wrong++;
  console.log(JSON.stringify({ turns, longest, wrong }));
  process.exit();`;

for (const [kind, subject] of Object.entries({
  connection: 'Connection',
  queue: 'Queue',
  topic: 'Topic',
  service: 'Service',
})) {
  test(`${subject}: a ping-pong of messages leaves the event loop a turn at least every 2 ms`, async (t) => {
    const env = { ...process.env, VECINO_RUNTIME_DIR: temporaryFolder() };
    const name = uniqueName('loop');
    const peer = startScript(answers, [kind, name], { env });
    assert.equal(await peer.line(), 'ready');
    const asking = startScript(asks, [kind, name], { env });
    const { turns, longest, wrong } = JSON.parse(await asking.line()) as Record<string, number>;
    t.diagnostic(`${turns} turns, ${longest!.toFixed(2)} ms between two at most`);
    assert.equal(wrong, 0);
    assert.ok(turns! > 0);
    assert.ok(longest! <= 2, `${longest} ms without a turn`);
    await asking.ended;
    await peer.kill('SIGKILL');
  });
}
