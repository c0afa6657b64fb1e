/**
 * A process for each client, which may block: a crash or a long computation affects only that client. The kernel does the scheduling. In C
 * a fork(2) is cheap; here it is a whole Node, tens of milliseconds and megabytes. That is the lesson.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Socket } from '../../../socket/index.js';
import type { Address } from '../address.js';
import { type Form, isExhausted } from '../form.js';

const program = fileURLToPath(new URL('../connection-process.js', import.meta.url));
const NAME = 'process-per-connection';

export const processPerConnection: Form = {
  name: NAME,
  summary: 'a process for each client',
  async run({ server, kind, settings, stop }) {
    const children = new Map<ChildProcess, Promise<unknown>>();
    try {
      for (;;) {
        // The maximum is reached: new clients wait in the listener's backlog until a process has ended.
        while (children.size >= settings.children) await untilOneEnds(children, stop);
        let socket: Socket;
        try {
          socket = await server.accept({ signal: stop });
        } catch (error) {
          if (!isExhausted(error) || children.size === 0) throw error;
          await untilOneEnds(children, stop);
          continue;
        }
        const child = start(socket, kind);
        children.set(
          child,
          ended(child).finally(() => children.delete(child)),
        );
      }
    } catch (error) {
      if (!stop.aborted) throw error;
    } finally {
      for (const child of children.keys()) child.kill();
      await Promise.all(children.values());
    }
  },
};

/** Passes the connection to a process of its own. */
function start(socket: Socket, kind: Address['kind']): ChildProcess {
  try {
    return spawn(process.execPath, [program, String(process.pid), kind, NAME], {
      stdio: ['ignore', 'ignore', 'inherit', socket.fd],
    });
  } finally {
    // The process has its copy. If it could not be started, this was the last one, and the client sees the end.
    socket.close();
  }
}
/** Resolves when the process has ended and was reaped, or could not be started. */
async function ended(child: ChildProcess): Promise<void> {
  await once(child, 'close').catch(() => {});
}
async function untilOneEnds(children: Map<ChildProcess, Promise<unknown>>, stop: AbortSignal): Promise<void> {
  stop.throwIfAborted();
  let abort = () => {};
  const stopped = new Promise<void>((resolve) => {
    abort = resolve;
  });
  stop.addEventListener('abort', abort, { once: true });
  await Promise.race([...children.values(), stopped]);
  stop.removeEventListener('abort', abort);
  stop.throwIfAborted();
}
