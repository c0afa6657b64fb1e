import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, utimesSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import {
  type CallContext,
  type Client,
  ClosedError,
  CorruptError,
  client,
  listChannels,
  MessageTooLargeError,
  PeerDiedError,
  serve,
  TimeoutError,
} from 'vecino';
import { type Coder, coderOf } from '#src/channel/codec/index.js';
import { connectTo } from '#src/channel/connection/connect.js';
import { Listener } from '#src/channel/connection/index.js';
import { type Running, startScript, temporaryFolder, uniqueName } from '../../support/processes.js';

const runtime = temporaryFolder();
process.env['VECINO_RUNTIME_DIR'] = runtime;

/** What the servers of this file serve. */
interface Handlers {
  echo(value: number): number;
  pid(): number;
  hang(): Promise<never>;
  endless(): AsyncGenerator<number>;
  slowly(milliseconds: number): Promise<string>;
}
/** A process that serves when it is told to, so that its start costs nobody time. */
function prepare(name: string): Running {
  return startScript(`
    import { serve } from '#src/channel/service/index.js';
    import { setTimeout } from 'node:timers/promises';
    process.stdin.once('data', async () => {
      await serve('${name}', {
        echo: (value) => value,
        pid: () => process.pid,
        hang: () => new Promise(() => {}),
        async *endless() { for (let i = 0; ; i++) yield i; },
        async slowly(milliseconds) { await setTimeout(milliseconds); return 'done'; },
      });
      console.log('up');
      process.stdin.unref();
    });
    console.log('ready');`);
}
async function startServer(name: string): Promise<Running> {
  const server = prepare(name);
  await server.line();
  server.write('go');
  await server.line();
  return server;
}
/** Anything from 0 to `below`, the same in every run. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Of servers, and again of clients; with those of the other kinds of channel the suite has more than 500. */
const KILLS = 55;

test('Service: a server that is killed: whatever is in flight fails with PeerDiedError at once, what is called then too', {
  timeout: 60_000,
}, async () => {
  const name = uniqueName();
  const server = await startServer(name);
  const c = await client<Handlers>(name);
  const stream = c.endless();
  await stream.next();
  const hung = c.hang();
  const streamed = assert.rejects(async () => {
    for await (const _ of stream);
  }, PeerDiedError);
  const failed = assert.rejects(hung, (error) => error instanceof PeerDiedError && /hang\(\)/.test(error.message));
  await server.kill();
  await Promise.all([failed, streamed]);
  await assert.rejects(c.echo(1), PeerDiedError);
  c.close();
  await assert.rejects(c.echo(1), ClosedError);
});

test(`${KILLS} servers are killed under one client that reconnects: calls in flight fail with PeerDiedError, those made meanwhile wait for the next`, {
  timeout: 600_000,
}, async (t) => {
  const name = uniqueName();
  const random = dice(7);
  const AHEAD = 4;
  const prepared = Array.from({ length: AHEAD }, () => prepare(name));
  let server = prepared.shift()!;
  server.write('go');
  const c = await client<Handlers>(name, { reconnect: true });
  t.after(() => c.close());
  let [answered, streamed] = [0, 0];
  for (let round = 0; round < KILLS; round++) {
    const before = [answered, streamed];
    const next = prepared.shift()!;
    if (round < KILLS - AHEAD + 1) prepared.push(prepare(name));
    await next.line();
    assert.equal(await c.pid(), server.pid);
    let on = true;
    const unary = async () => {
      for (let i = 0; on; i++) {
        try {
          assert.equal(await c.echo(i), i);
          answered++;
        } catch (error) {
          assert.ok(error instanceof PeerDiedError, String(error));
        }
      }
    };
    const stream = async () => {
      let i = 0;
      for await (const value of c.endless()) {
        assert.equal(value, i++);
        streamed++;
      }
    };
    const ends = [
      unary(),
      unary(),
      assert.rejects(stream(), PeerDiedError),
      assert.rejects(stream(), PeerDiedError),
      assert.rejects(c.hang(), PeerDiedError),
    ];
    // In every other round all of it is at work by then; in the others it may be at its beginning.
    if (round % 2 === 0) while (answered === before[0] || streamed === before[1]) await sleep(1);
    for (let i = random(20); i > 0; i--) await turn();
    await server.kill();
    on = false;
    await Promise.all(ends.slice(2));
    const waiting = [c.echo(1), c.echo(2)];
    await assert.rejects(c.$with({ timeout: 1 }).pid(), TimeoutError);
    next.write('go');
    assert.deepEqual(await Promise.all(waiting), [1, 2]);
    await Promise.all(ends);
    server = next;
  }
  assert.equal(c.$pending, 0);
  c.close();
  await server.kill();
});

