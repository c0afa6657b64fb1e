import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { tcp, unix } from 'vecino';
import { close, dup3 } from 'vecino/system';
import { descriptors } from '../support/leaks.js';
import { temporaryFolder } from '../support/processes.js';

const folder = temporaryFolder();
const limit = { timeout: 60_000 };

/** A thread that ran `source`, with all that 'vecino' exports as `v`, and posted what that returned. */
async function thread(source: string): Promise<[Worker, unknown]> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     import('vecino').then(async (v) => {
       parentPort.on('message', () => process.exit(0));
       parentPort.postMessage(await (async () => { ${source} })());
     });`,
    { eval: true },
  );
  const said = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return [worker, said];
}
const exited = (worker: Worker) => new Promise((resolve) => worker.once('exit', resolve).postMessage('exit'));

for (const [how, end] of [
  ['is terminated', (worker: Worker) => worker.terminate()],
  ['exits', exited],
] as const) {
  test(`pipes and sockets of a thread that ${how} are closed, and their peers are told`, limit, async () => {
    const name = `${folder}/server-${how}`;
    // What a first worker and a first wait leave open for good is open after this.
    await end((await thread('const { reader } = v.pipe(); reader.read().catch(() => {});'))[0]);
    const [worker, said] = await thread(`
      const pipe = globalThis.pipe = v.pipe();
      const server = globalThis.server = v.unix.listen(${JSON.stringify(name)});
      const other = globalThis.other = v.tcp.listen();
      server.accept().then((socket) => {
        globalThis.socket = socket;
        socket.receive().catch(() => {});
        socket.sendSync(new Uint8Array(1));
      });
      return [pipe.writer.fd, other.address.port];`);
    try {
      const [writer, port] = said as [number, number];
      const before = descriptors();
      const socket = await unix.connect(name);
      assert.equal((await socket.receive())?.bytes.length, 1);
      const taken = await tcp.connect({ port });
      const other = openSync('/dev/null', 'r');
      // A number that was closed behind the owner's back and names something else by now is not its to close.
      close(writer);
      const stranger = dup3(other, writer);
      await end(worker);
      assert.equal(await socket.receive(), null);
      await assert.rejects(taken.receive(), { code: 'ECONNRESET' }); // nobody had accepted it
      closeSync(stranger); // it is still open
      for (const each of [socket, taken]) each.close();
      closeSync(other);
      assert.ok(descriptors().length <= before.length - 4, descriptors().join('\n'));
    } finally {
      await worker.terminate();
    }
  });
}
