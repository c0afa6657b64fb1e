// @ts-check
/** What others offer between processes: Boost, iceoryx, ZeroMQ. Each is measured where its packages are. */
import { join } from 'node:path';

/** @typedef {import('../harness/row.js').Row} Row */
const sizes = [64, 1024, 2 ** 20];

const boost = {
  source: 'boost.cpp',
  fixedSize: true,
  needs: { packages: 'libboost-dev', header: 'boost/interprocess/ipc/message_queue.hpp' },
};
const iceoryx = {
  source: 'iceoryx.cpp',
  needs: {
    packages: 'libiceoryx-posh-dev and iceoryx',
    header: 'iceoryx_posh/runtime/posh_runtime.hpp',
    within: 'iceoryx/v*',
    libraries: ['iceoryx_posh', 'iceoryx_hoofs', 'iceoryx_platform'],
    program: 'iox-roudi',
  },
};
const zmq = { source: 'zmq.c', needs: { packages: 'libzmq3-dev', header: 'zmq.h', libraries: ['zmq'] } };

/** @param {string} name @param {string} about @param {import('../harness/row.js').Program} c @param {string[]} options @returns {Row} */
const program = (name, about, c, options = []) => ({
  name,
  group: 'peers',
  about,
  kinds: ['round-trip', 'one-way'],
  sizes,
  c: { ...c, options },
});

/** By a name that the compiler does not look up: the package need not be there. */
const ZEROMQ = 'zeromq';
/** @returns {Promise<any>} a socket for one peer */
async function pair() {
  const { Pair } = await import(ZEROMQ);
  return new Pair({ linger: -1 });
}
/** @param {any} socket @returns {import('../harness/row.js').AsyncPort} */
const port = (socket) => ({
  voice: 'async',
  send: (message) => socket.send(message),
  receive: async () => (await socket.receive())[0],
  close: () => socket.close(),
});
/** @type {Row} */
const zeromqJs = {
  name: 'zeromq-js',
  group: 'peers',
  about: 'zeromq.js, two Pair sockets over ipc, await',
  kinds: ['round-trip', 'one-way'],
  sizes,
  async setUp() {
    try {
      (await pair()).close();
      return undefined;
    } catch {
      return 'needs the npm package zeromq: npm ci in bench/';
    }
  },
  async ask(side) {
    const address = `ipc://${join(side.folder, `zeromq-${process.pid}`)}`;
    const socket = await pair();
    await socket.bind(address);
    side.startPeer({ arguments: [address] });
    return port(socket);
  },
  async answer(side) {
    const socket = await pair();
    socket.connect(side.arguments[0]);
    return port(socket);
  },
};

/** @type {Row[]} */
export default [
  program('boost-spsc', "Boost's lockfree::spsc_queue in shared memory, both sides spinning", boost, ['spsc']),
  program('boost-queue', "Boost's interprocess::message_queue, blocking", boost, ['queue']),
  program('iceoryx-poll', 'iceoryx, copied in and out, both sides spinning', iceoryx, ['poll']),
  program('iceoryx-wait', 'iceoryx, copied in and out, sleeping in a WaitSet', iceoryx, ['wait']),
  program('zmq', 'libzmq, two PAIR sockets over ipc, blocking', zmq),
  zeromqJs,
];
