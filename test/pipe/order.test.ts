import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pipe } from 'vecino';
import { systemCallCounters } from 'vecino/system';

const limit = { timeout: 60_000 };
const turn = () => new Promise((resolve) => setImmediate(resolve));
/** The same numbers in each run, from 0 to below `limit`. */
function random(seed: number): (limit: number) => number {
  return (limit) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >>> 8) % limit;
  };
}
/** Now and then a time-out, or a signal that aborts soon, with `reason` if there is one. */
function impatience(pick: (limit: number) => number, reason?: unknown): { timeout?: number; signal?: AbortSignal } {
  const controller = new AbortController();
  switch (pick(5)) {
    case 0:
      return { timeout: pick(3) };
    case 1:
      setImmediate(() => controller.abort(reason));
      return { signal: controller.signal };
    case 2:
      queueMicrotask(() => controller.abort(reason));
      return { signal: controller.signal };
    default:
      return {};
  }
}

test('Pipe: reads that are given up at any moment neither lose nor double nor reorder a byte', limit, async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const pick = random(seed);
    const { reader, writer } = pipe({ capacity: 4096 << pick(3) });
    let sent = 0;
    const sending = (async () => {
      while (sent < 30_000) {
        const bytes = Uint8Array.from({ length: 1 + pick(9000) }, () => sent++);
        await writer.write(bytes);
      }
      writer.close();
    })();
    let received = 0;
    for (let ended = false; !ended; ) {
      const reads = Array.from({ length: 1 + pick(5) }, () =>
        reader.read({ size: 1 + pick(5000), ...impatience(pick) }),
      );
      for (const result of await Promise.allSettled(reads)) {
        if (result.status === 'rejected') assert.match(result.reason.name, /^(Timeout|Abort)Error$/);
        else if (result.value === null) ended = true;
        else for (const byte of result.value) assert.equal(byte, received++ & 0xff);
      }
    }
    await sending;
    assert.equal(received, sent, `seed ${seed}`);
    reader.close();
  }
});

test(
  'Pipe: of writes that are given up at any moment exactly the bytes that the error tells are in the pipe, in order',
  limit,
  async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const pick = random(seed);
      const { reader, writer } = pipe({ capacity: 4096 << pick(3) });
      const written: number[] = [];
      const receiving = (async () => {
        const chunks: Uint8Array[] = [];
        for await (const chunk of reader) {
          chunks.push(chunk);
          if (pick(3) === 0) await turn();
        }
        return Buffer.concat(chunks);
      })();
      for (let batch = 0; batch < 8; batch++) {
        const writes = Array.from({ length: 1 + pick(4) }, async () => {
          const index = written.push(0) - 1;
          const bytes = new Uint8Array(1 + pick(30_000)).fill(index);
          try {
            await writer.write(bytes, impatience(pick, new Error('enough')));
            written[index] = bytes.length;
          } catch (error) {
            written[index] = (error as { bytesWritten?: number }).bytesWritten ?? 0;
            assert.ok(bytes.length > 4096 || written[index] === 0);
          }
        });
        await Promise.all(writes);
      }
      writer.close();
      const expected = Buffer.concat(written.map((length, index) => Buffer.alloc(length, index)));
      assert.ok((await receiving).equals(expected), `seed ${seed}`);
      reader.close();
    }
  },
);

test('Pipe: a message costs one system call to write and one to read', () => {
  const { reader, writer } = pipe();
  const message = new Uint8Array(64);
  writer.tryWrite(message);
  reader.tryRead();
  const before = systemCallCounters();
  for (let count = 0; count < 100; count++) {
    writer.tryWrite(message);
    assert.equal(reader.tryRead()!.length, 64);
  }
  const after = systemCallCounters();
  assert.deepEqual(
    [after.calls - before.calls, after.bytesOut - before.bytesOut, after.bytesIn - before.bytesIn],
    [200, 6400, 6400],
  );
  reader.close();
  writer.close();
});
