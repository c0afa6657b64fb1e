// @ts-check
/** A connection through shared memory between two processes, beside a ring in C, and eventfds between two event loops. */
import { randomUUID } from 'node:crypto';
import { connect, layout, listen } from 'vecino';
import { eventfd, Readiness } from 'vecino/system';
import { Deadline } from '../../dist/system/deadline.js';
import { native } from '../../dist/system/native.js';
import { heapOf, heapRow, ROUND } from '../harness/heap.mjs';
import { object } from './process-send.mjs';

/**
 * @typedef {import('../harness/row.js').Row} Row
 * @typedef {import('vecino').Connection<any>} Connection
 */
const group = 'connection';
const MIB = 2 ** 20;

/** @param {import('../harness/row.js').AskSide} side @param {object} options @returns {Promise<Connection>} */
async function ask(side, options) {
  const name = `bench-${process.pid}-${randomUUID()}`;
  process.env['VECINO_RUNTIME_DIR'] = side.folder;
  const listener = await listen(name, options);
  side.startPeer({ arguments: [name] });
  const connection = await listener.accept();
  listener.close();
  return connection;
}
/** @param {import('../harness/row.js').AnswerSide} side @param {object} options @returns {Promise<Connection>} */
async function answer(side, options) {
  process.env['VECINO_RUNTIME_DIR'] = side.folder;
  return connect(/** @type {string} */ (side.arguments[0]), options);
}
/** Looks until a message is there, and copies it out. @param {Connection} connection @param {number} size */
function spinning(connection, size) {
  const copy = new Uint8Array(size);
  const words = new Int32Array(copy.buffer, 0, size >> 2);
  /** @type {Int32Array | undefined} */
  let shared;
  /** @type {(memory: Uint8Array, offset: number, length: number) => void} */
  const visit = (memory, offset, length) => {
    if (length > 256) return void copy.set(memory.subarray(offset, offset + length)); // 1 KiB by words takes four times as long
    const source = (shared ??= new Int32Array(memory.buffer));
    // By four: half the time of one by one.
    for (let i = 0, from = offset >> 2, count = length >> 2; i < count; i += 4, from += 4) {
      words[i] = /** @type {number} */ (source[from]);
      words[i + 1] = /** @type {number} */ (source[from + 1]);
      words[i + 2] = /** @type {number} */ (source[from + 2]);
      words[i + 3] = /** @type {number} */ (source[from + 3]);
    }
  };
  return {
    send(/** @type {Uint8Array} */ message) {
      while (!connection.trySend(message));
    },
    receive() {
      while (connection.drain(visit, 1) === 0);
      return copy;
    },
    /** All that comes, as it comes, until the last. @param {(message: Uint8Array) => void} arrived */
    listen(arrived) {
      let over = false;
      /** @type {typeof visit} */
      const each = (memory, offset, length) => {
        visit(memory, offset, length);
        over = copy[0] === 2;
        arrived(copy);
      };
      while (!over) connection.drain(each);
    },
  };
}
/** @param {{ size: number, kind: string }} side */
const bytes = (side) => ({ codec: 'bytes', capacity: side.size >= MIB ? 4 * MIB : 128 * 1024 });

