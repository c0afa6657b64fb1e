/**
 * One client at a time: accept, serve until it leaves, accept. The simplest program possible; the next client waits for as long as the
 * current one stays.
 *
 * It blocks a thread, so it has one of its own; the main thread only receives the signal that ends the server.
 */
import { once } from 'node:events';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { accept4, readableSync, SystemError } from '../../../system/index.js';
import { type Address, adopt } from '../address.js';
import { converse } from '../converse.js';
import type { Form } from '../form.js';

const NAME = 'blocking';

interface Start {
  form: typeof NAME;
  listener: number;
  kind: Address['kind'];
}

export const blocking: Form = {
  name: NAME,
  summary: 'one client at a time, with calls that block',
  async run({ server, kind, stop }) {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { form: NAME, listener: server.fd, kind } satisfies Start,
    });
    try {
      // An error in the thread is the server's.
      await Promise.race([once(worker, 'exit', { signal: stop }), once(worker, 'error', { signal: stop })]).then(
        ([error]) => {
          throw error;
        },
      );
    } catch (error) {
      if (!stop.aborted) throw error;
    } finally {
      await worker.terminate();
    }
  },
};

if (!isMainThread && (workerData as Partial<Start> | null)?.form === NAME) {
  const { listener, kind } = workerData as Start;
  for (;;) {
    readableSync(listener);
    try {
      converse(adopt(kind, accept4(listener)), NAME);
    } catch (error) {
      // It left before it was accepted.
      if (!(error instanceof SystemError && ['EAGAIN', 'ECONNABORTED'].includes(error.code))) throw error;
    }
  }
}
