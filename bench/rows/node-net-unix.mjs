// @ts-check
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

/** A length before each message, as every protocol on a stream needs one. Above this, copying costs more than a second buffer. */
const HEADER = 4;
const COPIED = 4096;

/** @param {import('node:net').Socket} socket @returns {import('../harness/row.js').EventPort} */
function port(socket) {
  return {
    voice: 'events',
    send(/** @type {Uint8Array} */ message) {
      const whole = message.length <= COPIED;
      const head = Buffer.allocUnsafe(whole ? HEADER + message.length : HEADER);
      head.writeUInt32LE(message.length);
      if (whole) {
        head.set(message, HEADER);
        return socket.write(head);
      }
      socket.cork();
      socket.write(head);
      const more = socket.write(message);
      socket.uncork();
      return more;
    },
    drained(callback) {
      socket.once('drain', callback);
    },
    listen(callback) {
      const cutter = new Cutter(callback);
      socket.on('data', (chunk) => cutter.push(/** @type {Buffer} */ (chunk)));
    },
    close() {
      socket.destroy();
    },
  };
}
/** Cuts a stream into messages. One that arrived whole is not copied. */
class Cutter {
  #deliver;
  /** The beginning of a message (or of its header) whose end is not here. */
  #part = Buffer.alloc(HEADER);
  #have = 0;
  /** @param {(message: Buffer) => void} deliver */
  constructor(deliver) {
    this.#deliver = deliver;
  }
  /** @param {Buffer} chunk */
  push(chunk) {
    let at = 0;
    while (at < chunk.length) {
      if (this.#have === 0 && chunk.length - at >= HEADER) {
        const end = at + HEADER + chunk.readUInt32LE(at);
        if (end <= chunk.length) {
          this.#deliver(chunk.subarray(at + HEADER, end));
          at = end;
          continue;
        }
      }
      at += this.#take(chunk, at);
    }
  }
  /** @param {Buffer} chunk @param {number} at @returns {number} the bytes taken */
  #take(chunk, at) {
    if (this.#have < HEADER) {
      const count = chunk.copy(this.#part, this.#have, at, at + HEADER - this.#have);
      this.#have += count;
      if (this.#have === HEADER) {
        const part = Buffer.allocUnsafe(HEADER + this.#part.readUInt32LE(0));
        this.#part.copy(part);
        this.#part = part;
      }
      return count;
    }
    const count = chunk.copy(this.#part, this.#have, at);
    this.#have += count;
    if (this.#have === this.#part.length) {
      this.#deliver(this.#part.subarray(HEADER));
      this.#part = Buffer.alloc(HEADER);
      this.#have = 0;
    }
    return count;
  }
}

/** @type {import('../harness/row.js').Row} */
export default {
  name: 'node-net-unix',
  group: 'Node.js',
  about: 'node:net over a Unix socket, a length before each message',
  kinds: ['round-trip', 'one-way'],
  sizes: [64, 1024, 2 ** 20],
  standing: true,
  async ask(side) {
    const path = join(side.folder, `${process.pid}.sock`);
    const server = createServer().listen(path);
    await once(server, 'listening');
    side.startPeer({ arguments: [path] });
    const [socket] = await once(server, 'connection');
    server.close();
    return port(socket);
  },
  async answer(side) {
    const socket = connect(side.arguments[0]);
    await once(socket, 'connect');
    return port(socket);
  },
};
