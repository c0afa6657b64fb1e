/** What the fields of a layout are in TypeScript. */

import type { Layout } from './layout.js';
import type { ArrayView } from './layout-array.js';
import type { AtomicInteger, AtomicKind } from './layout-atomic.js';

type NumberKind = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'f64';
type BigKind = 'u64' | 'i64';

/** How a field is stored; each is one C type. */
export type FieldType =
  | NumberKind
  | BigKind
  | 'bool'
  /** Text of at most this many bytes, padded with NUL. */
  | { readonly utf8: number }
  /** Exactly this many bytes. */
  | { readonly bytes: number }
  /** An integer that several processes may change at the same time. */
  | { readonly atomic: AtomicKind }
  /** Equal elements of any kind, arrays and layouts too. */
  | { readonly array: FieldType; readonly length: number }
  | Layout;
/** The fields of a layout by name, in the order in which they lie in memory. */
export interface LayoutFields {
  readonly [name: string]: FieldType;
}

type AtomicValue<Kind> = Kind extends BigKind ? bigint : number;
/** What `read` gives for a field: a plain value, a copy. */
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
/** What `write` takes for a field: what `read` gives, any array-like for an array, or the object that a view has there. */
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

/** A record as `read` gives it. */
export type LayoutValue<Fields> = { -readonly [Name in keyof Fields]: FieldValue<Fields[Name]> };
/** A record as `write` takes it; a view is one too. */
export type LayoutInput<Fields> = { readonly [Name in keyof Fields]: FieldInput<Fields[Name]> };
/** A record in shared memory, as `at` gives it. */
export type LayoutView<Fields> = { -readonly [Name in keyof Fields]: FieldView<Fields[Name]> };

/** The plain record of a layout: `type Trade = RecordOf<typeof trade>`. */
export type RecordOf<L> = L extends Layout<infer Fields> ? LayoutValue<Fields> : never;
/** The view of a layout: `function price(trade: ViewOf<typeof trade>)`. */
export type ViewOf<L> = L extends Layout<infer Fields> ? LayoutView<Fields> : never;
