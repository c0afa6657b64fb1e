/**
 * Waits for a word of shared memory in the event loop: what futex(2) is to a thread. All locks of `vecino/sync` sleep here.
 *
 * While there are waits, there is one descriptor in the event loop, and at most one thread in the process ({@link openWordKernel}). Without
 * waits there is neither.
 *
 * A wake-up may be lost with the process that it went to: `FUTEX_WAKE` of one waiter, or the kernel's on an owner's death, and that waiter
 * is killed before it acts. Or with an owner that is killed between its release and its wake-up while another one takes the lock. The
 * kernel notifies no other waiter. So words are polled once in a {@link RECHECK_INTERVAL_MS}, and a wait whose word has changed ends. It is
 * the backstop for such deaths, not the mechanism.
 */

import { checkWord } from './arguments.js';
import { Deadline } from './deadline.js';
import { EAGAIN, ECANCELED, EINTR, ENOSPC, ENOSYS, ETIMEDOUT } from './errno.js';
import { check } from './errors.js';
import { KeepAlive, program } from './keep-alive.js';
import { native } from './native.js';
import { Readiness } from './readiness.js';
import { isFull, openWordKernel, type Way, type WordKernel } from './word-kernel.js';

/** Milliseconds. Also the longest sleep of a blocked thread before it polls. */
export const RECHECK_INTERVAL_MS = 1000;
/** Milliseconds between polls where the kernel cannot wait for several words. */
const POLL_INTERVAL_MS = 4;
/** Milliseconds that the descriptor is kept for the next wait. */
const KEEP_DESCRIPTOR_MS = 20;

/** A word and the value that it has while there is a reason to wait. */
export interface AwaitedWord {
  words: Int32Array;
  index: number;
  expected: number;
}

/** One `waitWords`: over when the first of its words is. */
interface Wait {
  readonly entries: Entry[];
  settle(error?: unknown): void;
}
/** One word that the kernel watches. */
interface Entry extends AwaitedWord {
  readonly id: number;
  /** Undefined once the result is not needed any more. */
  wait: Wait | undefined;
}

let kernel: WordKernel | undefined;
let readiness: Readiness | undefined;
let closing: NodeJS.Timeout | undefined;
let looking: NodeJS.Timeout | undefined;
let looksOften = false;
let pumping = false;
let lastId = 0;
/** The words that the kernel watches (with `look`: that are polled), by number. */
const entries = new Map<number, Entry>();
/** Words that the kernel has no room for: polled often. Only the helper thread's room is limited. */
const excess = new Set<Entry>();
let lookingOften: NodeJS.Timeout | undefined;
const waits = new Set<Wait>();
const pairs = new Float64Array(2 * 256);

/**
 * Resolves once `words[index]` is not `expected` any more and a process has called `FUTEX_WAKE` (C: `futex(2)`, here: {@link futexWake});
 * at once if it is not `expected` now. It may also resolve spuriously: check the word again.
 *
 * A time-out or an abort rejects, and a wake-up that it may have used up is passed on to the next waiter.
 */
export function waitWord(
  words: Int32Array,
  index: number,
  expected: number,
  deadline: Deadline,
  keepAlive: KeepAlive = program,
): Promise<void> {
  return waitWords([{ words, index, expected }], deadline, keepAlive);
}

/** The same for several words at once: resolves when any of them is no longer as expected. */
export function waitWords(
  places: readonly AwaitedWord[],
  deadline: Deadline,
  keepAlive: KeepAlive = program,
): Promise<void> {
  return new Promise((resolve, reject) => {
    for (const { words, index } of places) checkWord(words, index);
    if (deadline.signal?.aborted) return reject(deadline.signal.reason);
    if (places.some(hasChanged)) return resolve();
    if (deadline.expired) return reject(deadline.error());
    let callOff = () => {};
    const cancel = watchWords(places, (error) => {
      callOff();
      keepAlive.end();
      if (error === undefined) resolve();
      else reject(error);
    });
    keepAlive.begin();
    callOff = deadline.onEnd((error) => {
      callOff();
      cancel();
      keepAlive.end();
      reject(error);
    });
  });
}

