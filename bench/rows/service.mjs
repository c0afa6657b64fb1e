// @ts-check
/** Calls of a service in another process, and the values of its streams. */
import { randomUUID } from 'node:crypto';
import { client, serve } from 'vecino';

/**
 * @typedef {import('../harness/row.js').Row} Row
 * @typedef {import('../harness/row.js').Message} Message
 */
const group = 'service';
/** A number is the message: what a call costs, not what msgpack takes for long values. */
const numbers = {
  messages: () => ({ plain: 0, start: 1, last: 2 }),
  mark: (/** @type {any} */ message) => message,
};
/** A string, marked by its first letter. */
const text = {
  /** @param {number} size */
  messages(size) {
    const rest = 'x'.repeat(size - 1);
    return { plain: `0${rest}`, start: `1${rest}`, last: `2${rest}` };
  },
  mark: (/** @type {any} */ message) => message.charCodeAt(0) - 48,
};
/** Spinning: longer than anything that the harness does between two calls. In microseconds. */
const ALWAYS = 1000;
/** 20 calls, then 2 ms in which nobody says anything. */
const burst = { length: 20, pause: 2 };

/**
 * A call is the round trip: asked with the message, answered with it. One who has a message to send waits for it here.
 *
 * @param {string} name @param {string} about @param {number | undefined} spin @param {Partial<Row>} more @returns {Row}
 */
function unary(name, about, spin, more) {
  const values = more.sizes === undefined ? numbers : text;
  return {
    name,
    group,
    about,
    kinds: ['round-trip'],
    async ask(side) {
      const service = await start(side);
      const c = await client(service, { ...looking(spin), reconnect: true });
      /** @type {Promise<Message>} */
      let answer;
      return {
        ...values,
        voice: 'async',
        send(message) {
          answer = c.echo(message);
        },
        receive: () => answer,
        close: () => c.close(),
      };
    },
    async answer(side) {
      /** @type {(message: Message) => void} */
      let arrived = () => {};
      /** @type {Message} */
      let reply;
      await begin(side, spin, {
        /** @param {Message} message */
        echo(message) {
          arrived(message);
          return reply;
        },
      });
      return {
        ...values,
        voice: 'events',
        send(message) {
          reply = message;
          return true;
        },
        drained() {},
        listen(callback) {
          arrived = callback;
        },
      };
    },
    ...more,
  };
}
/** @type {Row} */
const stream = {
  name: 'service-stream',
  group,
  about: 'the values of an async generator, by for await',
  kinds: ['one-way'],
  sizes: [64],
  against: ['connection-await', 'process-send-advanced'],
  // The one who asks sends: it serves here, and the other consumes.
  async ask(side) {
    const name = `bench-${process.pid}-${randomUUID()}`;
    process.env['VECINO_RUNTIME_DIR'] = side.folder;
    /** @type {Message[]} */
    const queue = [];
    let wake = () => {};
    let room = () => {};
    await serve(name, {
      async *messages() {
        for (;;) {
          if (queue.length === 0) {
            room();
            await /** @type {Promise<void>} */ (
              new Promise((resolve) => {
                wake = resolve;
              })
            );
          }
          for (const message of queue.splice(0)) yield message;
        }
      },
    });
    side.startPeer({ arguments: [name] });
    return {
      ...text,
      voice: 'async',
      send(message) {
        queue.push(message);
        if (queue.length === 1) wake();
        if (queue.length < 256) return undefined;
        return new Promise((resolve) => {
          room = resolve;
        });
      },
      receive: () => new Promise(() => {}),
    };
  },
  async answer(side) {
    process.env['VECINO_RUNTIME_DIR'] = side.folder;
    const c = await client(/** @type {string} */ (side.arguments[0]));
    const values = c.messages();
    return { ...text, voice: 'async', send() {}, receive: async () => (await values.next()).value };
  },
};

/** Left out: it adapts. @param {number | undefined} spin */
const looking = (spin) => (spin === undefined ? {} : { spin });

/** Names a service and starts the process that will offer it. @param {import('../harness/row.js').AskSide} side */
async function start(side) {
  const name = `bench-${process.pid}-${randomUUID()}`;
  process.env['VECINO_RUNTIME_DIR'] = side.folder;
  side.startPeer({ arguments: [name] });
  return name;
}
/** @param {import('../harness/row.js').AnswerSide} side @param {number | undefined} spin @param {object} handlers */
async function begin(side, spin, handlers) {
  process.env['VECINO_RUNTIME_DIR'] = side.folder;
  await serve(/** @type {string} */ (side.arguments[0]), handlers, looking(spin));
}

/** @type {Row[]} */
export default [
  unary('service-spin', 'a call with a number, both sides looking', ALWAYS, {
    targets: [{ kind: 'round-trip', metric: 'p50', atMost: 5000 }],
  }),
  unary('service-sleep', 'a call with a number, sleeping at once', 0, {
    targets: [{ kind: 'round-trip', against: 'connection-sleep', againstAt: 64, atMost: 1.3 }],
  }),
  unary('service-default', 'a call with a number, default options', undefined, {
    bothCores: true,
    against: ['service-spin-50', 'service-sleep'],
    targets: [
      { metric: 'p50', atMost: 2500, inRuns: 0.95 },
      { metric: 'p99', atMost: 20e3, inRuns: 0.95 },
    ],
  }),
  unary('service-spin-50', 'a call with a number, spin: 50', 50, { bothCores: true }),
  unary('service-burst-default', 'calls in bursts of 20, 2 ms between them, default options', undefined, {
    bothCores: true,
    burst,
    targets: [
      { against: 'service-burst-spin-50', atMost: 1.2 },
      { metric: 'p99', against: 'service-burst-spin-50', atMost: 1 },
    ],
  }),
  unary('service-burst-spin-50', 'calls in bursts of 20, 2 ms between them, spin: 50', 50, { bothCores: true, burst }),
  unary('service-text', 'a call with a text, both sides looking', ALWAYS, {
    sizes: [64],
    against: ['connection-spin', 'process-send-json'],
  }),
  stream,
];
