/**
 * Random words over all that two processes share, 12,000 times, while both ends work: each operation does its work, or throws
 * CorruptError and ends the connection. Nothing is read or written outside the ring, nothing hangs.
 */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SharedMemory } from 'vecino';
import { coderOf } from '#src/channel/codec/index.js';
import { Connection } from '#src/channel/connection/connection.js';
import { Link, linkSize, type Terms } from '#src/channel/connection/link.js';
import {
  FIRST_FRAGMENT,
  LAST_FRAGMENT,
  MESSAGE,
  MIDDLE_FRAGMENT,
  PAD,
  recordSize,
} from '#src/lock-free/ring/layout.js';
import { ClosedError, CorruptError, PeerDiedError, TimeoutError } from '#src/system/errors.js';
import { mmap } from '#src/system/memory.js';
import { constants } from '#src/system/native.js';
import { socketpair } from '#src/system/socket.js';
import { Spin } from '#src/system/spin.js';

const CAPACITY = 4096;
const terms: Terms = {
  listenerCapacity: CAPACITY,
  connectorCapacity: CAPACITY,
  peerTakes: 100_000,
  takes: 100_000,
  barriers: true,
};
const size = linkSize(terms);
const peer = { pid: 1, uid: 0, gid: 0 };

/** Two ends in this process, and the memory between them as a third sees it. */
function victims(memory: SharedMemory): [Connection<Uint8Array>, Connection<Uint8Array>] {
  const fds = socketpair('seqpacket', constants['SOCK_NONBLOCK']!);
  const make = (role: 'listener' | 'connector', fd: number) =>
    new Connection<Uint8Array>(
      new Link('hostile', role, fd, mmap(memory.fd, size), terms, peer),
      coderOf<Uint8Array>('bytes'),
      new Spin(0),
    );
  return [make('listener', fds[0]), make('connector', fds[1])];
}
const random = (below: number) => Math.floor(Math.random() * below);
/** Words that hurt: small ones, those at a border, multiples of 8, anything. */
const words = [
  () => random(10) - 5,
  () => random(1024) * 8,
  () => [0x7fffffff, -0x80000000, -1, CAPACITY, CAPACITY - 8, 4088, 1 << 30][random(7)]!,
  () => (Math.random() * 2 ** 32) | 0,
];
const participant = () => (random(2) === 0 ? [0, 32, 64, 96, 128, 160, 192, 224][random(8)]! : random(size >> 2));

/** One random operation; true if it told of damage. */
async function operate(end: Connection<Uint8Array>): Promise<boolean> {
  const message = new Uint8Array(random(3) === 0 ? random(10_000) : random(200));
  const wait = { timeout: 0 };
  try {
    switch (random(6)) {
      case 0:
        if (message.length < 1000) end.trySend(message);
        break;
      case 1:
        await end.send(message, wait);
        break;
      case 2:
        end.tryReceive();
        break;
      case 3:
        await end.receive(wait);
        break;
      case 4:
        end.drain((memory, offset, length) => {
          assert.ok(offset >= 0 && length >= 0 && offset + length <= memory.length);
        }, 50);
        break;
      default: {
        const loan = end.tryReserve(random(1000));
        if (loan === null) break;
        assert.ok(loan.offset >= 4096 && loan.offset + loan.length <= size);
        loan.bytes.fill(1);
        loan.commit();
      }
    }
  } catch (error) {
    if (error instanceof CorruptError) return true;
    const { code } = error as { code?: string };
    assert.ok(
      error instanceof ClosedError || error instanceof PeerDiedError || code === 'ERR_VECINO_TIMEOUT',
      String((error as Error).stack),
    );
    return code !== 'ERR_VECINO_TIMEOUT';
  }
  return false;
}

test('Connection: 10,000 random words over the shared memory, between operations', { timeout: 600_000 }, async () => {
  let corrupt = 0;
  for (let trial = 0; trial < 10_000; ) {
    using memory = SharedMemory.anonymous(size);
    const ends = victims(memory);
    const shared = new Int32Array(memory.buffer);
    for (let round = 0; round < 20; round++, trial++) {
      for (let i = random(4); i > 0; i--) await operate(ends[random(2)]!);
      shared[participant()] = words[random(words.length)]!();
      let over = false;
      for (let i = 0; i < 4; i++) over = (await operate(ends[random(2)]!)) || over;
      if (over) {
        corrupt++;
        break;
      }
    }
    trial++;
    for (const end of ends) end.close();
  }
  assert.ok(corrupt > 100, `${corrupt} connections were found damaged`);
});

