/**
 * The cooperative budget: how much a thread may do before its event loop gets a turn.
 *
 * Promises that are resolved already run in microtasks: a program that awaits nothing else would never serve a timer or a socket. So every
 * operation that succeeds without waiting counts here, of whatever kind. Code that reads the clock anyway reports the time.
 */
import { monotonicMicroseconds } from './monotonic.js';

/** A copy, for users who test with fake timers, which may never call back. */
const immediately = setImmediate;
const MAX_OPERATIONS = 256;
const MAX_US = 1_000;

let left = MAX_OPERATIONS;
let turnedAt = 0;
let turn: Promise<void> | undefined;

/** Counts an operation that succeeds at once. False: let the event loop turn first, by {@link nextTurn} or {@link afterTurn}. */
export function mayGoOn(): boolean {
  return --left > 0;
}
/** Whether {@link mayGoOn} would be false. */
export function budgetIsSpent(): boolean {
  return left <= 1;
}
/** @param now by monotonicMicroseconds */
export function noteTime(now: number): void {
  if (now - turnedAt > MAX_US) left = 0;
}
/** The event loop has just called us: the budget is full again. */
export function loopTurned(): void {
  left = MAX_OPERATIONS;
  turnedAt = monotonicMicroseconds();
}
/** Calls back in the event loop's next turn, with a fresh budget. */
export function afterTurn(callback: () => void): NodeJS.Immediate {
  return immediately(() => {
    loopTurned();
    callback();
  });
}
/** Returns a function that schedules `callback` for the event loop's next turn, once, however often it is called before. */
export function oncePerTurn(callback: () => void): () => void {
  let coming = false;
  return () => {
    if (coming) return;
    coming = true;
    afterTurn(() => {
      coming = false;
      callback();
    });
  };
}
/** Resolves in the event loop's next turn, with a fresh budget. */
export function nextTurn(): Promise<void> {
  turn ??= new Promise((resolve) => {
    afterTurn(() => {
      turn = undefined;
      resolve();
    });
  });
  return turn;
}
