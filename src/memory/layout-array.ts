/** `{ array: 'u32', length: 8 }`: a fixed number of equal elements. */
import { inspect } from 'node:util';
import { invalidArgument } from '../system/errors.js';
import { Field } from './layout-field.js';
import type { Memory } from './layout-memory.js';

/**
 * The elements of an array field, read and written in shared memory. It is not a typed array: that would silently truncate values, and
 * return `undefined` once the memory is closed. This one throws.
 */
export interface ArrayView<Element = unknown, Value = Element, Input = Value> extends Iterable<Element> {
  /** The number of elements. */
  readonly length: number;
  /** The element at `index`: a number, a text, … or, if elements are records or arrays, a view of it. */
  get(index: number): Element;
  /** Writes the element at `index`. */
  set(index: number, value: Input): void;
  /** Copies all elements to a plain array. */
  toArray(): Value[];
  /** Writes all elements; `values` must have as many. An element that is refused ends it; the ones before it are written. */
  write(values: ArrayLike<Input> | ArrayView<unknown, Value>): void;
}

/** The members of {@link ArrayView} that need only the field. There is one subclass per field, see `elementsOf`. */
abstract class Elements implements ArrayView {
  // Neither private nor defined, only assigned: as in RecordView.
  declare readonly $field: ArrayField;
  declare readonly $memory: Memory;
  declare readonly $start: number;
  constructor(field: ArrayField, memory: Memory, start: number) {
    this.$field = field;
    this.$memory = memory;
    this.$start = start;
  }
  abstract get(index: number): unknown;
  abstract set(index: number, value: unknown): void;
  get length(): number {
    return this.$field.length;
  }
  toArray(): unknown[] {
    try {
      return this.$field.read(this.$memory, this.$start);
    } catch (error) {
      throw this.$memory.explain(error);
    }
  }
  write(values: unknown): void {
    try {
      this.$field.write(this.$memory, this.$start, values);
    } catch (error) {
      throw this.$memory.explain(error);
    }
  }
  *[Symbol.iterator](): Generator<unknown> {
    for (let i = 0; i < this.length; i++) yield this.get(i);
  }
  toJSON(): unknown[] {
    return this.toArray();
  }
  [inspect.custom](): unknown {
    return this.$memory.isOpen ? this.toArray() : '[closed]';
  }
}
type ElementsClass = new (field: ArrayField, memory: Memory, start: number) => Elements;

/** A class for one field: V8 sees `element` as a constant, and compiles get() and set() to its loads and stores. */
function elementsOf(element: Field, label: string, length: number): ElementsClass {
  const { size } = element;
  return class extends Elements {
    override get(index: number): unknown {
      if (!(index >= 0 && index < length && Number.isInteger(index))) throw badIndex(label, length, index);
      try {
        this.$memory.checkOpen();
        return element.live(this.$memory, this.$start + index * size);
      } catch (error) {
        throw this.$memory.explain(error);
      }
    }
    override set(index: number, value: unknown): void {
      if (!(index >= 0 && index < length && Number.isInteger(index))) throw badIndex(label, length, index);
      try {
        element.write(this.$memory, this.$start + index * size, value);
      } catch (error) {
        throw this.$memory.explain(error);
      }
    }
  };
}
function badIndex(label: string, length: number, index: unknown): Error {
  return typeof index === 'number'
    ? invalidArgument('ERR_OUT_OF_RANGE', `index of ${label}`, `a whole number from 0 to ${length - 1}`, index)
    : invalidArgument('ERR_INVALID_ARG_TYPE', `index of ${label}`, 'a number', index);
}

export class ArrayField extends Field {
  readonly element: Field;
  readonly length: number;
  readonly #elements: ElementsClass;
  constructor(label: string, element: Field, length: number) {
    const { size, alignment, atomicAlignment } = element;
    super(label, 'array', { size: size * length, alignment, atomicAlignment, isObject: true });
    this.element = element;
    this.length = length;
    this.#elements = elementsOf(element, label, length);
  }
  read(memory: Memory, at: number): unknown[] {
    const { element, length } = this;
    const { size } = element;
    const values = new Array<unknown>(length);
    for (let i = 0; i < length; i++) values[i] = element.read(memory, at + i * size);
    return values;
  }
  write(memory: Memory, at: number, value: unknown): void {
    const { element, length } = this;
    const { size } = element;
    const values = this.list(value);
    for (let i = 0; i < length; i++) element.write(memory, at + i * size, values[i]);
  }
  /** Accepts anything with a length and elements, except text, which is probably a mistake. */
  list(value: unknown): ArrayLike<unknown> {
    if (value === null || typeof value !== 'object') throw this.wrongType('an array', value);
    const values = value instanceof Elements ? value.toArray() : (value as ArrayLike<unknown>);
    const { length } = values;
    if (typeof length !== 'number') throw this.wrongType('an array', value);
    if (length !== this.length) throw this.outOfRange(`exactly ${this.length} elements`, length);
    return values;
  }
  override live(memory: Memory, at: number): ArrayView {
    return new this.#elements(this, memory, at);
  }
}
