/**
 * Copies a file by two processes: a server that reads SOURCE and a client that writes DESTINATION.
 *
 * Crash guarantee: DESTINATION gets its name after both have ended well and the digests agree. If the server, the client or this process is
 * killed, there is no partial DESTINATION, and no kernel object is left: they have no names (or are watched, see orphan-reaper.ts).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { SharedMemory } from '../../memory/index.js';
import { CorruptError, close, fstat, IpcError, PeerDiedError } from '../../system/index.js';
import type { Account, Report } from './account.js';
import { type Destination, openDestination } from './destination.js';
import { sha256 } from './digest.js';
import { openSource, type Source } from './source.js';
import type { Plan, Prepared } from './transport.js';
import { transports } from './transports/index.js';

export interface CopyOptions {
  source: string;
  destination: string;
  /** A name in `transports`. */
  via: string;
  /** Bytes per call. Default: the transport's own choice. */
  chunk?: number;
  /** Called from time to time with the bytes that have arrived and the total. */
  onProgress?: (done: number, total: number | null) => void;
  signal?: AbortSignal;
}
export interface CopyResult {
  via: string;
  source: string;
  destination: string;
  bytes: number;
  chunk: number;
  /** Between the first byte read and the last byte written. */
  seconds: number;
  megabytesPerSecond: number;
  /** Bytes that crossed between user space and the kernel, in either process and direction, for each byte of the file. */
  copiesPerByte: number;
  sha256: { source: string; destination: string };
  /** Whether SOURCE was longer at the end than at the beginning; the copy has its original length. */
  sourceGrew: boolean;
  processes: { server: Account; client: Account };
}
/** Milliseconds between two updates of the progress. */
const PROGRESS_INTERVAL_MS = 100;

/** @throws IpcError that names the failed part; DESTINATION is then unchanged */
export async function copy(options: CopyOptions): Promise<CopyResult> {
  const transport = transports.get(options.via)!;
  const open: { source?: Source; destination?: Destination; prepared?: Prepared; progress?: SharedMemory } = {};
  try {
    const source = (open.source = openSource(options.source));
    const destination = (open.destination = openDestination(options.destination, source.status));
    const prepared = (open.prepared = transport.prepare(options.chunk ?? transport.chunk));
    const chunk = prepared.chunk ?? options.chunk ?? transport.chunk;
    const progress = (open.progress = SharedMemory.anonymous(4096));
    const plan: Plan = { via: options.via, length: source.length, chunk };
    if (prepared.note !== undefined) plan.note = prepared.note;
    const pair = start(plan, source.fd, destination.fd, progress.fd, prepared);
    prepared.started();
    const stop = watch(options, new Float64Array(progress.buffer), source.length);
    const [server, client] = await outcome(pair, options.signal).finally(stop);
    const bytes = complete(client.bytes, source, options.source);
    const [of, to] = await both([source.fd, destination.fd].map((fd) => sha256(fd, bytes, options.signal)));
    options.signal?.throwIfAborted();
    if (of !== to) {
      throw new CorruptError(
        `DESTINATION differs from SOURCE (SHA-256 ${to} against ${of}): SOURCE was changed while it was read. Try again`,
      );
    }
    destination.publish();
    const seconds = (client.end - server.begin) / 1e9;
    const accounts = [server.account, client.account];
    const crossed = accounts.reduce((sum, one) => sum + one.bytesFromKernel + one.bytesToKernel - one.controlBytes, 0);
    return {
      via: options.via,
      source: options.source,
      destination: options.destination,
      bytes,
      chunk,
      seconds,
      megabytesPerSecond: bytes / 1e6 / seconds,
      copiesPerByte: bytes === 0 ? 0 : crossed / bytes,
      sha256: { source: of, destination: to },
      sourceGrew: source.length !== null && fstat(source.fd).size > source.length,
      processes: { server: server.account, client: client.account },
    };
  } finally {
    open.progress?.close();
    open.prepared?.cleanUp();
    open.destination?.cleanUp();
    if (open.source !== undefined) close(open.source.fd);
  }
}

