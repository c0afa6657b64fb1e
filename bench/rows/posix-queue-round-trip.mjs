// @ts-check
/** Two POSIX message queues between two processes, in two of vecino's voices, beside the same in C. */
import { MessageQueue } from 'vecino/mailbox';

/**
 * @typedef {import('../harness/row.js').Row} Row
 * @typedef {{ to: MessageQueue, from: MessageQueue }} Ends
 */
/** @param {Ends} ends @returns {import('../harness/row.js').SyncPort} */
const blocking = ({ to, from }) => ({
  voice: 'sync',
  send: (/** @type {Uint8Array} */ message) => to.sendSync(message),
  receive: () => from.receiveSync().content,
});
/** @param {Ends} ends @returns {import('../harness/row.js').AsyncPort} */
const asynchronous = ({ to, from }) => ({
  voice: 'async',
  send: (/** @type {Uint8Array} */ message) => to.send(message),
  receive: async () => (await from.receive()).content,
});

/** @satisfies {Partial<Row>} */
const common = {
  group: 'POSIX queue',
  kinds: /** @type {Row['kinds']} */ (['round-trip', 'one-way']),
  sizes: [64, 1024],
  largest: 8192, // fs.mqueue.msgsize_max
};
/**
 * @param {string} name @param {string} about @param {(ends: Ends) => import('../harness/row.js').Port} port
 * @param {Row['targets']} targets @returns {Row}
 */
function row(name, about, port, targets) {
  return {
    ...common,
    name,
    about,
    against: ['c-posix-queue', 'node-net-unix'],
    targets,
    ask(side) {
      const names = ['there', 'back'].map((word) => `${side.prefix}${word}-${process.pid}`);
      const [to, from] = names.map((each) => MessageQueue.create(each, { maxMessages: 10, messageSize: side.size }));
      side.startPeer({ arguments: names });
      return { ...port({ to, from }), close: () => names.forEach(MessageQueue.unlink) };
    },
    answer(side) {
      const [from, to] = side.arguments.map((each) => MessageQueue.open(each));
      return port({ to, from });
    },
  };
}

/** @type {Row[]} */
export default [
  row('posix-queue-sync', 'two POSIX queues, sendSync and receiveSync', blocking, [
    { kind: 'round-trip', at: 64, against: 'c-posix-queue', atMost: 1.15 },
    { kind: 'one-way', at: 64, against: 'c-posix-queue', atLeast: 0.8 },
  ]),
  row('posix-queue-async', 'two POSIX queues, send and receive in the event loop', asynchronous, [
    { kind: 'round-trip', at: 64, against: 'node-net-unix', atMost: 0.75 },
  ]),
  { ...common, name: 'c-posix-queue', about: 'two POSIX queues in C, blocking', c: { source: 'posix-queue.c' } },
];
