/** What every kind of field can do. One object describes a field wherever the record lies; `at` is an offset in the buffer. */
import { invalidArgument } from '../system/errors.js';
import type { Memory } from './layout-memory.js';

export abstract class Field {
  /** For messages: `field 'price'`. */
  readonly label: string;
  /** The kind as written by the caller, without its size: `'u32'`, `'utf8'`, `'array'`, … */
  readonly kind: string;
  readonly size: number;
  readonly alignment: number;
  /** The alignment that atomic access needs; 1 for fields without any. */
  readonly atomicAlignment: number;
  /** Whether {@link live} returns an object over the memory; it is created once per view. */
  readonly isObject: boolean;

  constructor(
    label: string,
    kind: string,
    shape: { size: number; alignment: number; atomicAlignment?: number; isObject?: boolean },
  ) {
    this.label = label;
    this.kind = kind;
    this.size = shape.size;
    this.alignment = shape.alignment;
    this.atomicAlignment = shape.atomicAlignment ?? 1;
    this.isObject = shape.isObject ?? false;
  }
  /** A copy of the value that shares nothing with the memory. */
  abstract read(memory: Memory, at: number): unknown;
  /** Checks the value first: a refused value changes nothing (in arrays and records: each element for itself). */
  abstract write(memory: Memory, at: number, value: unknown): void;
  /** What the accessor of a view returns: the value, or an object that reads and writes the memory. */
  live(memory: Memory, at: number): unknown {
    return this.read(memory, at);
  }

  /** The error for a value of the wrong type. */
  protected wrongType(expected: string, value: unknown): Error {
    return invalidArgument('ERR_INVALID_ARG_TYPE', this.label, expected, value);
  }
  /** The error for a value of the right type that the field cannot hold. */
  protected outOfRange(expected: string, value: unknown): Error {
    return invalidArgument('ERR_OUT_OF_RANGE', this.label, expected, value);
  }
}
