// @ts-check
/**
 * The loops that measure, one for each voice. Asking: every round trip is timed, after a warm-up. One way: the receiver counts
 * from the message marked `start` to the one marked `last`, so that what is still under way is not counted.
 *
 * @typedef {import('./row.js').Port} Port
 * @typedef {import('./row.js').SyncPort} SyncPort
 * @typedef {import('./row.js').AsyncPort} AsyncPort
 * @typedef {import('./row.js').EventPort} EventPort
 * @typedef {import('./row.js').Outcome} Outcome
 * @typedef {{ size: number, warmUp: number, duration: number, burst?: import('./row.js').Row['burst'] }} Extent milliseconds
 */
import { setTimeout as pause } from 'node:timers/promises';
import { LEAST, Samples } from './samples.mjs';

const PLAIN = 0;
const START = 1;
const LAST = 2;
const now = () => performance.now();

/** @param {number} size */
function bytes(size) {
  /** @param {number} mark */
  const make = (mark) => {
    const message = new Uint8Array(size).fill(7);
    message[0] = mark;
    return message;
  };
  return { plain: make(PLAIN), start: make(START), last: make(LAST) };
}
/** @param {Uint8Array} message */
const firstByte = (message) => message[0];
/** @param {Port} port @param {number} size */
const messagesOf = (port, size) => port.messages?.(size) ?? bytes(size);
/** @param {Port} port @returns {(message: any) => number} */
const markOf = (port) => port.mark ?? firstByte;

/* ---- round trip ---------------------------------------------------------------------------------------------- */

/** @param {Port} port @param {Extent} extent @returns {Outcome | Promise<Outcome>} */
export function askAround(port, extent) {
  if (port.voice === 'sync') return askAroundSync(port, extent);
  return port.voice === 'async' ? askAroundAsync(port, extent) : askAroundEvents(port, extent);
}
/** @param {SyncPort} port @param {Extent} extent */
function askAroundSync(port, { size, warmUp, duration }) {
  const { plain, last } = messagesOf(port, size);
  const samples = new Samples();
  let before = now();
  const warm = before + warmUp;
  const end = warm + duration;
  while (samples.wanted(before, end)) {
    port.send(plain);
    port.receive();
    const after = now();
    if (before >= warm) samples.add(after - before);
    before = after;
  }
  port.send(last);
  port.receive();
  return samples.outcome();
}
/** @param {AsyncPort} port @param {Extent} extent */
async function askAroundAsync(port, { size, warmUp, duration, burst }) {
  const { plain, last } = messagesOf(port, size);
  const samples = new Samples();
  let before = now();
  const warm = before + warmUp;
  const end = warm + duration;
  let left = burst?.length ?? Number.POSITIVE_INFINITY;
  while (samples.wanted(before, end)) {
    await port.send(plain);
    await port.receive();
    const after = now();
    if (before >= warm) samples.add(after - before);
    before = after;
    if (--left > 0 || burst === undefined) continue;
    left = burst.length;
    await pause(burst.pause);
    before = now();
  }
  await port.send(last);
  await port.receive();
  return samples.outcome();
}
/** @param {EventPort} port @param {Extent} extent @returns {Promise<Outcome>} */
function askAroundEvents(port, { size, warmUp, duration }) {
  const { plain, last } = messagesOf(port, size);
  const samples = new Samples();
  return new Promise((resolve) => {
    let before = now();
    const warm = before + warmUp;
    const end = warm + duration;
    let over = false;
    port.listen(() => {
      if (over) return resolve(samples.outcome());
      const after = now();
      if (before >= warm) samples.add(after - before);
      before = after;
      over = !samples.wanted(after, end);
      port.send(over ? last : plain);
    });
    port.send(plain);
  });
}

/** @param {Port} port @returns {void | Promise<void>} */
export function answerAround(port) {
  const mark = markOf(port);
  if (port.voice === 'sync') {
    for (;;) {
      const message = port.receive();
      port.send(message);
      if (mark(message) === LAST) return;
    }
  }
  return port.voice === 'async' ? answerAroundAsync(port, mark) : answerAroundEvents(port, mark);
}
/** @param {AsyncPort} port @param {(message: any) => number} mark */
async function answerAroundAsync(port, mark) {
  for (;;) {
    const message = await port.receive();
    await port.send(message);
    if (mark(message) === LAST) return;
  }
}
/** @param {EventPort} port @param {(message: any) => number} mark @returns {Promise<void>} */
function answerAroundEvents(port, mark) {
  return new Promise((resolve) => {
    port.listen((message) => {
      port.send(message);
      if (mark(message) === LAST) resolve();
    });
  });
}

