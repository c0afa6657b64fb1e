import './support/leaks.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as window } from 'node:timers/promises';
import { startScript, temporaryFolder, uniqueName } from './support/processes.js';
import { asleep, switches } from './support/tasks.js';

/** Waits on one of everything, to receive and, where a full one can be had, to send; says so; ends by a line on standard input. */
const waiter = `
  import { once, setMaxListeners } from 'node:events';
  import { Fifo, MessageQueue, pipe, readable, readiness, SysVMessageQueue, signals, tcp, unix } from 'vecino';
  const [fifo, path, name] = process.argv.slice(1);
  const things = [];
  const keep = (thing) => (things.push(thing), thing);
  const away = new AbortController();
  const { signal } = away;
  setMaxListeners(0, signal);
  const { reader, writer } = pipe();
  const watched = pipe();
  const full = pipe();
  [reader, writer, watched.reader, watched.writer, full.reader, full.writer].forEach(keep);
  while (full.writer.tryWrite(new Uint8Array(4096)) > 0);
  Fifo.create(fifo);
  const queue = keep(MessageQueue.create(name));
  const fullQueue = keep(MessageQueue.create(name + '-full', { maxMessages: 1, messageSize: 8 }));
  fullQueue.sendSync('x');
  const sysv = SysVMessageQueue.create('private');
  const fullSysv = SysVMessageQueue.create('private');
  while (fullSysv.trySend(new Uint8Array(4096), { type: 1 }));
  try {
    const server = keep(unix.listen(path));
    const datagram = keep(unix.listen(path + '-datagram', { type: 'datagram' }));
    const [socket, peer] = unix.pair('seqpacket').map(keep);
    const tcpServer = keep(tcp.listen());
    const tcpSocket = keep(await tcp.connect({ port: tcpServer.port }));
    keep(await tcpServer.accept());
    const epoll = keep(new readiness.Epoll());
    epoll.add(watched.reader.fd, { read: true });
    const waits = {
      pipe: reader.read({ signal }),
      'full pipe': full.writer.write(new Uint8Array(1), { signal }),
      FIFO: Fifo.openReader(fifo, { signal }),
      'POSIX queue': queue.receive({ signal }),
      'full POSIX queue': fullQueue.send('y', { signal }),
      'SysV queue': sysv.receive({ signal }),
      'full SysV queue': fullSysv.send('y', { type: 1, signal }),
      'Unix server': server.accept({ signal }),
      'Unix datagram': datagram.receive({ signal }),
      'Unix socket': socket.receive({ signal }),
      'TCP server': tcpServer.accept({ signal }),
      'TCP socket': tcpSocket.receive({ signal }),
      epoll: epoll.wait({ signal }),
      select: readiness.select({ read: [watched.reader.fd] }, { signal }),
      poll: readiness.poll([{ fd: watched.reader.fd, read: true }], { signal }),
      descriptor: readable(watched.reader.fd, { signal }),
      signal: signals.wait(['SIGUSR1'], { signal }),
    };
    for (const [what, wait] of Object.entries(waits)) {
      wait.catch(() => {}).then(() => signal.aborted || console.log('not waiting: ' + what));
    }
    console.log('waiting');
    await once(process.stdin, 'data');
    away.abort();
    const ends = await Promise.allSettled(Object.values(waits));
    console.log(ends.filter(({ reason }) => reason?.name === 'AbortError').length, 'of', ends.length);
  } finally {
    sysv.remove();
    fullSysv.remove();
    MessageQueue.unlink(name);
    MessageQueue.unlink(name + '-full');
    for (const thing of things) thing.close();
  }
  process.exit(0);`;

test('Idle: a program that waits on one of everything is woken not once, in any of its threads', {
  timeout: 120_000,
}, async () => {
  const folder = temporaryFolder();
  const program = startScript(waiter, [join(folder, 'fifo'), join(folder, 'socket'), uniqueName('idle')]);
  assert.equal(await program.line(), 'waiting');
  await asleep(program.pid);
  // What the runtime itself still has to tidy up after its start comes to an end: until a window has passed without any wake-up.
  let before = switches(program.pid);
  for (;;) {
    await window(500);
    const now = switches(program.pid);
    const quiet = same(before, now);
    before = now;
    if (quiet) break;
  }
  // Then there is none in a longer one.
  await window(2000);
  assert.deepEqual([...switches(program.pid)], [...before]);
  program.write('end\n');
  assert.equal(await program.line(), '17 of 17');
  const { code, stderr } = await program.ended;
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});
function same(a: Map<string, number>, b: Map<string, number>): boolean {
  return a.size === b.size && [...a].every(([task, count]) => b.get(task) === count);
}
