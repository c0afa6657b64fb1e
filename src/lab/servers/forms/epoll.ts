/** epoll(7): the list of clients stays in the kernel. A turn costs by the number of ready clients, not of all. */
import { type EpollEvent, readiness } from '../../../socket/index.js';
import { Connection } from '../connection.js';
import { acceptWaiting, type Form } from '../form.js';

export const epoll: Form = {
  name: 'epoll',
  summary: 'epoll(7): as select, and thousands of clients cost nothing while they are silent',
  async run({ server, stop }) {
    using set = new readiness.Epoll<Connection>();
    const connections = new Set<Connection>();
    const welcome = (connection: Connection) => {
      connections.add(connection);
      set.add(connection.socket.fd, { read: true }, connection);
    };
    let room = true;
    set.add(server.fd, { read: true });
    try {
      for (;;) {
        let ready: EpollEvent<Connection | undefined>[];
        try {
          ready = await set.wait({ signal: stop });
        } catch (error) {
          if (stop.aborted) return;
          throw error;
        }
        for (const { fd, data: connection } of ready) {
          if (connection === undefined) {
            room = acceptWaiting(server, (socket) => welcome(new Connection(socket, this.name)));
            // Without a descriptor for it, the next connection would be reported again and again.
            if (!room) set.remove(server.fd);
            continue;
          }
          const { wants } = connection;
          const now = connection.advance(); // closes it at its end, and so takes it out of the set
          if (now === 'nothing') {
            set.remove(fd);
            connections.delete(connection);
            if (!room) set.add(server.fd, { read: true });
            room = true;
          } else if (now !== wants) set.modify(fd, { read: now === 'read', write: now === 'write' });
        }
      }
    } finally {
      for (const connection of connections) connection.close();
    }
  },
};