/* ---- one way ------------------------------------------------------------------------------------------------- */

/** What to send next. It looks at the clock now and then only. */
class Schedule {
  #messages;
  /** So many messages less one, a power of two less one, between two looks at the clock. */
  #mask;
  #sent = 0;
  /** After how many messages sent it may end. */
  #enough = Infinity;
  #warm;
  #end;
  /** @param {Port} port @param {Extent} extent */
  constructor(port, { size, warmUp, duration }) {
    this.#messages = messagesOf(port, size);
    this.#mask = size > 65536 ? 0 : 63;
    this.#warm = now() + warmUp;
    this.#end = this.#warm + duration;
  }
  next() {
    if ((++this.#sent & this.#mask) !== 0) return this.#messages.plain;
    const time = now();
    if (this.#enough === Infinity && time >= this.#warm) {
      this.#enough = this.#sent + LEAST;
      return this.#messages.start;
    }
    return time >= this.#end && this.#sent >= this.#enough ? this.#messages.last : this.#messages.plain;
  }
  /** @param {any} message */
  isLast(message) {
    return message === this.#messages.last;
  }
}
/** @param {Port} port @param {Extent} extent @returns {void | Promise<void>} */
export function sendAll(port, extent) {
  const schedule = new Schedule(port, extent);
  if (port.voice === 'sync') {
    for (;;) {
      const message = schedule.next();
      port.send(message);
      if (schedule.isLast(message)) return;
    }
  }
  return port.voice === 'async' ? sendAllAsync(port, schedule) : sendAllEvents(port, schedule);
}
/** @param {AsyncPort} port @param {Schedule} schedule */
async function sendAllAsync(port, schedule) {
  for (;;) {
    const message = schedule.next();
    await port.send(message);
    if (schedule.isLast(message)) return;
  }
}
/** @param {EventPort} port @param {Schedule} schedule @returns {Promise<void>} */
function sendAllEvents(port, schedule) {
  return new Promise((resolve) => {
    const pump = () => {
      for (;;) {
        const message = schedule.next();
        const more = port.send(message);
        if (schedule.isLast(message)) return resolve();
        if (!more) return port.drained(pump);
      }
    };
    pump();
  });
}

/** Counts what arrives. */
class Counter {
  #mark;
  #count = 0;
  #began = 0;
  #ended = 0;
  /** @param {Port} port */
  constructor(port) {
    this.#mark = markOf(port);
  }
  /** @param {any} message @returns {boolean} true after the last one */
  arrived(message) {
    this.#count++;
    const mark = this.#mark(message);
    if (mark === PLAIN) return false;
    const time = now();
    if (mark === START) {
      this.#began = time;
      this.#count = 0;
      return false;
    }
    this.#ended = time;
    return true;
  }
  /** @returns {Outcome} */
  outcome() {
    return { metrics: { rate: this.#count / ((this.#ended - this.#began) / 1e3) } };
  }
}
/** @param {Port} port @returns {Outcome | Promise<Outcome>} */
export function receiveAll(port) {
  const counter = new Counter(port);
  if (port.voice === 'sync') {
    while (!counter.arrived(port.receive()));
    return counter.outcome();
  }
  return port.voice === 'async' ? receiveAllAsync(port, counter) : receiveAllEvents(port, counter);
}
/** @param {AsyncPort} port @param {Counter} counter */
async function receiveAllAsync(port, counter) {
  for (;;) {
    const received = port.receive();
    if (counter.arrived(received instanceof Promise ? await received : received)) return counter.outcome();
  }
}
/** @param {EventPort} port @param {Counter} counter @returns {Promise<Outcome>} */
function receiveAllEvents(port, counter) {
  return new Promise((resolve) => {
    port.listen((message) => {
      if (counter.arrived(message)) resolve(counter.outcome());
    });
  });
}

/* ---- calls --------------------------------------------------------------------------------------------------- */

/**
 * Times whole batches; a sample is the mean of one.
 *
 * @param {import('./row.js').Batch} batch @param {number} count @param {Extent} extent
 * @returns {Promise<Outcome>}
 */
export async function callBatches(batch, count, { warmUp, duration }) {
  const samples = new Samples();
  let before = now();
  const warm = before + warmUp;
  const end = warm + duration;
  while (samples.wanted(before, end)) {
    const pending = batch(count);
    if (pending !== undefined) await pending;
    const after = now();
    if (before >= warm) samples.add((after - before) / count);
    before = now();
  }
  return samples.outcome();
}
