/**
 * select(2): the kernel tells which of all clients have something. The whole list goes there and back each time, so that a turn
 * costs by the number of clients, and a descriptor from 1024 on does not fit in.
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