test(`${KILLS} clients are killed under one service: their handlers are aborted, their generators end, others notice nothing`, {
  timeout: 600_000,
}, async () => {
  let [aborted, open, hanging] = [0, 0, 0];
  const name = uniqueName();
  const service = await serve(name, {
    echo: (value: number) => value,
    async hang(this: CallContext) {
      const { signal } = this;
      hanging++;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      assert.ok(signal.reason instanceof PeerDiedError);
      aborted++;
    },
    async *endless() {
      open++;
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        open--;
      }
    },
  });
  const survivor = await client<{ echo(value: number): number }>(name);
  const count = () => readdirSync('/proc/self/fd').length;
  const before = count();
  const random = dice(11);
  let living = true;
  let served = 0;
  const witness = (async () => {
    for (; living; served++) {
      assert.equal(await survivor.echo(served), served);
      await sleep(1);
    }
  })();
  for (let batch = 0; batch < KILLS / 5; batch++) {
    const victims = Array.from({ length: 5 }, () =>
      startScript(`
        import { client } from '#src/channel/service/index.js';
        const c = await client('${name}');
        const hung = c.hang();
        const pause = (i) => i % 10 === 9 ? new Promise((resolve) => setTimeout(resolve, 1)) : undefined;
        const many = async () => { for await (const i of c.endless()) await pause(i); };
        const unary = async () => { for (let i = 0; ; i++) { if (await c.echo(i) !== i) throw new Error('wrong'); await pause(i); } };
        const idle = c.endless();
        await idle.next();
        process.stdin.once('data', () => { many(); many(); unary(); }); // all are there
        console.log('up');
        await hung;`),
    );
    await Promise.all(victims.map((each) => each.line()));
    for (const each of victims) each.write('go');
    for (const each of victims) {
      for (let i = random(30); i > 0; i--) await turn();
      if (random(4) === 0) process.kill(each.pid, 'SIGSTOP');
      const outcome = each.kill();
      if (random(2) === 0) await outcome;
    }
    await Promise.all(victims.map((each) => each.ended));
    while (service.clients > 1 || open > 0 || aborted < hanging) await sleep(1);
  }
  living = false;
  await witness;
  assert.equal(hanging, KILLS);
  assert.equal(aborted, KILLS);
  assert.equal(service.clients, 1);
  assert.ok(served > 0);
  survivor.close();
  while (service.clients > 0) await turn();
  assert.ok(count() <= before - 1, 'no descriptor of the dead is left');
  service.close();
});

test('Service: a client that was idle when the service was replaced finds the next one without an error', {
  timeout: 60_000,
}, async () => {
  const name = uniqueName();
  const first = await startServer(name);
  const c = await client<Handlers>(name, { reconnect: true });
  const plain = await client<Handlers>(name);
  assert.equal(await c.echo(1), 1);
  await first.kill();
  const second = await startServer(name);
  assert.equal(await c.pid(), second.pid);
  await assert.rejects(plain.pid(), PeerDiedError);
  await assert.rejects(plain.pid(), PeerDiedError);
  plain.close();
  await second.kill();
  const waiting = c.pid();
  const failed = assert.rejects(waiting, ClosedError);
  await sleep(5);
  c.close();
  await failed;
});

test('Service: services that shut down one after the other: a client that reconnects is answered by one or the next, and no call is executed twice', {
  timeout: 60_000,
}, async () => {
  const name = uniqueName();
  const executed = new Set<number>();
  const handlers = {
    async once(i: number) {
      assert.ok(!executed.has(i), `${i} was executed twice`);
      executed.add(i);
      await turn();
      return i;
    },
  };
  let service = await serve(name, handlers);
  const c = await client<typeof handlers>(name, { reconnect: true });
  let on = true;
  let calls = 0;
  const load = Array.from({ length: 4 }, async () => {
    while (on) {
      const i = calls++;
      assert.equal(await c.once(i), i);
    }
  });
  for (let i = 0; i < 20; i++) {
    const before = executed.size;
    while (executed.size < before + 10) await turn();
    await service.shutdown();
    service = await serve(name, handlers);
  }
  on = false;
  await Promise.all(load);
  assert.equal(executed.size, calls);
  c.close();
  service.close();
});

