// @ts-check
/**
 * The ring of c/ring.c, written in JavaScript. Plain loads and stores on the same shared memory, one store of an index for each message, its copy
 * in and its copy out, and nothing else: messages all have one length, which both sides know; nobody sleeps, dies or lies; nothing is counted.
 *
 * It is no bound: one way, with 64 B, it was three times as fast as the ring in C. Why has not been measured. Which side waits for the other
 * may be it: a reader that catches up takes the line of the index away for each message.
 *
 * On x86-64 a plain store of an index is one that nobody sees before what was stored earlier. Elsewhere this needs `Atomics`, and so it
 * is skipped there.
 */
import { SharedMemory } from 'vecino';

/** @typedef {import('../harness/row.js').Row} Row */

/** Words of 4 bytes: the indices, each on two cache lines of its own. */
const TAIL = 0;
const HEAD = 32;
/** Bytes before the slots. */
const CONTROL = 256;
/** Up to so many bytes a loop over words is faster than `set`. */
const SHORT = 256;
/** As in c/ring.c. @param {number} size */
const slotsFor = (size) => (size <= 64 ? 4096 : size <= 1024 ? 1024 : 16);
/** @param {number} size */
const ringBytes = (size) => CONTROL + slotsFor(size) * size;

/** From one place to another, `count` words of 8 bytes. @param {BigInt64Array} from @param {number} at @param {BigInt64Array} to @param {number} there @param {number} count */
function copyWords(from, at, to, there, count) {
  for (let i = 0; i < count; i += 8) {
    to[there + i] = /** @type {bigint} */ (from[at + i]);
    to[there + i + 1] = /** @type {bigint} */ (from[at + i + 1]);
    to[there + i + 2] = /** @type {bigint} */ (from[at + i + 2]);
    to[there + i + 3] = /** @type {bigint} */ (from[at + i + 3]);
    to[there + i + 4] = /** @type {bigint} */ (from[at + i + 4]);
    to[there + i + 5] = /** @type {bigint} */ (from[at + i + 5]);
    to[there + i + 6] = /** @type {bigint} */ (from[at + i + 6]);
    to[there + i + 7] = /** @type {bigint} */ (from[at + i + 7]);
  }
}

class Writer {
  #slots;
  #size;
  #words;
  #bytes;
  #longs;
  #sent = 0;
  #head = 0;
  /** Of each message that is sent: there are only a few, and they are sent again and again. @type {Map<Uint8Array, BigInt64Array>} */
  #known = new Map();
  /** @type {Uint8Array | undefined} */
  #last;
  /** @type {BigInt64Array} */
  #source = new BigInt64Array(0);
  /** @param {ArrayBuffer} buffer @param {number} size */
  constructor(buffer, size) {
    this.#size = size;
    this.#slots = slotsFor(size);
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#longs = new BigInt64Array(buffer);
  }
  /** @param {Uint8Array} message */
  send(message) {
    const words = this.#words;
    const slots = this.#slots;
    const size = this.#size;
    const sent = this.#sent;
    while (((sent - this.#head) | 0) >= slots) this.#head = /** @type {number} */ (words[HEAD]);
    const offset = CONTROL + (sent & (slots - 1)) * size;
    if (size > SHORT) this.#bytes.set(message, offset);
    else {
      if (message !== this.#last) this.#use(message);
      copyWords(this.#source, 0, this.#longs, offset >> 3, size >> 3);
    }
    this.#sent = (sent + 1) | 0;
    words[TAIL] = this.#sent;
  }
  /** @param {Uint8Array} message */
  #use(message) {
    let source = this.#known.get(message);
    if (source === undefined) {
      source = new BigInt64Array(message.buffer, message.byteOffset, message.length >> 3);
      this.#known.set(message, source);
    }
    this.#last = message;
    this.#source = source;
  }
}

class Reader {
  #slots;
  #size;
  #words;
  #longs;
  /** A view of each slot, made once. */
  #views;
  #received = 0;
  #tail = 0;
  #copy;
  #target;
  /** @param {ArrayBuffer} buffer @param {number} size */
  constructor(buffer, size) {
    this.#size = size;
    this.#slots = slotsFor(size);
    this.#words = new Int32Array(buffer);
    this.#longs = new BigInt64Array(buffer);
    this.#views = Array.from({ length: this.#slots }, (_, slot) => new Uint8Array(buffer, CONTROL + slot * size, size));
    this.#copy = new Uint8Array(size);
    this.#target = new BigInt64Array(this.#copy.buffer);
  }
  receive() {
    const words = this.#words;
    const size = this.#size;
    const received = this.#received;
    while (this.#tail === received) this.#tail = /** @type {number} */ (words[TAIL]);
    const slot = received & (this.#slots - 1);
    if (size > SHORT) this.#copy.set(/** @type {Uint8Array} */ (this.#views[slot]));
    else copyWords(this.#longs, (CONTROL + slot * size) >> 3, this.#target, 0, size >> 3);
    this.#received = (received + 1) | 0;
    words[HEAD] = this.#received;
    return this.#copy;
  }
}

/** @param {SharedMemory[]} memories @param {number} size @returns {import('../harness/row.js').SyncPort} */
function port([there, back], size) {
  const writer = new Writer(/** @type {SharedMemory} */ (there).buffer, size);
  const reader = new Reader(/** @type {SharedMemory} */ (back).buffer, size);
  return {
    voice: 'sync',
    send: (message) => writer.send(/** @type {Uint8Array} */ (message)),
    receive: () => reader.receive(),
  };
}

/** @type {Row} */
export default {
  name: 'js-ring-floor',
  group: 'connection',
  about: 'the ring in C written in JavaScript, without checks or counts',
  kinds: ['round-trip', 'one-way'],
  sizes: [64, 1024, 2 ** 20],
  against: ['c-ring', 'c-ring-fixed'],
  setUp: () => (process.arch === 'x64' ? undefined : 'is written for the memory order of x86-64'),
  ask(side) {
    const names = ['there', 'back'].map((word) => `${side.prefix}floor-${word}-${process.pid}`);
    const memories = names.map((name) => SharedMemory.create(name, ringBytes(side.size)));
    side.startPeer({ arguments: names });
    const close = () => {
      for (const memory of memories) memory.unlink();
    };
    return { ...port(memories, side.size), close };
  },
  answer: (side) => port(side.arguments.map((name) => SharedMemory.open(name)).reverse(), side.size),
};
