/**
 * select(2): the kernel says which of all clients are ready. The whole list is copied there and back each time, so a turn costs by the
 * number of clients, and descriptors from 1024 on do not fit.
 */
import { readiness, type SelectResult } from '../../../socket/index.js';
import { FD_SETSIZE } from '../../../system/index.js';
import { Connection } from '../connection.js';
import { acceptWaiting, type Form } from '../form.js';

export const select: Form = {
  name: 'select',
  summary: 'select(2): waits for all clients at once, up to descriptor 1023',
  async run({ server, stop }) {
    const connections = new Map<number, Connection>();
    let room = true;
    try {
      for (;;) {
        const read = room ? [server.fd] : [];
        const write: number[] = [];
        for (const [fd, { wants }] of connections) (wants === 'read' ? read : write).push(fd);
        let ready: SelectResult;
        try {
          ready = await readiness.select({ read, write }, { signal: stop });
        } catch (error) {
          if (stop.aborted) return;
          throw error;
        }
        for (const fd of [...ready.read, ...ready.write]) {
          if (fd === server.fd) {
            room = acceptWaiting(server, (socket) => {
              if (socket.fd < FD_SETSIZE) connections.set(socket.fd, new Connection(socket, this.name));
              else socket.close();
            });
          } else if (connections.get(fd)?.advance() === 'nothing') {
            connections.delete(fd);
            room = true;
          }
        }
      }
    } finally {
      for (const connection of connections.values()) connection.close();
    }
  },
};
