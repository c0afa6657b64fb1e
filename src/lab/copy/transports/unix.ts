/** Through a connected pair of Unix stream sockets: for this purpose a pipe with two directions. Four copies. */
import { close, socketpair } from '../../../system/index.js';
import type { Prepared, Transport } from '../transport.js';
import { drain, feed } from './pipe.js';

export const unix: Transport = {
  name: 'unix',
  summary: 'a connected pair of Unix sockets, one inherited by each',
  chunk: 64 * 1024,
  prepare: () => inheritedPair(socketpair('stream')),
  serve: (side) => feed(side, side.descriptors[0]!),
  receive: (side) => drain(side, side.descriptors[0]!),
};

/** Two connected sockets, one for each side. */
export function inheritedPair([server, client]: [number, number]): Prepared {
  let open = true;
  const cleanUp = () => {
    if (!open) return;
    open = false;
    close(server);
    close(client);
  };
  return { server: [server], client: [client], started: cleanUp, cleanUp };
}
