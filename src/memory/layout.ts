/** Records in shared memory, laid out as a C compiler lays out a struct. */
import { checkInteger } from '../system/arguments.js';
import { invalidArgument } from '../system/errors.js';
import { ArrayField, type ArrayView } from './layout-array.js';
import { ATOMIC_KINDS, AtomicField, type AtomicInteger, type AtomicKind } from './layout-atomic.js';
import { BytesField } from './layout-bytes.js';
import { IDENTIFIER, toC } from './layout-c.js';
import type { Field } from './layout-field.js';
import { type LayoutMemory, memoryOf, place } from './layout-memory.js';
import { SCALARS } from './layout-numbers.js';
import { NestedField, RecordField } from './layout-record.js';
import { TextField } from './layout-text.js';

/** The largest size of a field and of a layout, in bytes. */
const MAX_SIZE = 0x7fffffff;

/** Where a field lies. */
export interface LayoutField {
  /** The name passed to {@link layout}. */
  readonly name: string;
  /** Bytes from the start of the record. */
  readonly offset: number;
  /** Size in bytes. */
  readonly size: number;
  /** Alignment in bytes: its offset is a multiple of this. */
  readonly alignment: number;
  /** `'u32'` and its like, `'bool'`, `'utf8'`, `'bytes'`, `'atomic'`, `'array'` or `'layout'`. */
  readonly kind: string;
  /** The type passed to {@link layout}. */
  readonly type: FieldType;
}

/** The description of a record; created by {@link layout}. */
export class Layout<Fields extends LayoutFields = LayoutFields> {
  /** The size of a record in bytes, with its padding: C's `sizeof`. */
  readonly byteLength: number;
  /** The alignment of a record in bytes: C's `alignof`. */
  readonly alignment: number;
  /** The fields, in the order given. */
  readonly fields: readonly LayoutField[];
  readonly #record: RecordField;

  constructor(fields: Fields) {
    const types = checkFields(fields);
    const record = new RecordField(
      'value',
      types.map(([name, type]) => ({ name, field: fieldOf(name, type) })),
    );
    checkSize('a layout', record.size);
    this.#record = record;
    this.byteLength = record.size;
    this.alignment = record.alignment;
    this.fields = Object.freeze(
      record.members.map(({ name, offset, field: { size, alignment, kind } }, i) =>
        Object.freeze({ name, offset, size, alignment, kind, type: types[i]![1] }),
      ),
    );
    Object.freeze(this);
  }

