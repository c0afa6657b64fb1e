/** A bounded load for any of the servers, on this machine only: a number of connections and requests, with every answer checked. */
import { checkInteger } from '../../system/arguments.js';
import type { Address } from './address.js';
import { checksum } from './answer.js';
import { Client } from './client.js';
import { encodeU32, type Frame, MAX_PAYLOAD, MAX_ROUNDS, OPERATION, OUTCOME, readU32 } from './protocol.js';

export interface LoadOptions {
  address: Address;
  /** Open at the same time; 1 to 10,000. */
  connections: number;
  /** In total, distributed over the connections; 0 to 1,000,000. */
  requests: number;
  /** Requests in flight at the same time, each on a connection of its own; 1 to `connections`. */
  concurrency: number;
  /** Payload of an ECHO in bytes. */
  size: number;
  /** The number of rounds of WORK, instead of ECHO. */
  rounds?: number;
  /** Called when all connections are open and each has had an answer, before the load begins. */
  onOpen?: () => void | Promise<void>;
}
export interface LoadResult {
  connections: number;
  requests: number;
  /** Wrong or missing answers. */
  errors: number;
  /** The first of them. */
  firstError?: unknown;
  /** From the first connection to the last one's first answer. */
  openSeconds: number;
  seconds: number;
  requestsPerSecond: number;
  /** Nanoseconds from a request to its answer. */
  latency: { p50: number; p99: number; longest: number };
}
/** Connections that are opened at the same time: fewer than a listener's backlog. */
const OPENING = 64;

export async function load(options: LoadOptions): Promise<LoadResult> {
  const { address, requests, size, rounds } = options;
  const connections = checkInteger('connections', options.connections, 1, 10_000);
  const concurrency = checkInteger('concurrency', options.concurrency, 1, connections);
  checkInteger('requests', requests, 0, 1_000_000);
  checkInteger('size', size, 0, MAX_PAYLOAD);
  if (rounds !== undefined) checkInteger('rounds', rounds, 0, MAX_ROUNDS);
  const [operation, payload, isRight] = rounds === undefined ? echo(size) : work(rounds);
  const clients: Client[] = [];
  let errors = 0;
  let firstError: unknown;
  const fail = (error: unknown) => {
    firstError ??= error;
    errors++;
  };
  const times = new Float64Array(requests);
  let answered = 0;
  try {
    const began = performance.now();
    await inTurn(
      connections,
      Math.min(OPENING, connections),
      async () => {
        const client = await Client.connect(address);
        clients.push(client);
        const { kind } = await client.request(OPERATION.ECHO, payload.subarray(0, 0));
        if (kind !== OUTCOME.OK) throw new Error(`an answer of kind ${kind}`);
      },
      fail,
    );
    const openSeconds = (performance.now() - began) / 1000;
    await options.onOpen?.();
    const start = performance.now();
    // A ring: a client that is taken out comes back at the end. No more are out than there are, so one is always in.
    const ring = clients.slice();
    let taken = 0;
    let returned = 0;
    await inTurn(
      clients.length === 0 ? 0 : requests,
      Math.min(concurrency, clients.length),
      async () => {
        const client = ring[taken++ % ring.length]!;
        const before = performance.now();
        const frame = await client.request(operation, payload);
        times[answered++] = (performance.now() - before) * 1e6;
        if (!isRight(frame)) throw new Error('a wrong answer');
        ring[returned++ % ring.length] = client;
      },
      fail,
    );
    const seconds = (performance.now() - start) / 1000;
    const sorted = times.subarray(0, answered).sort();
    const at = (part: number) => sorted[Math.min(answered - 1, Math.floor(part * answered))] ?? 0;
    return {
      connections: clients.length,
      requests: answered,
      errors,
      ...(errors === 0 ? {} : { firstError }),
      openSeconds,
      seconds,
      requestsPerSecond: answered / seconds,
      latency: { p50: at(0.5), p99: at(0.99), longest: at(1) },
    };
  } finally {
    for (const client of clients) client.close();
  }
}

type Kind = [operation: number, payload: Uint8Array, isRight: (frame: Frame) => boolean];
function echo(size: number): Kind {
  const payload = Uint8Array.from({ length: size }, (_, index) => index * 31);
  return [
    OPERATION.ECHO,
    payload,
    (frame) => frame.kind === OUTCOME.OK && Buffer.compare(frame.payload, payload) === 0,
  ];
}
function work(rounds: number): Kind {
  const right = checksum(rounds);
  return [
    OPERATION.WORK,
    encodeU32(rounds),
    ({ kind, payload }) => kind === OUTCOME.OK && readU32(payload, 0) === right,
  ];
}
/** Runs `task` `count` times, `width` at a time. A failure is reported, and ends its share of the width. */
async function inTurn(
  count: number,
  width: number,
  task: () => Promise<void>,
  fail: (error: unknown) => void,
): Promise<void> {
  let left = count;
  const lane = async () => {
    try {
      while (left-- > 0) await task();
    } catch (error) {
      fail(error);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
}