/**
 * Calls `done` once, later, when any of the words is no longer as expected, or with an error. Returns a function that cancels that. It does
 * not keep the program running: the caller's {@link KeepAlive} does.
 */
export function watchWords(places: readonly AwaitedWord[], done: (error?: unknown) => void): () => void {
  open();
  const wait: Wait = {
    entries: [],
    settle(error) {
      if (!waits.delete(wait)) return;
      wait.entries.forEach(abandon);
      if (waits.size === 0) rest();
      done(error);
    },
  };
  waits.add(wait);
  try {
    for (const { words, index, expected } of places) watch({ words, index, expected, id: ++lastId, wait });
  } catch (error) {
    setImmediate(wait.settle, error);
  }
  pump();
  if (!waits.has(wait)) wait.entries.forEach(abandon); // it ended while it began
  return () => {
    if (!waits.delete(wait)) return;
    wait.entries.forEach(abandon);
    if (waits.size === 0) rest();
  };
}

/** Ends every wait for words of that memory with `error`: it is about to be unmapped. */
export function endWaits(buffer: ArrayBufferLike, error: unknown): void {
  for (const wait of [...waits]) if (wait.entries.some((entry) => entry.words.buffer === buffer)) wait.settle(error);
}

/** How this thread waits, for tests and diagnosis: undefined without waits. */
export function wordWay(): Way | undefined {
  return kernel?.way ?? (looksOften ? 'look' : undefined);
}
/** Closes the descriptor as soon as there are no waits, instead of a moment later. */
export async function releaseWordKernel(): Promise<void> {
  while (entries.size > 0) await new Promise(setImmediate);
  shut();
}

/**
 * Blocks the thread until `words[index]` is not `expected` (then at once), another process wakes it, or `limit` milliseconds have passed;
 * it may also return spuriously.
 *
 * @throws TimeoutError when `deadline` is over
 */
export function waitWordSync(
  words: Int32Array,
  index: number,
  expected: number,
  deadline: Deadline,
  limit: number = RECHECK_INTERVAL_MS,
): void {
  const block = deadline.block();
  const slice = block < 0 || block > limit ? limit : block;
  const result = native.futexWait(words, index * 4, expected, slice);
  if (result < 0 && result !== EAGAIN && result !== EINTR && result !== ETIMEDOUT) check(result, 'futex');
}

/** The same for several words of one memory. */
export function waitWordsSync(
  places: readonly AwaitedWord[],
  deadline: Deadline,
  limit: number = RECHECK_INTERVAL_MS,
): void {
  const { words, index, expected } = places[0]!;
  if (places.length === 1) {
    waitWordSync(words, index, expected, deadline, limit);
    return;
  }
  const pairs = new Int32Array(places.flatMap((place) => [place.index, place.expected]));
  const block = deadline.block();
  const result = native.futexWaitv(words, pairs, block < 0 || block > limit ? limit : block);
  if (result === ENOSYS) waitWordSync(words, index, expected, deadline, POLL_INTERVAL_MS);
  else if (result < 0 && result !== EAGAIN && result !== EINTR && result !== ETIMEDOUT) check(result, 'futex_waitv');
}