test('Service: calls that it has not read when it closes go to the next one; those that it has begun fail', {
  timeout: 60_000,
}, async () => {
  const name = uniqueName();
  const begun = new Map<number, number>();
  let over = new AbortController();
  const handlers = {
    async once(i: number) {
      begun.set(i, (begun.get(i) ?? 0) + 1);
      if (i % 20 < 3 && !over.signal.aborted) await once(over.signal, 'abort');
      return i;
    },
  };
  let service = await serve(name, handlers);
  const c = await client<typeof handlers>(name, { reconnect: true });
  let answered = 0;
  let failed = 0;
  for (let round = 0; round < 50; round++) {
    over = new AbortController();
    const call = (_: unknown, i: number) => {
      const number = round * 20 + i;
      return c.once(number).then(
        (value) => {
          assert.equal(value, number);
          answered++;
        },
        (error) => {
          assert.ok(error instanceof ClosedError, String(error));
          assert.equal(begun.get(number), 1, 'what fails was begun');
          failed++;
        },
      );
    };
    const all = Array.from({ length: 20 });
    const calls = all.slice(0, 3).map(call);
    if (round % 2 === 0) while (!begun.has(round * 20)) await turn();
    calls.push(...all.slice(3).map((_, i) => call(_, i + 3)));
    for (let i = round % 5; i > 0; i--) await Promise.resolve();
    service.close();
    over.abort();
    service = await serve(name, handlers);
    await Promise.all(calls);
  }
  assert.equal(answered + failed, 1000);
  assert.ok([...begun.values()].every((times) => times === 1));
  assert.ok(answered > 0 && failed > 0, `${answered} answered, ${failed} failed`);
  c.close();
  service.close();
});

test('Service: a call that it has begun is not begun again by the next one, also after a call that was too large to be sent', async (t) => {
  const name = uniqueName();
  const over = new AbortController();
  let begun = 0;
  const handlers = {
    length: (text: string) => text.length,
    async once() {
      begun++;
      if (!over.signal.aborted) await once(over.signal, 'abort');
    },
  };
  const first = await serve(name, handlers, { maxMessageSize: 4096 });
  t.after(() => first.close());
  const c = await client<typeof handlers>(name, { reconnect: true });
  t.after(() => c.close());
  await assert.rejects(c.length('x'.repeat(5000)), MessageTooLargeError);
  const call = c.once();
  while (begun === 0) await turn();
  first.close();
  over.abort();
  const second = await serve(name, handlers, { maxMessageSize: 4096 });
  t.after(() => second.close());
  await assert.rejects(call, ClosedError);
  assert.equal(begun, 1);
});

test('Service: a server that is stopped for a second: calls run out of time or are answered afterwards', {
  timeout: 60_000,
}, async () => {
  const name = uniqueName();
  const server = await startServer(name);
  const c = await client<Handlers>(name);
  process.kill(server.pid, 'SIGSTOP');
  const patient = Array.from({ length: 2000 }, (_, i) => c.echo(i));
  const stream = c.endless();
  const value = stream.next();
  await assert.rejects(c.$with({ timeout: 50 }).pid(), TimeoutError);
  await sleep(1000);
  process.kill(server.pid, 'SIGCONT');
  assert.deepEqual(
    await Promise.all(patient),
    patient.map((_, i) => i),
  );
  assert.deepEqual(await value, { done: false, value: 0 });
  await stream.return();
  assert.equal(await c.pid(), server.pid);
  c.close();
  await server.kill();
});

test('Service: an idle client does not keep a program running; a call does, and a service until it is closed', {
  timeout: 60_000,
}, async () => {
  const name = uniqueName();
  const server = await startServer(name);
  const outcome = await startScript(`
    import { client } from '#src/channel/service/index.js';
    const c = await client('${name}');
    const stream = c.endless();
    await stream.next(); // and never again
    await c.$with({ timeout: 5 }).hang().catch(() => {}); // nobody waits for its end
    console.log(await c.slowly(50));`).ended;
  assert.deepEqual([outcome.code, outcome.stdout], [0, 'done\n'], outcome.stderr);
  await server.kill();
  const other = await startScript(`
    import { serve } from '#src/channel/service/index.js';
    const service = await serve('${name}', { f() {} });
    setTimeout(() => { console.log('closing'); service.close(); }, 50).unref();`).ended;
  assert.deepEqual([other.code, other.stdout], [0, 'closing\n'], other.stderr);
});

const raw = (): Coder<unknown> => ({
  name: 'msgpack',
  shared: false,
  encode: (value) => value as Uint8Array,
  decode: (memory, offset, length) => memory.slice(offset, offset + length),
});

