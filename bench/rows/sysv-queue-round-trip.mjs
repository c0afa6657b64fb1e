// @ts-check
/** Two System V message queues between two processes, in two of vecino's voices, beside the same in C. */
import { SysVMessageQueue } from 'vecino/mailbox';
import { ownKeys } from '../harness/sysv.mjs';

/**
 * @typedef {import('../harness/row.js').Row} Row
 * @typedef {{ to: SysVMessageQueue, from: SysVMessageQueue }} Ends
 */
const TYPE = { type: 1 };
/** @param {Ends} ends @returns {import('../harness/row.js').SyncPort} */
const blocking = ({ to, from }) => ({
  voice: 'sync',
  send: (/** @type {Uint8Array} */ message) => to.sendSync(message, TYPE),
  receive: () => from.receiveSync().content,
});
/** @param {Ends} ends @returns {import('../harness/row.js').AsyncPort} */
const asynchronous = ({ to, from }) => ({
  voice: 'async',
  send: (/** @type {Uint8Array} */ message) => to.send(message, TYPE),
  receive: async () => (await from.receive()).content,
});

/** @satisfies {Partial<Row>} */
const common = {
  group: 'System V queue',
  kinds: /** @type {Row['kinds']} */ (['round-trip', 'one-way']),
  sizes: [64, 1024],
  largest: 8192, // kernel.msgmax
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
    against: ['c-sysv-queue', 'node-net-unix'],
    targets,
    ask(side) {
      const [to, from] = ownKeys().map((key) => SysVMessageQueue.create(key));
      side.startPeer();
      const close = () => {
        to.remove();
        from.remove();
      };
      return { ...port({ to, from }), close };
    },
    answer() {
      const [from, to] = ownKeys().map((key) => SysVMessageQueue.open(key));
      return port({ to, from });
    },
  };
}

/** @type {Row[]} */
export default [
  row('sysv-queue-sync', 'two System V queues, sendSync and receiveSync', blocking, [
    { kind: 'round-trip', at: 64, against: 'c-sysv-queue', atMost: 1.15 },
  ]),
  row('sysv-queue-async', 'two System V queues, send and receive off the event loop', asynchronous, [
    { kind: 'round-trip', at: 64, against: 'node-net-unix', atMost: 0.75 },
  ]),
  { ...common, name: 'c-sysv-queue', about: 'two System V queues in C, blocking', c: { source: 'sysv-queue.c' } },
];
