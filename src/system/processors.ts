/**
 * Whether this machine has a processor for the other side while this one looks. Two things keep it from running:
 *
 * - **More threads want to run than there are processors.** The kernel's count tells (proc(5), `/proc/loadavg`). It is read after a look in
 *   vain, which costs a few microseconds, and must say so several times in a row: a thread that compiles or collects garbage is soon
 *   done. Then nobody looks for a while, twice as long each time that it is found again; no look is spent on finding out.
 * - **Both are in the queue of one processor** while another is idle. Who looks lets the other run there, and moves away
 *   (scheduling.ts). Where that does not help, looks are in vain though the answer needed no longer than that.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';

/** How long nobody looks. */
const MIN_REST_US = 2_000;
const MAX_REST_US = 128_000;
/** The count is read again after this time at the earliest. */
const MIN_READ_INTERVAL_US = 1_000;
/** So many counts in a row must say so. */
const MIN_COUNTS = 16;
/** So many looks in a row that were in vain for want of a processor are proof enough. */
const MAX_FUTILE = 8;

/** All that are online: the kernel's count is of all of them, whatever this process may use. Known once it is needed. */
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
/** A look has found what it waited for. */
export function lookPaid(): void {
  futile = 0;
}
/** A look was in vain. */
export function lookFailed(now: number): void {
  if (now - readAt < MIN_READ_INTERVAL_US) return;
  readAt = now;
  if (!tooMany()) counts = 0;
  else if (++counts >= MIN_COUNTS) rest(now);
}
/** A look was in vain where the other side needed no longer than that: it was kept from running. */
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
/** Whether more threads run or want to, of the whole machine, than it has processors. False where it does not tell. */
function tooMany(): boolean {
  const runnable = runnableThreads();
  return runnable !== undefined && runnable > onlineProcessors();
}
/** How many processors the machine has, whatever this process may use. */
export function onlineProcessors(): number {
  if (processors === 0) processors = Math.max(availableParallelism(), cpus().length);
  return processors;
}
/** How many threads of the whole machine run or want to, this one among them; undefined where it does not tell. */
export function runnableThreads(): number | undefined {
  try {
    const found = /(\d+)\/\d+/.exec(readFileSync('/proc/loadavg', 'latin1'));
    return found === null ? undefined : Number(found[1]);
  } catch {
    return undefined;
  }
}
