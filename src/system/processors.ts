/**
 * Whether this machine has a processor for the other side while this one spins. Two things keep it from running:
 *
 * - **More threads want to run than there are processors.** The kernel's count says so (proc(5), `/proc/loadavg`). It is read after a spin
 *   that failed, which costs a few microseconds, and must say so several times in a row, because a thread that compiles or collects garbage
 *   is soon done. Then nothing spins for a while, twice as long each time that it is found again; no spin is spent on finding out.
 * - **Both are in the queue of one processor** while another is idle. The spinning thread lets the other run there, and moves away
 *   (scheduling.ts). Where that does not help, spins fail although the answer needed no longer than that.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';

/** How long nothing spins. */
const MIN_REST_US = 2_000;
const MAX_REST_US = 128_000;
/** The count is read again after this time at the earliest. */
const MIN_READ_INTERVAL_US = 1_000;
/** So many counts in a row must say so. */
const MIN_COUNTS = 16;
/** So many spins in a row that failed because of a missing processor are proof enough. */
const MAX_FUTILE = 8;

/** All that are online, because the kernel's count covers all of them, whatever this process may use. Read on first use. */
let processors = 0;
let readAt = Number.NEGATIVE_INFINITY;
let scarce = false;
let scarceUntil = 0;
let duration = MIN_REST_US;
let counts = 0;
let futile = 0;

/** @param now by {@link monotonicMicroseconds} */
export function processorsAreScarce(now: number): boolean {
  if (!scarce || now < scarceUntil) return scarce;
  if (tooMany()) rest(now);
  else {
    scarce = false;
    duration = MIN_REST_US;
  }
  return scarce;
}
/** A spin has found what it waited for. */
export function lookPaid(): void {
  futile = 0;
}
/** A spin failed. */
export function lookFailed(now: number): void {
  if (now - readAt < MIN_READ_INTERVAL_US) return;
  readAt = now;
  if (!tooMany()) counts = 0;
  else if (++counts >= MIN_COUNTS) rest(now);
}
/** A spin failed although the other side needed no longer than that: it was kept from running. */
export function lookWasFutile(now: number): void {
  if (++futile >= MAX_FUTILE) rest(now);
}
function rest(now: number): void {
  scarce = true;
  counts = 0;
  futile = 0;
  scarceUntil = now + duration;
  duration = Math.min(MAX_REST_US, duration * 2);
}
/** Whether the whole machine has more threads that run or want to than processors. False where that is unknown. */
function tooMany(): boolean {
  const runnable = runnableThreads();
  return runnable !== undefined && runnable > onlineProcessors();
}
/** How many processors the machine has, whatever this process may use. */
export function onlineProcessors(): number {
  if (processors === 0) processors = Math.max(availableParallelism(), cpus().length);
  return processors;
}
/** How many threads of the whole machine run or want to, this one included; undefined where that is unknown. */
export function runnableThreads(): number | undefined {
  try {
    const found = /(\d+)\/\d+/.exec(readFileSync('/proc/loadavg', 'latin1'));
    return found === null ? undefined : Number(found[1]);
  } catch {
    return undefined;
  }
}
