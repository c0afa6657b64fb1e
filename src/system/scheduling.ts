/**
 * A spinning thread lets others run on its processor, because the other side may wait for that very one. The kernel often puts a woken
 * thread into the queue of the processor that woke it, and leaves two threads there that hand it to and fro, beside an idle one: it moves
 * no thread that has run within half a millisecond. So a thread that finds itself in such company moves away by itself.
 *
 * See sched_yield(2) and sched_setaffinity(2). A thread that is restricted to certain processors is never moved.
 */
import { monotonicMicroseconds } from './monotonic.js';
import { native } from './native.js';
import { onlineProcessors, runnableThreads } from './processors.js';

declare module './native.js' {
  interface Native {
    schedYield(): number;
    getcpu(): number;
    /** Bytes of the mask, or an errno negated. */
    schedGetaffinity(mask: Uint8Array): number;
    schedSetaffinity(mask: Uint8Array): number;
  }
}
/** A call to sched_yield(2) that took longer than this has let another thread run. */
const SWITCH_US = 3;
/** Company that was last met longer ago than this has left. */
const RECENT_US = 1_000;
/** So many switches, each soon after the last, are company; one more or less at random, so that two do not move to and fro together. */
const MIN_SWITCHES = 8;
const MAX_SWITCHES = 16;
/** Besides those two threads, at most one per so many processors may want to run: then the move probably leads to an idle one. */
const PROCESSORS_FOR_A_STRANGER = 4;
/** 65,536 processors. */
const MASK_BYTES = 8_192;

/** Whether a thread shares its processor with one that it waits for, measured by its calls to sched_yield(2). */
export class Company {
  #switches = 0;
  #enough = MIN_SWITCHES;
  #lastAt = Number.NEGATIVE_INFINITY;

  /** The call lasted from `before` to `after`, in microseconds. True: it does, and the count begins again. */
  met(before: number, after: number): boolean {
    if (after - before < SWITCH_US) return false;
    if (before - this.#lastAt > RECENT_US) this.#switches = 0;
    this.#lastAt = after;
    if (++this.#switches < this.#enough) return false;
    this.#switches = 0;
    this.#enough = MIN_SWITCHES + Math.floor(Math.random() * (MAX_SWITCHES - MIN_SWITCHES));
    return true;
  }
}
const company = new Company();
/** When the kernel was last asked about room elsewhere. */
let askedAt = Number.NEGATIVE_INFINITY;

/** Another thread that waits for this processor runs first. @param now by {@link monotonicMicroseconds} */
export function yieldProcessor(now: number): void {
  native.schedYield();
  if (!company.met(now, monotonicMicroseconds()) || now - askedAt < RECENT_US) return;
  askedAt = now;
  leaveProcessor();
}
/** Moves this thread to another processor, if one is probably idle and the thread is not restricted. True: it was moved. */
export function leaveProcessor(): boolean {
  const processors = onlineProcessors();
  const runnable = runnableThreads();
  if (runnable === undefined || (runnable - 2) * PROCESSORS_FOR_A_STRANGER > processors) return false;
  const room = new Uint8Array(MASK_BYTES);
  const length = native.schedGetaffinity(room);
  const here = native.getcpu();
  if (length < 0 || here < 0) return false;
  const mask = room.subarray(0, length);
  if (processors < 2 || bitsOf(mask) !== processors) return false;
  mask[here >> 3]! &= ~(1 << (here & 7));
  const moved = native.schedSetaffinity(mask) === 0;
  // Every processor, also future ones: exactly the mask that was read would be a restriction from now on.
  if (moved) native.schedSetaffinity(mask.fill(0xff));
  return moved;
}
function bitsOf(mask: Uint8Array): number {
  let bits = 0;
  for (let byte of mask) for (; byte !== 0; byte &= byte - 1) bits++;
  return bits;
}
