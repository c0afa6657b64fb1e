/** Ranges of a file. */
import { checkInteger, checkOptions, type OptionNames } from '../system/arguments.js';
import { WAIT_OPTIONS, type WaitOptions } from '../system/deadline.js';

/** From `start` up to, but excluding, `end`; `end` is `Infinity` for a range without an end. */
export interface Range {
  readonly start: number;
  readonly end: number;
}
/** As fcntl(2) counts: 0 means no end. */
export function lengthOf({ start, end }: Range): number {
  return end === Number.POSITIVE_INFINITY ? 0 : end - start;
}
export function overlap(a: Range, b: Range): boolean {
  return a.start < b.end && b.start < a.end;
}
/** What is left of `range` without `others`. */
export function without(range: Range, others: Iterable<Range>): Range[] {
  let left = [range];
  for (const other of others) {
    left = left.flatMap((part) => {
      if (!overlap(part, other)) return [part];
      const rest: Range[] = [];
      if (part.start < other.start) rest.push({ start: part.start, end: other.start });
      if (other.end < part.end) rest.push({ start: other.end, end: part.end });
      return rest;
    });
  }
  return left;
}

/** Which bytes to lock. Default: the whole file, also what is appended later. */
export interface RangeOptions {
  /** The first byte. Default: 0. */
  start?: number;
  /** The number of bytes; 0 (the default) means up to the end, however far the file grows. */
  length?: number;
}
export const LOCK_OPTIONS: OptionNames<RangeOptions & WaitOptions> = { start: true, length: true, ...WAIT_OPTIONS };
/** The range that the options describe, checked. */
export function checkRange(options: RangeOptions = {}): Range {
  const { start = 0, length = 0 } = checkOptions('options', options, LOCK_OPTIONS)!;
  checkInteger('options.start', start, 0);
  checkInteger('options.length', length, 0, Number.MAX_SAFE_INTEGER - start);
  return { start, end: length === 0 ? Number.POSITIVE_INFINITY : start + length };
}