  /**
   * The record at `offset` of `memory`, as an object that reads and writes the memory itself. Nothing is copied, and you see what another
   * process writes at the next access. Plain fields are neither atomic nor ordered between processes: use a lock, or `{ atomic }` fields.
   * Once the memory is closed, every access throws `ClosedError`.
   *
   * @param offset bytes, a multiple of {@link alignment}; default 0. With atomic fields in a `Uint8Array`, its own `byteOffset` counts too.
   * @throws RangeError `ERR_OUT_OF_RANGE` if the record does not fit there
   *
   * @example
   * ```ts
   * import { layout } from 'vecino';
   *
   * const point = layout({ x: 'f64', y: 'f64' });
   * const memory = new ArrayBuffer(1024);
   * point.at(memory, 16).x = 1.5;
   * console.log(point.at(memory, 16).x); // 1.5
   * ```
   */
  at(memory: LayoutMemory, offset = 0): LayoutView<Fields> {
    const views = memoryOf(memory);
    return this.#record.live(views, place(views, memory, offset, this.#record)) as unknown as LayoutView<Fields>;
  }
  /** Copies the record at `offset` of `memory` (see {@link at}) to a plain object. */
  read(memory: LayoutMemory, offset = 0): LayoutValue<Fields> {
    const views = memoryOf(memory);
    const start = place(views, memory, offset, this.#record);
    try {
      return this.#record.read(views, start) as LayoutValue<Fields>;
    } catch (error) {
      throw views.explain(error);
    }
  }
  /**
   * Writes all fields of `value` to the record at `offset` of `memory` (see {@link at}), in order. Padding stays as it is. If a field is
   * missing or refused, it throws a `TypeError` or `RangeError`; the fields before it are written.
   */
  write(memory: LayoutMemory, offset: number, value: LayoutInput<Fields> | LayoutValue<Fields>): void {
    const views = memoryOf(memory);
    const start = place(views, memory, offset, this.#record);
    try {
      this.#record.write(views, start, value);
    } catch (error) {
      throw views.explain(error);
    }
  }
  /**
   * The record as `struct name` for C11 and C++23: a part of a header that compiles as it is. Layouts in it become structs of their own,
   * `struct name_field`, before it. A field whose name C or C++ reserves gets `_` appended. The header does not compile where the struct
   * would have another layout.
   *
   * @param options `includes: false` leaves out the `#include` lines, for the second layout in a header; the header then needs
   * `<assert.h>`, `<stdatomic.h>`, `<stdbool.h>` and `<stdint.h>`.
   *
   * @example
   * ```ts
   * import { layout } from 'vecino';
   *
   * console.log(layout({ hits: 'u32' }).toC('counter').includes('uint32_t hits;')); // true
   * ```
   */
  toC(name: string, options?: { includes?: boolean }): string {
    return toC(this.#record, name, options);
  }
  /** The record of a layout that is used as a field. */
  static recordOf(layout: Layout): RecordField {
    return layout.#record;
  }
}

/**
 * Describes a record, laid out as a C compiler does on x86-64 and arm64. Fields lie in the order in which you write them:
 *
 * | type | in TypeScript | in C |
 * |---|---|---|
 * | `'u8' 'i8' 'u16' 'i16' 'u32' 'i32'` | number | `uint8_t` … |
 * | `'u64' 'i64'` | bigint | `uint64_t` … |
 * | `'f32' 'f64'` | number | `float`, `double` |
 * | `'bool'` | boolean | `bool` |
 * | `{ utf8: 32 }` | string | `char[32]`, padded with NUL |
 * | `{ bytes: 16 }` | Uint8Array | `uint8_t[16]` |
 * | `{ atomic: 'u32' }` (or i32, u64, i64) | {@link AtomicInteger} | `_Atomic(uint32_t)` |
 * | `{ array: 'u32', length: 8 }` | {@link ArrayView} | `uint32_t[8]` |
 * | a layout | its view | a struct |
 *
 * Names are C identifiers. A value that a field cannot hold exactly (300 in a u8, a text that is too long) causes a `RangeError` or
 * `TypeError` with the name of the field, and the field keeps its value. Only f32 rounds.
 *
 * @throws TypeError, RangeError for fields that the table does not list, for no fields, or for more than 2 GiB
 *
 * @example
 * ```ts
 * import { layout } from 'vecino';
 *
 * const trade = layout({ count: 'u32', price: 'f64', name: { utf8: 32 } });
 * const memory = new ArrayBuffer(trade.byteLength); // or a SharedMemory
 * trade.write(memory, 0, { count: 3, price: 9.5, name: 'ACME' });
 * trade.at(memory).price += 0.5;
 * console.log(trade.read(memory)); // { count: 3, price: 10, name: 'ACME' }
 * ```
 */
export function layout<const Fields extends LayoutFields>(fields: Fields): Layout<Fields> {
  return new Layout(fields);
}

function checkFields(fields: unknown): [string, FieldType][] {
  if (fields === null || typeof fields !== 'object' || Array.isArray(fields)) {
    throw invalidArgument('ERR_INVALID_ARG_TYPE', 'fields', 'an object with a type for each field', fields);
  }
  const entries = Object.entries(fields);
  if (entries.length === 0) throw invalidArgument('ERR_INVALID_ARG_VALUE', 'fields', 'at least one field', fields);
  for (const [name] of entries) {
    if (!IDENTIFIER.test(name) || name === '__proto__') {
      const expected = 'C identifiers (letters, digits and _, no digit first), not __proto__';
      throw invalidArgument('ERR_INVALID_ARG_VALUE', 'names of fields', expected, name);
    }
  }
  return entries;
}

function fieldOf(name: string, type: FieldType): Field {
  const label = `field '${name}'`;
  if (typeof type === 'string' && Object.hasOwn(SCALARS, type)) return new SCALARS[type](label);
  if (type instanceof Layout) return new NestedField(label, Layout.recordOf(type));
  if (type !== null && typeof type === 'object') {
    const given: Partial<Record<string, unknown>> = { ...type };
    switch (Object.keys(given).sort().join()) {
      case 'utf8':
        return new TextField(label, checkInteger(`utf8 of ${label}`, given['utf8'], 1, MAX_SIZE));
      case 'bytes':
        return new BytesField(label, checkInteger(`bytes of ${label}`, given['bytes'], 1, MAX_SIZE));
      case 'atomic': {
        const kind = given['atomic'] as AtomicKind;
        if (ATOMIC_KINDS.includes(kind)) return new AtomicField(label, kind);
        throw invalidArgument('ERR_INVALID_ARG_VALUE', `atomic of ${label}`, `one of ${ATOMIC_KINDS.join(', ')}`, kind);
      }
      case 'array,length': {
        const element = fieldOf(`${name}[]`, given['array'] as FieldType);
        const length = checkInteger(`length of ${label}`, given['length'], 1, MAX_SIZE);
        checkSize(label, element.size * length);
        return new ArrayField(label, element, length);
      }
    }
  }
  const expected = `one of ${Object.keys(SCALARS).join(', ')}, { utf8 }, { bytes }, { atomic }, { array, length } or a layout`;
  throw invalidArgument('ERR_INVALID_ARG_VALUE', label, expected, type);
}
function checkSize(what: string, size: number): void {
  if (size > MAX_SIZE)
    throw invalidArgument('ERR_OUT_OF_RANGE', `the size of ${what}`, `at most ${MAX_SIZE} bytes`, size);
}

// The TypeScript types of a layout's fields. They refer to Layout and it refers to them, so they are in one file.

type NumberKind = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'f64';
type BigKind = 'u64' | 'i64';

/** The type of a field; each is one C type. */
export type FieldType =
  | NumberKind
  | BigKind
  | 'bool'
  /** Text of at most this many bytes, padded with NUL. */
  | { readonly utf8: number }
  /** Exactly this many bytes. */
  | { readonly bytes: number }
  /** An integer that several processes can change at the same time. */
  | { readonly atomic: AtomicKind }
  /** Equal elements of any kind, arrays and layouts too. */
  | { readonly array: FieldType; readonly length: number }
  | Layout;
/** The fields of a layout by name, in the order in which they lie in memory. */
export interface LayoutFields {
  readonly [name: string]: FieldType;
}

type AtomicValue<Kind> = Kind extends BigKind ? bigint : number;
/** What `read` returns for a field: a plain value, a copy. */
export type FieldValue<Type> = Type extends NumberKind
  ? number
  : Type extends BigKind
    ? bigint
    : Type extends 'bool'
      ? boolean
      : Type extends { readonly utf8: number }
        ? string
        : Type extends { readonly bytes: number }
          ? Uint8Array
          : Type extends { readonly atomic: infer Kind }
            ? AtomicValue<Kind>
            : Type extends { readonly array: infer Element }
              ? FieldValue<Element>[]
              : Type extends Layout<infer Fields>
                ? LayoutValue<Fields>
                : never;
/** What `write` accepts for a field: what `read` returns, any array-like for an array, or the object that a view has there. */
export type FieldInput<Type> = Type extends { readonly atomic: infer Kind }
  ? AtomicValue<Kind> | AtomicInteger<AtomicValue<Kind>>
  : Type extends { readonly array: infer Element }
    ? ArrayLike<FieldInput<Element>> | ArrayView<unknown, FieldValue<Element>, never>
    : Type extends Layout<infer Fields>
      ? LayoutInput<Fields>
      : FieldValue<Type>;
/** What a view has for a field: a value, or an object over the memory. */
export type FieldView<Type> = Type extends { readonly atomic: infer Kind }
  ? AtomicInteger<AtomicValue<Kind>>
  : Type extends { readonly array: infer Element }
    ? ArrayView<FieldView<Element>, FieldValue<Element>, FieldInput<Element>>
    : Type extends Layout<infer Fields>
      ? LayoutView<Fields>
      : FieldValue<Type>;

/** A record as `read` returns it. */
export type LayoutValue<Fields> = { -readonly [Name in keyof Fields]: FieldValue<Fields[Name]> };
/** A record as `write` accepts it; a view is one too. */
export type LayoutInput<Fields> = { readonly [Name in keyof Fields]: FieldInput<Fields[Name]> };
/** A record in shared memory, as `at` returns it. */
export type LayoutView<Fields> = { -readonly [Name in keyof Fields]: FieldView<Fields[Name]> };

/** The plain record of a layout: `type Trade = RecordOf<typeof trade>`. */
export type RecordOf<L> = L extends Layout<infer Fields> ? LayoutValue<Fields> : never;
/** The view of a layout: `function price(trade: ViewOf<typeof trade>)`. */
export type ViewOf<L> = L extends Layout<infer Fields> ? LayoutView<Fields> : never;