/** @type {Row} */
const spin = {
  name: 'connection-spin',
  group,
  about: 'trySend and drain, both sides looking',
  kinds: ['round-trip', 'one-way'],
  sizes: [64, 1024, MIB],
  against: ['js-ring-floor', 'c-ring', 'c-ring-fixed', 'boost-spsc', 'process-send-json'],
  targets: [
    { kind: 'round-trip', at: 64, against: 'c-ring', atMost: 1.5 },
    { kind: 'round-trip', at: 64, against: 'c-ring-fixed', atMost: 1.7 },
    { kind: 'round-trip', at: 64, against: 'boost-spsc', atMost: 1.3 },
    { kind: 'round-trip', at: 1024, against: 'c-ring-fixed', atMost: 1.6 },
    { kind: 'one-way', at: 64, metric: 'rate', atLeast: 12e6 },
    { kind: 'one-way', at: 64, against: 'c-ring', atLeast: 0.5 },
    { kind: 'one-way', at: 64, against: 'c-ring-fixed', atLeast: 0.6 },
    { kind: 'one-way', at: 64, against: 'boost-spsc', atLeast: 0.9 },
    { kind: 'one-way', at: 1024, against: 'c-ring-fixed', atLeast: 0.7 },
    { kind: 'one-way', at: MIB, against: 'c-ring', atLeast: 0.8 },
    { kind: 'one-way', at: MIB, against: 'c-ring-fixed', atLeast: 0.9 },
  ],
  async ask(side) {
    const { send, receive } = spinning(await ask(side, bytes(side)), side.size);
    return { voice: 'sync', send, receive };
  },
  async answer(side) {
    const { send, receive, listen } = spinning(await answer(side, bytes(side)), side.size);
    if (side.kind === 'one-way') return { voice: 'events', send: () => true, listen, drained() {} };
    return { voice: 'sync', send, receive };
  },
};
/** @param {string} name @param {string} about @param {object} options @param {Partial<Row>} more @returns {Row} */
function async(name, about, options, more) {
  /** @param {Connection} connection @returns {import('../harness/row.js').Port} */
  const port = (connection) => {
    const messages = connection[Symbol.asyncIterator]();
    return {
      voice: 'async',
      send: (/** @type {Uint8Array} */ message) => connection.send(message),
      receive: async () => (await messages.next()).value,
    };
  };
  return {
    name,
    group,
    about,
    kinds: ['round-trip'],
    sizes: [64],
    ask: async (side) => port(await ask(side, { codec: 'bytes', ...options })),
    async answer(side) {
      const connection = await answer(side, { codec: 'bytes', ...options });
      if (side.kind === 'round-trip') return port(connection);
      return {
        voice: 'events',
        send: () => true,
        drained() {},
        async listen(arrived) {
          for await (const message of connection) arrived(message);
        },
      };
    },
    ...more,
  };
}

/** What two event loops can do at best: a counter in the kernel, polled. @type {Row} */
const eventfds = {
  name: 'eventfd-loops',
  group,
  about: 'two eventfds between two event loops, no payload',
  kinds: ['round-trip'],
  sizes: [64],
  ask(side) {
    const there = eventfd();
    const back = eventfd();
    side.startPeer({ stdio: [there, back] });
    return eventPort(back, there, side.size);
  },
  answer: ({ descriptors: [there, back], size }) =>
    eventPort(/** @type {number} */ (there), /** @type {number} */ (back), size),
};
/** @param {number} from @param {number} to @param {number} size @returns {import('../harness/row.js').Port} */
function eventPort(from, to, size) {
  const counter = new Uint8Array(new BigUint64Array([1n]).buffer);
  const readiness = new Readiness(from, 'eventfd');
  const forever = new Deadline('wait');
  const message = new Uint8Array(size);
  return {
    voice: 'async',
    // The value is the mark: there is nothing else.
    async send(/** @type {Uint8Array} */ bytes) {
      counter[0] = /** @type {number} */ (bytes[0]) + 1;
      native.write(to, counter, 0, 8);
    },
    async receive() {
      await readiness.readable(forever);
      native.read(from, counter, 0, 8);
      message[0] = /** @type {number} */ (counter[0]) - 1;
      return message;
    },
  };
}

const record = layout({ id: 'u32', mark: 'u32', name: { utf8: 16 }, tags: { array: { utf8: 8 }, length: 3 } });
/** @param {string} name @param {any} codec @param {Row['targets']} targets @returns {Row} */
const objects = (name, codec, targets) => ({
  name,
  group,
  about: 'objects { id, name, tags: [3 strings] }, trySend and tryReceive',
  kinds: ['one-way'],
  sizes: [64],
  against: ['process-send-advanced-objects', 'process-send-json-objects'],
  targets,
  async ask(side) {
    const connection = await ask(side, { codec });
    return {
      voice: 'sync',
      messages: () => ({ plain: object(0), start: object(1), last: object(2) }),
      send(message) {
        while (!connection.trySend(message));
      },
      receive: () => connection.receiveSync(),
    };
  },
  async answer(side) {
    const connection = await answer(side, { codec });
    return {
      voice: 'sync',
      mark: (/** @type {any} */ message) => message.mark,
      send() {},
      receive() {
        for (;;) {
          const value = connection.tryReceive();
          if (value !== undefined) return value;
        }
      },
    };
  },
});

