/** `{ atomic: 'u32' }`: an integer that several processes can change at the same time, C's `_Atomic(uint32_t)`. */
import { inspect } from 'node:util';
import { Field } from './layout-field.js';
import type { Memory } from './layout-memory.js';
import { SCALARS } from './layout-numbers.js';

/** The kinds of atomic fields: 32 or 64 bits, signed or not. */
export type AtomicKind = 'i32' | 'u32' | 'i64' | 'u64';
/** One of the four arrays over the whole memory. The kind decides its element type, which the compiler cannot follow. */
type Cells = Int32Array;

/**
 * One integer in shared memory, with the operations of `Atomics`: sequentially consistent, and atomic across processes and languages. A
 * result that does not fit wraps around, as in C; an operand that does not fit is a `RangeError`. All operations throw `ClosedError` once
 * the memory is closed.
 *
 * @example
 * ```ts
 * import { layout } from 'vecino';
 *
 * const { hits } = layout({ hits: { atomic: 'u32' } }).at(new ArrayBuffer(4));
 * console.log(hits.add(1)); // 0
 * console.log(hits.load()); // 1
 * ```
 */
export class AtomicInteger<Value extends number | bigint = number | bigint> {
  readonly #field: AtomicField;
  readonly #memory: Memory;
  readonly #cells: Cells;
  readonly #index: number;

  /** Created by the accessors of a layout. */
  constructor(field: AtomicField, memory: Memory, at: number) {
    this.#field = field;
    this.#memory = memory;
    this.#cells = field.cells(memory);
    this.#index = at / field.size;
  }
  #operand(value: Value): number {
    this.#memory.checkOpen();
    return this.#field.operand(value);
  }
  /** Reads the value. */
  load(): Value {
    this.#memory.checkOpen();
    return Atomics.load(this.#cells, this.#index) as Value;
  }
  /** Stores `value`. */
  store(value: Value): void {
    Atomics.store(this.#cells, this.#index, this.#operand(value));
  }
  /** Stores `value` and returns the previous value. */
  exchange(value: Value): Value {
    return Atomics.exchange(this.#cells, this.#index, this.#operand(value)) as Value;
  }
  /** Stores `replacement` if the value is `expected`. Returns the previous value: if that is `expected`, the replacement was stored. */
  compareExchange(expected: Value, replacement: Value): Value {
    const old = this.#operand(expected);
    return Atomics.compareExchange(this.#cells, this.#index, old, this.#operand(replacement)) as Value;
  }
  /** Adds `value` and returns the previous value. */
  add(value: Value): Value {
    return Atomics.add(this.#cells, this.#index, this.#operand(value)) as Value;
  }
  /** Subtracts `value` and returns the previous value. */
  sub(value: Value): Value {
    return Atomics.sub(this.#cells, this.#index, this.#operand(value)) as Value;
  }
  /** Keeps only the bits that are set in `value`, and returns the previous value. */
  and(value: Value): Value {
    return Atomics.and(this.#cells, this.#index, this.#operand(value)) as Value;
  }
  /** Sets the bits of `value` and returns the previous value. */
  or(value: Value): Value {
    return Atomics.or(this.#cells, this.#index, this.#operand(value)) as Value;
  }
  /** Flips the bits of `value` and returns the previous value. */
  xor(value: Value): Value {
    return Atomics.xor(this.#cells, this.#index, this.#operand(value)) as Value;
  }
  /** As {@link load}; a `bigint` makes `JSON.stringify` throw. */
  toJSON(): Value {
    return this.load();
  }
  [inspect.custom](): unknown {
    return this.#memory.isOpen ? this.load() : '[closed]';
  }
}

const cells = {
  i32: (memory: Memory) => memory.i32,
  u32: (memory: Memory) => memory.u32,
  i64: (memory: Memory) => memory.i64,
  u64: (memory: Memory) => memory.u64,
};
export const ATOMIC_KINDS = Object.keys(cells) as readonly AtomicKind[];

export class AtomicField extends Field {
  readonly of: AtomicKind;
  readonly #number: InstanceType<(typeof SCALARS)[AtomicKind]>;
  readonly #cells: (typeof cells)[AtomicKind];
  constructor(label: string, of: AtomicKind) {
    const number = new SCALARS[of](label);
    const { size } = number;
    super(label, 'atomic', { size, alignment: size, atomicAlignment: size, isObject: true });
    this.of = of;
    this.#number = number;
    this.#cells = cells[of];
  }
  cells(memory: Memory): Cells {
    return this.#cells(memory) as Cells;
  }
  /** `value`, if the field can hold it. */
  operand(value: unknown): number {
    if (!this.#number.fits(value)) throw this.#number.refuse(value);
    return value as number;
  }
  read(memory: Memory, at: number): number | bigint {
    memory.checkOpen();
    return Atomics.load(this.cells(memory), at / this.size);
  }
  write(memory: Memory, at: number, value: unknown): void {
    const operand = this.operand(value instanceof AtomicInteger ? value.load() : value);
    memory.checkOpen();
    Atomics.store(this.cells(memory), at / this.size, operand);
  }
  override live(memory: Memory, at: number): AtomicInteger {
    return new AtomicInteger(this, memory, at);
  }
}