test('Connection: records that are no work and never end are damage: pads alone, parts without content', {
  timeout: 60_000,
}, () => {
  const HEADER = 2;
  for (const records of [
    [[0, PAD]],
    [[CAPACITY - 8, PAD]],
    [
      [1000, MESSAGE],
      [CAPACITY - 1024, PAD],
      [0, PAD],
    ],
    [[8, FIRST_FRAGMENT, 1000]],
    [
      [520, FIRST_FRAGMENT, 10_000],
      [0, MIDDLE_FRAGMENT],
    ],
    [
      [520, FIRST_FRAGMENT, 10_000],
      [1, MIDDLE_FRAGMENT],
    ],
    [
      [520, FIRST_FRAGMENT, 10_000],
      [0, LAST_FRAGMENT],
    ],
  ] as const) {
    using memory = SharedMemory.anonymous(size);
    const ends = victims(memory);
    const shared = new Int32Array(memory.buffer);
    let at = 0;
    for (const [length, kind, total = 0] of records) {
      const index = (4096 >> 2) + ((at & (CAPACITY - 1)) >> 2);
      shared[index] = length;
      shared[index + 1] = kind;
      shared[index + HEADER] = total;
      at += recordSize(length);
    }
    shared[0] = at; // the tail of the ring that the connector reads
    assert.throws(() => {
      while (ends[1].tryReceive() !== undefined);
    }, CorruptError);
    for (const end of ends) end.close();
  }
});

test('Connection: a sender that begins messages and gives them up, for ever, holds up neither the event loop nor a time-out', {
  timeout: 60_000,
}, async () => {
  using memory = SharedMemory.anonymous(size);
  const ends = victims(memory);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const quitter = new Worker(
    `const { workerData } = require('node:worker_threads');
     Promise.all([import('vecino'), import('#src/lock-free/ring/producer.js')]).then(([{ SharedMemory }, { RingProducer }]) => {
       const memory = SharedMemory.fromFd(workerData.fd);
       const ring = new RingProducer(memory.buffer, 0, 4096, ${CAPACITY});
       while (Atomics.load(workerData.stop, 0) === 0) {
         const offset = ring.reserve(${CAPACITY >> 3});
         if (offset < 0) continue;
         ring.words[offset >> 2] = 50_000;
         ring.commit(${CAPACITY >> 3}, ${FIRST_FRAGMENT});
       }
       memory.close();
     });`,
    { eval: true, workerData: { fd: memory.fd, stop } },
  );
  while (Atomics.load(new Int32Array(memory.buffer), 0) === 0) await new Promise(setImmediate);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await assert.rejects(ends[1].receive({ timeout: 200 }), TimeoutError);
  assert.throws(() => ends[1].receiveSync({ timeout: 50 }), TimeoutError);
  assert.equal(ends[1].tryReceive(), undefined);
  assert.equal(
    ends[1].drain(() => {}),
    0,
  );
  clearInterval(timer);
  assert.ok(turns > 5, `${turns} turns`);
  Atomics.store(stop, 0, 1);
  await new Promise((resolve) => quitter.once('exit', resolve));
  for (const end of ends) end.close();
});

test('Connection: 10,000 operations each under a thread that scribbles without pause', {
  timeout: 600_000,
}, async () => {
  using memory = SharedMemory.anonymous(size);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const scribbler = new Worker(
    `const { workerData } = require('node:worker_threads');
     import('vecino').then(({ SharedMemory }) => {
       const memory = SharedMemory.fromFd(workerData.fd);
       const shared = new Int32Array(memory.buffer);
       const places = [0, 32, 64, 96, 128, 160, 192, 224];
       let n = 0;
       while (Atomics.load(workerData.stop, 0) === 0) {
         const where = ++n % 3 === 0 ? places[n % 8] : Math.floor(Math.random() * shared.length);
         shared[where] = n % 5 === 0 ? (Math.random() * 2 ** 32) | 0 : Math.floor(Math.random() * 512) * 8;
       }
       memory.close();
     });`,
    { eval: true, workerData: { fd: memory.fd, stop } },
  );
  for (let trial = 0; trial < 10_000; trial++) {
    const ends = victims(memory);
    for (let i = 0; i < 4; i++) await operate(ends[i & 1]!);
    for (const end of ends) end.close();
  }
  Atomics.store(stop, 0, 1);
  await new Promise((resolve) => scribbler.once('exit', resolve));
});