/** What does not depend on the length: nothing is copied, so a page of which only the first byte is touched costs as much as 64 B. @type {Row} */
const untouched = {
  name: 'connection-untouched',
  group,
  about: 'reserve, commit and drain: of each message one byte is written and read',
  kinds: ['one-way'],
  sizes: [64, MIB],
  targets: [{ kind: 'one-way', at: MIB, against: 'connection-untouched', againstAt: 64, atLeast: 1 / 1.5 }],
  async ask(side) {
    const connection = await ask(side, room(side));
    return {
      voice: 'sync',
      messages: () => ({ plain: 0, start: 1, last: 2 }),
      send(mark) {
        for (;;) {
          const loan = connection.tryReserve(side.size);
          if (loan === null) continue;
          loan.bytes[0] = /** @type {number} */ (mark);
          return loan.commit();
        }
      },
      receive: () => connection.receiveSync(),
    };
  },
  async answer(side) {
    const connection = await answer(side, room(side));
    return {
      voice: 'events',
      mark: (/** @type {number} */ mark) => mark,
      send: () => true,
      drained() {},
      listen(arrived) {
        let over = false;
        /** @type {(memory: Uint8Array, offset: number) => void} */
        const visit = (memory, offset) => {
          const mark = /** @type {number} */ (memory[offset]);
          over = mark === 2;
          arrived(mark);
        };
        while (!over) connection.drain(visit);
      },
    };
  },
};
/** For about as many messages, whatever their length. @param {{ size: number }} side */
const room = ({ size }) => ({ codec: 'bytes', capacity: size >= MIB ? 256 * MIB : 16 * 1024 });

/** @type {Row[]} */
export default [
  spin,
  untouched,
  {
    name: 'c-ring',
    group,
    about: 'a ring in C, both sides spinning',
    kinds: ['round-trip', 'one-way'],
    sizes: [64, 1024, MIB],
    c: { source: 'ring.c' },
  },
  {
    name: 'c-ring-fixed',
    group,
    about: 'the same ring, compiled for one size of messages',
    kinds: ['round-trip', 'one-way'],
    sizes: [64, 1024, MIB],
    c: { source: 'ring.c', fixedSize: true },
  },
  async(
    'connection-sleep',
    'send and receive in the event loop, sleeping at once',
    { spin: 0 },
    {
      against: ['eventfd-loops', 'node-net-unix'],
      targets: [{ kind: 'round-trip', at: 64, against: 'eventfd-loops', atMost: 1.2 }],
    },
  ),
  eventfds,
  async(
    'connection-await',
    'send and for await, as it comes',
    {},
    {
      kinds: ['round-trip', 'one-way'],
      against: ['node-net-unix', 'zeromq-js'],
      targets: [
        { kind: 'one-way', at: 64, metric: 'rate', atLeast: 10e6 },
        { kind: 'one-way', at: 64, against: 'node-net-unix', atLeast: 10 },
      ],
    },
  ),
  objects('connection-msgpack', 'msgpack', [{ kind: 'one-way', against: 'process-send-advanced-objects', atLeast: 8 }]),
  objects('connection-layout', record, [{ kind: 'one-way', metric: 'rate', atLeast: 8e6 }]),
  {
    ...heapRow,
    name: 'connection-heap',
    group: 'connection, heap',
    about: 'heap that a message by trySend and drain allocates, over 10 million',
    async measure(side) {
      process.env['VECINO_RUNTIME_DIR'] = `${side.memory}/channels`;
      const listener = await listen(`${side.prefix}heap`, { codec: 'bytes' });
      const [from, to] = await Promise.all([listener.accept(), connect(listener.name, { codec: 'bytes' })]);
      listener.close();
      const bytes = new Uint8Array(side.size);
      let sum = 0;
      /** @type {import('vecino/channel').Visit} */
      const visit = (memory, offset) => {
        sum = (sum + /** @type {number} */ (memory[offset])) | 0;
      };
      const heap = await heapOf(() => {
        for (let i = 0; i < ROUND; i++) from.trySend(bytes);
        to.drain(visit);
      }, side.smoke);
      const { sent } = from.counters;
      const { received } = to.counters;
      if (received !== sent || sent % ROUND !== 0) throw new Error(`${received} of ${sent} were received`);
      for (const end of [from, to]) end.close();
      return heap;
    },
  },
];
