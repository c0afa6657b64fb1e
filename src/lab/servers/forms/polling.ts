/**
 * Non-blocking calls and a clock: every `period` it polls the listener and each client. A request waits for up to a period, and an idle
 * server still works, in proportion to the number of its clients.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '../connection.js';
import { acceptWaiting, type Form } from '../form.js';

export const polling: Form = {
  name: 'polling',
  summary: 'non-blocking calls, repeated by the clock',
  async run({ server, settings, stop }) {
    const connections = new Set<Connection>();
    try {
      while (!stop.aborted) {
        acceptWaiting(server, (socket) => connections.add(new Connection(socket, this.name)));
        for (const connection of connections) {
          if (connection.advance() === 'nothing') connections.delete(connection);
        }
        // The one place where a sleep is the subject itself: this server has no other way to wait.
        await sleep(settings.period, undefined, { signal: stop }).catch(() => {});
      }
    } finally {
      for (const connection of connections) connection.close();
    }
  },
};
