/** What calls that wait for a queue try again and again: the queue gives it to those who wait (waiting.ts). */
import type { Decoder } from '../codec/coder.js';
import type { Delivery } from './delivery.js';
import type { LivenessChecker } from './liveness-checker.js';

export type Types = readonly number[] | undefined;
/** A message that waits for room. */
export interface Job {
  readonly payload: Uint8Array;
  readonly priority: number;
  readonly type: number;
}
/** The operations to try. */
export interface Attempts<T> {
  /** Decodes messages for {@link receive}. */
  readonly coder: Decoder<T>;
  receive(types: Types): Delivery<T> | undefined;
  send(job: Job): boolean;
  /** Checks for dead peers. */
  recover(): void;
  /** Called with the checker that reports them. */
  watches(livenessChecker: LivenessChecker): void;
  /** A quick check. */
  looksReady(): boolean;
  looksFree(): boolean;
  /** A waiter that may have been woken for something leaves it to others. `room`: it was woken for room. */
  passOn(room: boolean): void;
  /** Repeats failed wake-ups; true: some still fail. */
  ringAgain(): boolean;
}