/** Both results. Rejects only when neither is running any more, so that their resources can be closed. */
async function both<T>(work: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

interface Participant {
  readonly role: 'server' | 'client';
  readonly child: ChildProcess;
  readonly ended: Promise<{ report: Report | undefined; signal: NodeJS.Signals | null; code: number | null }>;
}

function start(
  plan: Plan,
  source: number,
  destination: number,
  progress: number,
  prepared: Prepared,
): [Participant, Participant] {
  const program = fileURLToPath(new URL('./participant.js', import.meta.url));
  const participant = (role: Participant['role'], file: number, descriptors: readonly number[]): Participant => {
    const words = JSON.stringify({ ...plan, descriptors: descriptors.length });
    const child = spawn(process.execPath, [program, role, String(process.pid), words], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe', file, progress, ...descriptors],
    });
    return { role, child, ended: read(child) };
  };
  // The client first: if something must be removed when this process is killed, the client does it (orphan-reaper.ts).
  const client = participant('client', destination, prepared.client);
  try {
    return [participant('server', source, prepared.server), client];
  } catch (error) {
    client.child.kill('SIGKILL');
    throw error;
  }
}
async function read(
  child: ChildProcess,
): Promise<{ report: Report | undefined; signal: NodeJS.Signals | null; code: number | null }> {
  let text = '';
  // Without spare descriptors Node creates no pipes, and emits 'error' later.
  const pipes = child.stdio as readonly unknown[] | undefined;
  (pipes?.[3] as Readable | undefined)?.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  let code: number | null;
  let signal: NodeJS.Signals | null;
  try {
    [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  } catch (error) {
    // It could not be started: no memory, no descriptor, too many processes.
    const { code: why = 'ERR_VECINO_INTERNAL', message } = error as NodeJS.ErrnoException;
    return { report: { ok: false, code: why, message }, signal: null, code: null };
  }
  let report: Report | undefined;
  try {
    report = JSON.parse(text) as Report;
  } catch {
    // It ended before it could report.
  }
  return { report, signal, code };
}

type Success = Extract<Report, { ok: true }>;

/** Waits for both. When one fails the other is killed, unless its own failure is the cause and its report is coming. */
async function outcome(pair: [Participant, Participant], signal?: AbortSignal): Promise<[Success, Success]> {
  const killed = new Set<Participant>();
  const end = (one: Participant) => {
    if (one.child.exitCode !== null || one.child.signalCode !== null) return;
    killed.add(one);
    one.child.kill('SIGKILL');
  };
  const abort = () => pair.forEach(end);
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  const failures: { weight: number; error: Error }[] = [];
  const [server, client] = await Promise.all(
    pair.map(async (one, index) => {
      const { report, signal: by, code } = await one.ended;
      if (report?.ok) return report;
      const failure = describe(one, report, by, code);
      // These only mean that the other one has gone, whose own report is still to come.
      const broken = report?.ok === false && ['EPIPE', 'ECONNRESET'].includes(report.code);
      if (!broken) end(pair[1 - index]!);
      if (!killed.has(one)) failures.push({ weight: broken ? 1 : 0, error: failure });
      return undefined;
    }),
  );
  signal?.removeEventListener('abort', abort);
  signal?.throwIfAborted();
  failures.sort((a, b) => a.weight - b.weight);
  if (failures[0] !== undefined) throw failures[0].error;
  return [server!, client!];
}
function describe(
  one: Participant,
  report: Report | undefined,
  signal: NodeJS.Signals | null,
  code: number | null,
): Error {
  const who = `the ${one.role} process (pid ${one.child.pid})`;
  if (one.child.pid === undefined && report?.ok === false) {
    return new IpcError(report.code, `the ${one.role} process could not be started: ${report.message}`);
  }
  if (signal !== null) return new PeerDiedError(`${who} was killed by ${signal}; nothing was copied`);
  if (report?.ok === false) {
    const full = report.code === 'ENOSPC' ? '. The file system of DESTINATION is full' : '';
    return new IpcError(report.code, `${who} failed: ${report.message}${full}`);
  }
  return new PeerDiedError(`${who} ended with ${code} and no report; nothing was copied`);
}

/** The bytes copied, if they are the whole file. */
function complete(bytes: number, source: Source, path: string): number {
  if (source.length === null || bytes === source.length) return bytes;
  throw new CorruptError(
    `SOURCE '${path}' shrank while it was read: it had ${source.length} bytes, and ${bytes} could be read (it has ${fstat(source.fd).size} now). Try again`,
  );
}

/** Shows the progress until the returned function is called. */
function watch(options: CopyOptions, shown: Float64Array, total: number | null): () => void {
  const { onProgress } = options;
  if (onProgress === undefined) return () => {};
  const timer = setInterval(() => onProgress(shown[1]!, total), PROGRESS_INTERVAL_MS);
  return () => {
    clearInterval(timer);
    onProgress(shown[1]!, total);
  };
}
