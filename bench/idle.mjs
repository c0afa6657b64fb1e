// @ts-check
/**
 * Waits on one of everything, and says how often any of its threads was woken meanwhile, for rows/idle.mjs:  node idle.mjs FOLDER PREFIX MS
 */
import { setMaxListeners } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as window } from 'node:timers/promises';
import { Fifo, MessageQueue, pipe, readiness, SysVMessageQueue, signals, tcp, unix } from 'vecino';

const [folder, prefix, milliseconds] = process.argv.slice(2);

/** How often each thread has gone to sleep, and the processor time of all, in nanoseconds. */
function threads() {
  let switches = 0;
  let time = 0;
  for (const task of readdirSync('/proc/self/task')) {
    const status = readFileSync(`/proc/self/task/${task}/status`, 'utf8');
    switches += Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]);
    time += Number(readFileSync(`/proc/self/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  }
  return { switches, time };
}

const anonymous = pipe();
Fifo.create(join(folder, 'idle-fifo'));
const queue = MessageQueue.create(`${prefix}idle`);
const sysv = SysVMessageQueue.create('private');
const server = unix.listen(join(folder, 'idle.sock'));
const [socket, peer] = unix.pair();
const tcpServer = tcp.listen();
const tcpSocket = await tcp.connect({ port: tcpServer.port });
const accepted = await tcpServer.accept();
const set = new readiness.Epoll();
const watched = pipe();
set.add(watched.reader.fd, { read: true });
try {
  const away = new AbortController();
  const { signal } = away;
  setMaxListeners(0, signal);
  const waits = [
    anonymous.reader.read({ signal }),
    Fifo.openReader(join(folder, 'idle-fifo'), { signal }),
    queue.receive({ signal }),
    sysv.receive({ signal }),
    server.accept({ signal }),
    socket.receive({ signal }),
    tcpServer.accept({ signal }),
    tcpSocket.receive({ signal }),
    set.wait({ signal }),
    signals.wait(['SIGUSR1'], { signal }),
  ];
  const over = Promise.allSettled(waits);
  // A process that has just begun still has something to tidy up: not before a window without any.
  await window(1000);
  const before = threads();
  await window(Number(milliseconds));
  const after = threads();
  // The end of the window is a wake-up too: this thread slept once, and was woken by its own clock.
  console.log(JSON.stringify({ wakeUps: after.switches - before.switches - 1, time: after.time - before.time }));
  away.abort();
  await over;
} finally {
  sysv.remove();
  queue.close();
  MessageQueue.unlink(`${prefix}idle`);
  for (const each of [anonymous.reader, anonymous.writer, server, socket, peer, tcpServer, tcpSocket, accepted, set])
    each.close();
  watched.reader.close();
  watched.writer.close();
}