test('Service: thousands of frames of garbage: each ends its own connection at most, the service and its other clients go on', {
  timeout: 300_000,
}, async () => {
  const name = uniqueName();
  const random = dice(3);
  let [open, calls] = [0, 0];
  const service = await serve(
    name,
    {
      echo: (value: unknown) => value,
      async *endless() {
        open++;
        try {
          for (;;) yield calls++;
        } finally {
          open--;
        }
      },
    },
    { maxCalls: 16 },
  );
  const c = await client<{ echo(value: number): number }>(name);
  const msgpack = coderOf('msgpack');
  const frame = (kind: number, call: number, payload: Uint8Array): Uint8Array => {
    const bytes = new Uint8Array(8 + payload.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, kind, true);
    view.setUint32(4, call, true);
    bytes.set(payload, 8);
    return bytes;
  };
  const noise = (length: number) => Uint8Array.from({ length }, () => random(256));
  const garbage = (): Uint8Array => {
    const call = random(4);
    switch (random(8)) {
      case 0:
        return noise(random(40));
      case 1:
        return frame(1 + random(12), call, noise(random(30)));
      case 2:
        return frame(1, call, msgpack.encode([['echo', 1], ['endless'], [5], 'echo', null, { 0: 'echo' }][random(6)]));
      case 3:
        return frame(1, call, msgpack.encode(['endless']));
      case 4:
        return frame(3, call, Uint8Array.of(255, 255, 255, random(256)));
      case 5:
        return frame(2, call, new Uint8Array(0));
      case 6:
        return frame(random(2 ** 31), random(2 ** 31), noise(random(8)));
      default: {
        const valid = frame(1, call, msgpack.encode(['echo', 'x'.repeat(random(100))]));
        valid[random(valid.length)] = random(256);
        return valid;
      }
    }
  };
  let frames = 0;
  while (frames < 6000) {
    const hostile = await connectTo<unknown>('service', name, { capacity: 4096 }, raw);
    try {
      for (let i = 0; i < 8; i++, frames++) {
        if (!hostile.trySend(garbage())) break; // what comes back is not read
        if (random(3) === 0) await turn();
      }
    } catch (error) {
      assert.ok(error instanceof ClosedError, String(error));
    }
    hostile.close();
    if (frames % 64 === 0) assert.equal(await c.echo(frames), frames);
  }
  assert.equal(await c.echo(-1), -1);
  while (service.clients > 1 || open > 0) await turn();
  c.close();
  await service.shutdown();
});

test('Service: a service that sends garbage is a CorruptError of that client, whose calls all end', {
  timeout: 300_000,
}, async () => {
  const random = dice(5);
  const name = uniqueName();
  const listener = new Listener<unknown>(name, {}, 'service', raw);
  const hello = Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0);
  for (let round = 0; round < 400; round++) {
    const arriving = client(name, { timeout: 5000 });
    const server = await listener.accept();
    if (round % 10 === 9) {
      await server.send(Uint8Array.from({ length: random(20) }, () => random(256)));
      await assert.rejects(arriving, (error) => error instanceof CorruptError);
      server.close();
      continue;
    }
    await server.send(hello);
    const c: Client<Record<string, () => unknown>> = await arriving;
    const ends = [c['a']!(), c['b']!().then(undefined, (error) => assert.ok(error instanceof Error))].map((each) =>
      Promise.resolve(each).then(
        () => {},
        (error) => assert.ok(error instanceof Error),
      ),
    );
    for (let i = 0; i < 6; i++) {
      const bytes = Uint8Array.from({ length: 8 + random(12) }, () => random(256));
      bytes.set([4 + random(8), 0, 0, 0, 1 + random(3), 0, 0, 0]);
      try {
        if (!server.trySend(random(2) === 0 ? bytes : bytes.subarray(0, 8))) break;
      } catch (error) {
        assert.ok(error instanceof ClosedError, String(error));
      }
    }
    server.close();
    await Promise.all(ends);
    c.close();
  }
  listener.close();
});

test('Service: nothing of all that is left in the runtime folder', () => {
  // A service that was killed leaves its folder to the next who lists or opens it, also the one that it was just making.
  for (const each of readdirSync(runtime)) utimesSync(`${runtime}/${each}`, 1, 1);
  listChannels();
  const left = readdirSync(runtime).filter((name) => readdirSync(`${runtime}/${name}`).length === 0);
  assert.deepEqual(left, []);
});
