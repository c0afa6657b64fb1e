// @ts-check
/** A connected pair of sockets between two processes, Unix and TCP, in two of vecino's voices, beside the same in C. */
import { once } from 'node:events';
import { tcp, unix } from 'vecino/socket';
import { Slicer } from '../harness/slicer.mjs';

/**
 * @typedef {import('../harness/row.js').Row} Row
 * @typedef {import('vecino/socket').Socket} Socket
 * @typedef {import('vecino/socket').SocketMessage} SocketMessage
 */

/** @param {SocketMessage | null} message */
function present(message) {
  if (message === null) throw new Error('the peer has closed the connection');
  return message.bytes;
}
/** @param {Socket} socket @param {number} size @returns {import('../harness/row.js').SyncPort} */
function blocking(socket, size) {
  const slicer = new Slicer(size);
  return {
    voice: 'sync',
    send: (/** @type {Uint8Array} */ message) => socket.sendSync(message),
    receive() {
      if (socket.type !== 'stream') return present(socket.receiveSync());
      for (;;) {
        const message = slicer.next();
        if (message !== undefined) return message;
        slicer.add(present(socket.receiveSync()));
      }
    },
  };
}
/** @param {Socket} socket @param {number} size @returns {import('../harness/row.js').AsyncPort} */
function asynchronous(socket, size) {
  const slicer = new Slicer(size);
  async function read() {
    for (;;) {
      slicer.add(present(await socket.receive()));
      const message = slicer.next();
      if (message !== undefined) return message;
    }
  }
  return {
    voice: 'async',
    send: (/** @type {Uint8Array} */ message) => socket.send(message),
    receive: socket.type === 'stream' ? () => slicer.next() ?? read() : async () => present(await socket.receive()),
  };
}

/** @typedef {{ name: string, about: string, sizes: number[], pair: () => Promise<[Socket, Socket]>, adopt: (fd: number) => Socket }} Way */
/** @type {Way[]} */
const ways = [
  {
    name: 'unix',
    about: 'a Unix stream socket',
    sizes: [64, 1024, 2 ** 20],
    pair: async () => unix.pair('stream'),
    adopt: unix.fromFd,
  },
  {
    name: 'seqpacket',
    about: 'a Unix seqpacket socket',
    sizes: [64, 1024],
    pair: async () => unix.pair('seqpacket'),
    adopt: unix.fromFd,
  },
  {
    name: 'tcp',
    about: 'TCP over loopback',
    sizes: [64, 1024, 2 ** 20],
    async pair() {
      const server = tcp.listen();
      try {
        return [await tcp.connect({ port: server.port }), await server.accept()];
      } finally {
        server.close();
      }
    },
    adopt: tcp.fromFd,
  },
];
const kinds = /** @type {Row['kinds']} */ (['round-trip', 'one-way']);

/** @param {Way} way @returns {Row[]} */
function rows({ name, about, sizes, pair, adopt }) {
  const group = `${name} socket`;
  const floor = `c-${name}`;
  /** @param {'sync' | 'async'} voice @param {(socket: Socket, size: number) => import('../harness/row.js').Port} port @param {Row['targets']} targets @returns {Row} */
  const row = (voice, port, targets) => ({
    name: `${name}-${voice}`,
    group,
    about: `${about}, ${voice === 'sync' ? 'sendSync and receiveSync' : 'send and receive in the event loop'}`,
    kinds,
    sizes,
    against: [floor, 'node-net-unix'],
    targets,
    async ask(side) {
      const [mine, theirs] = await pair();
      const peer = side.startPeer({ stdio: [theirs.fd] });
      await once(peer, 'spawn');
      theirs.close();
      return port(mine, side.size);
    },
    answer: ({ descriptors: [fd], size }) => port(adopt(fd), size),
  });
  return [
    row('sync', blocking, [
      { kind: 'round-trip', at: 64, against: floor, atMost: 1.15 },
      ...(name === 'unix' ? [{ kind: kinds[1], at: 64, against: floor, atLeast: 0.8 }] : []),
    ]),
    row('async', asynchronous, [{ kind: 'round-trip', at: 64, against: 'node-net-unix', atMost: 0.75 }]),
    { name: floor, group, about: `${about} in C, blocking`, kinds, sizes, c: { source: 'socket.c', options: [name] } },
  ];
}

/** @type {Row[]} */
export default ways.flatMap(rows);
