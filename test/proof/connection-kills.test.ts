/**
 * Connections whose peers are killed at random moments: what arrives is whole, in order and without gaps, nothing that was
 * sent is missing, whoever waits is told, nothing is left.
 */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { type Connection, listen, PeerDiedError, SharedMemory } from 'vecino';
import { type Running, startScript, temporaryFolder, uniqueName } from '../support/processes.js';

const KILLS = 130;
const AT_ONCE = 4;
const runtime = temporaryFolder();
process.env['VECINO_RUNTIME_DIR'] = runtime;

/** Messages carry their number and what they must contain; one in four is longer than the ring. Also the victims' source. */
const script = `
  export function message(n) {
    const length = 8 + (n % 4 === 3 ? 3000 + (n * 37) % 9000 : (n * 13) % 300);
    const bytes = new Uint8Array(length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, n);
    let sum = n;
    for (let i = 8; i < length; i++) sum = (sum + (bytes[i] = (n + i) & 255)) >>> 0;
    view.setUint32(4, sum);
    return bytes;
  }
  export function check(bytes, n) {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    if (view.getUint32(0) !== n) throw new Error('message ' + view.getUint32(0) + ' instead of ' + n);
    let sum = n;
    for (let i = 8; i < bytes.length; i++) sum = (sum + bytes[i]) >>> 0;
    if (view.getUint32(4) !== sum) throw new Error('message ' + n + ' is torn');
  }`;
const { message, check } = (await import(`data:text/javascript,${encodeURIComponent(script)}`)) as {
  message(n: number): Uint8Array;
  check(bytes: Uint8Array, n: number): void;
};

/** Sends and receives as fast as it can, in one of the voices, and writes down what it has done. */
const victim = (name: string, memory: string, index: number) => `
  import { connect, SharedMemory } from 'vecino';
  ${script.replaceAll('export ', '')}
  const account = new Int32Array(SharedMemory.open('${memory}').buffer, ${index * 8}, 2);
  const connection = await connect('${name}', { codec: 'bytes', capacity: 4096 });
  async function send() {
    for (let n = 0; ; n++) {
      if (${index} % 3 === 0) connection.sendSync(message(n));
      else await connection.send(message(n));
      Atomics.store(account, 0, n + 1);
      if (n % 50 === 0) await new Promise(setImmediate);
    }
  }
  async function receive() {
    for (let n = 0; ; n++) {
      check(await connection.receive(), n);
      Atomics.store(account, 1, n + 1);
    }
  }
  await Promise.all([send(), receive()]).catch((error) => { console.error(error); process.exit(3); });`;

test(`Connection: ${KILLS} kills of a peer in the middle of sending and receiving`, { timeout: 600_000 }, async () => {
  const name = uniqueName();
  const accountName = uniqueName();
  using memory = SharedMemory.create(accountName, KILLS * 8);
  const accounts = new Int32Array(memory.buffer);
  await using listener = await listen<Uint8Array>(name, { codec: 'bytes', capacity: 4096 });
  let died = 0;
  let next = 0;

  const starts = new Map<number, { index: number; running: Running }>();
  async function serve(connection: Connection<Uint8Array>): Promise<void> {
    const { index, running } = starts.get(connection.peer.pid)!;
    // Killed after so many messages, and a moment: anywhere within the next.
    const fatal = Math.floor(Math.random() * 300);
    let received = 0;
    let sent = 0;
    const sending = (async () => {
      for (;;) {
        await connection.send(message(sent));
        sent++;
      }
    })();
    const receiving = (async () => {
      for (;;) {
        check(await connection.receive(), received);
        if (received++ !== fatal) continue;
        for (let moment = Math.random() * 2000; moment > 0; moment--);
        void running.kill();
      }
    })();
    const outcomes = await Promise.allSettled([sending, receiving]);
    for (const outcome of outcomes) {
      assert.equal(outcome.status, 'rejected');
      assert.ok(
        (outcome as PromiseRejectedResult).reason instanceof PeerDiedError,
        String((outcome as PromiseRejectedResult).reason),
      );
    }
    const [committed, taken] = accounts.subarray(index * 2, index * 2 + 2) as unknown as [number, number];
    // It may have been killed between a send and its note of it.
    assert.ok(received === committed || received === committed + 1, `${received} received of ${committed} sent`);
    assert.ok(taken <= sent + 1, `${taken} taken of ${sent} sent`);
    connection.close();
    died++;
  }
  const serving: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const connection of listener) serving.push(serve(connection));
  })();
  async function lane(): Promise<void> {
    while (next < KILLS) {
      const index = next++;
      const running = startScript(victim(name, accountName, index));
      starts.set(running.pid, { index, running });
      const { signal, stderr } = await running.ended;
      assert.equal(signal, 'SIGKILL', stderr);
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  listener.close();
  await accepting;
  await Promise.all(serving);
  assert.equal(died, KILLS);
  SharedMemory.unlink(accountName);
  assert.deepEqual(readdirSync(runtime), []);
});
