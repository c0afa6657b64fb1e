/** Parts of a file: from `start` up to but without `end`, which is `Infinity` for one without an end. */
export interface Range {
  readonly start: number;
  readonly end: number;
}
/** As fcntl(2) counts: 0 means without an end. */
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