function watch(entry: Entry): void {
  entries.set(entry.id, entry);
  entry.wait!.entries.push(entry);
  if (kernel === undefined) return;
  const { words, index, expected, id } = entry;
  let result = kernel.wait(words, index * 4, expected, id);
  for (let tries = 0; isFull(result) && tries < 100; tries++) {
    reap();
    result = kernel.wait(words, index * 4, expected, id);
  }
  if (result === 0) return;
  entries.delete(id);
  if (result !== ENOSPC) check(result, kernel.way === 'ring' ? 'io_uring_enter' : 'futex_waitv');
  excess.add(entry);
  lookingOften ??= setInterval(lookOften, POLL_INTERVAL_MS).unref();
}
/** Ends waits whose word has changed, and passes to the kernel what it has room for now. */
function lookOften(): void {
  for (const entry of [...excess]) if (hasChanged(entry)) entry.wait?.settle();
  for (const entry of excess) {
    if (kernel?.wait(entry.words, entry.index * 4, entry.expected, entry.id) !== 0) break;
    entries.set(entry.id, entry);
    excess.delete(entry);
  }
  pump();
  if (excess.size > 0) return;
  clearInterval(lookingOften);
  lookingOften = undefined;
}
/** It is not needed any more. The kernel may have spent a wake-up on it: {@link reap} will see. */
function abandon(entry: Entry): void {
  if (entry.wait === undefined) return;
  entry.wait = undefined;
  if (excess.delete(entry)) return;
  if (kernel === undefined) entries.delete(entry.id);
  else if (entries.has(entry.id)) {
    program.begin(); // until it has ended, which is soon: a program that exits before would keep that wake-up from other waiters
    kernel.cancel(entry.id); // If it fails, the entry ends with its word's next wake-up.
  }
}
function reap(): void {
  if (kernel === undefined) return;
  let count: number;
  do {
    count = kernel.reap(pairs);
    for (let i = 0; i < count; i++) ended(pairs[2 * i]!, pairs[2 * i + 1]!);
  } while (count * 2 === pairs.length);
}
function ended(id: number, result: number): void {
  const entry = entries.get(id);
  if (entry === undefined) return; // the completion of a cancellation
  entries.delete(id);
  const { wait, words, index } = entry;
  if (wait === undefined) {
    program.end();
    if (result === 0 && index < words.length) native.futexWake(words, index * 4, 1);
  } else if (result === 0 || result === EAGAIN || result === EINTR || result === ECANCELED) {
    wait.settle();
  } else {
    try {
      check(result, 'futex');
    } catch (error) {
      wait.settle(error);
    }
  }
}

function open(): void {
  clearTimeout(closing);
  closing = undefined;
  if (kernel === undefined && !looksOften) {
    kernel = openWordKernel();
    looksOften = kernel === undefined;
    if (kernel !== undefined) readiness = new Readiness(kernel.fd, 'waiting for words', new KeepAlive(false));
  }
  looking ??= setInterval(look, looksOften ? POLL_INTERVAL_MS : RECHECK_INTERVAL_MS).unref();
}
/** Waits for events of the kernel while there are waits. */
async function pump(): Promise<void> {
  if (pumping || readiness === undefined) return;
  pumping = true;
  const forever = new Deadline('wait for words');
  try {
    // Also until abandoned waits have ended, which is soon: a wake-up may have to be passed on.
    while (entries.size > 0) {
      await readiness.readable(forever);
      reap();
    }
  } catch {
    // The loop cannot watch the descriptor now (no watches or memory left), or it was closed since: poll until it can.
    reap();
    if (entries.size > 0) setTimeout(() => void pump(), POLL_INTERVAL_MS).unref();
  } finally {
    pumping = false;
  }
}
function look(): void {
  for (const wait of [...waits]) if (wait.entries.some(hasChanged)) wait.settle();
}
/** The last wait is over: the descriptor is closed after a moment, because the next wait often comes soon. */
function rest(): void {
  clearInterval(looking);
  looking = undefined;
  clearInterval(lookingOften); // nothing is in excess without a wait
  lookingOften = undefined;
  if (kernel === undefined) looksOften = false;
  else closing ??= setTimeout(shut, KEEP_DESCRIPTOR_MS).unref();
}
function shut(): void {
  clearTimeout(closing);
  closing = undefined;
  if (kernel === undefined || waits.size > 0) return;
  if (entries.size > 0) {
    rest();
    return;
  }
  readiness?.close();
  kernel.close();
  kernel = undefined;
  readiness = undefined;
}

/** Whether the word is no longer as expected, or its memory is gone. */
export function hasChanged({ words, index, expected }: AwaitedWord): boolean {
  return index >= words.length || Atomics.load(words, index) !== expected >> 0;
}
