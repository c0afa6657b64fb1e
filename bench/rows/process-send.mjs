// @ts-check
/** @typedef {import('../harness/row.js').EventPort} EventPort */

/**
 * The sender waits for Node's word that a message was written once in a while: `process.send` queues without limit otherwise.
 *
 * @param {NodeJS.Process | import('node:child_process').ChildProcess} channel @param {number} size
 * @returns {EventPort}
 */
function port(channel, size) {
  const stride = size > 65536 ? 4 : 64;
  let sent = 0;
  /** @type {(() => void) | undefined} */
  let waiting;
  const written = () => {
    const callback = waiting;
    waiting = undefined;
    callback?.();
  };
  return {
    voice: 'events',
    send(/** @type {string | Uint8Array} */ message) {
      const tell = ++sent % stride === 0;
      if (tell) channel.send?.(message, undefined, undefined, written);
      else channel.send?.(message);
      return !tell;
    },
    drained(callback) {
      waiting = callback;
    },
    listen(callback) {
      channel.on('message', callback);
    },
    close() {
      if (channel.connected) channel.disconnect?.();
    },
  };
}
/** JSON has no bytes: a string, marked by its first letter. @param {number} size */
function strings(size) {
  const rest = 'x'.repeat(size - 1);
  return { plain: `0${rest}`, start: `1${rest}`, last: `2${rest}` };
}

/** @param {string} message */
const firstDigit = (message) => message.charCodeAt(0) - 48;

/** The same objects as the rows connection-msgpack and connection-layout send. @param {'json' | 'advanced'} serialization @returns {import('../harness/row.js').Row} */
function objects(serialization) {
  const own = {
    messages: () => ({ plain: object(0), start: object(1), last: object(2) }),
    mark: (/** @type {any} */ message) => message.mark,
  };
  return {
    name: `process-send-${serialization}-objects`,
    group: 'Node.js',
    about: `process.send, ${serialization}, of objects { id, name, tags: [3 strings] }`,
    kinds: ['one-way'],
    sizes: [64],
    ask: (side) => ({ ...port(side.startPeer({ stdio: ['ipc'], serialization }), side.size), ...own }),
    answer: (side) => ({ ...port(process, side.size), ...own }),
  };
}
/** @param {number} mark */
export const object = (mark) => ({ id: 123456, mark, name: 'a name of it', tags: ['one', 'two', 'three'] });

/** @param {'json' | 'advanced'} serialization @returns {import('../harness/row.js').Row} */
function row(serialization) {
  const own = serialization === 'json' ? { messages: strings, mark: firstDigit } : {};
  return {
    name: `process-send-${serialization}`,
    group: 'Node.js',
    about: `process.send, ${serialization === 'json' ? 'json (a string)' : 'advanced (a Uint8Array)'}`,
    kinds: ['round-trip', 'one-way'],
    sizes: [64, 1024, 2 ** 20],
    standing: true,
    ask: (side) => ({ ...port(side.startPeer({ stdio: ['ipc'], serialization }), side.size), ...own }),
    answer: (side) => ({ ...port(process, side.size), ...own }),
  };
}
export default [row('json'), row('advanced'), objects('json'), objects('advanced')];
