/** A layout as a C declaration. */
import { checkOptions } from '../system/arguments.js';
import { invalidArgument } from '../system/errors.js';
import { ArrayField } from './layout-array.js';
import { AtomicField } from './layout-atomic.js';
import { BytesField } from './layout-bytes.js';
import type { Field } from './layout-field.js';
import { type Member, NestedField, type RecordField } from './layout-record.js';
import { TextField } from './layout-text.js';

const TYPES: Readonly<Record<string, string>> = {
  u8: 'uint8_t',
  i8: 'int8_t',
  u16: 'uint16_t',
  i16: 'int16_t',
  u32: 'uint32_t',
  i32: 'int32_t',
  u64: 'uint64_t',
  i64: 'int64_t',
  f32: 'float',
  f64: 'double',
  bool: 'bool',
};

/** The `#include` lines that the declaration needs. */
function includes(records: readonly RecordField[]): string {
  const fields = records.flatMap((record) => record.members.map((member) => innermost(member.field)));
  const headers = ['<assert.h>'];
  if (fields.some((field) => field instanceof AtomicField)) headers.push('<stdatomic.h>');
  if (fields.some((field) => field.kind === 'bool')) headers.push('<stdbool.h>');
  headers.push('<stdint.h>');
  return `${headers.map((header) => `#include ${header}\n`).join('')}\n`;
}
function innermost(field: Field): Field {
  return field instanceof ArrayField ? innermost(field.element) : field;
}

const OPTIONS = { includes: true } as const;
/** The declaration of `record` as `struct name`, after those of the records in it (`struct name_field`). */
export function toC(record: RecordField, name: unknown, options: { includes?: boolean } = {}): string {
  checkOptions('options', options, OPTIONS);
  if (typeof name !== 'string') throw invalidArgument('ERR_INVALID_ARG_TYPE', 'name', 'a string', name);
  if (!IDENTIFIER.test(name) || isReserved(name)) {
    const expected = 'a C identifier that is not a keyword or reserved name';
    throw invalidArgument('ERR_INVALID_ARG_VALUE', 'name', expected, name);
  }
  const tags = new Map<RecordField, string>();
  const used = new Set<string>([name]);
  const parts: string[] = [];
  // A record is declared before the one it is in, so the outermost gets its name first and its text last.
  const declare = (current: RecordField, tag: string): void => {
    tags.set(current, tag);
    const names = memberNames(current.members);
    for (const member of current.members) {
      const field = innermost(member.field);
      if (!(field instanceof NestedField) || tags.has(field.record)) continue;
      const inner = unused(`${tag}_${member.name}`, used);
      used.add(inner);
      declare(field.record, inner);
    }
    const lines = current.members.map((member, i) => line(member, names[i]!, tags));
    parts.push(
      `struct ${tag} {\n${lines.join('')}};\n` +
        `static_assert(sizeof(struct ${tag}) == ${current.size}, "struct ${tag} has another layout here");\n`,
    );
  };
  declare(record, name);
  return (options.includes === false ? '' : includes([...tags.keys()])) + parts.join('\n');
}
function line({ name, offset, field }: Member, cName: string, tags: ReadonlyMap<RecordField, string>): string {
  const notes = [`offset ${offset}`];
  if (cName !== name) notes.push(`"${name}" in TypeScript`);
  if (innermost(field) instanceof TextField) notes.push('UTF-8, padded with NUL; none if full');
  return `  ${declarator(field, cName, tags)}; /* ${notes.join('; ')} */\n`;
}
function declarator(field: Field, name: string, tags: ReadonlyMap<RecordField, string>): string {
  if (field instanceof ArrayField) return declarator(field.element, `${name}[${field.length}]`, tags);
  if (field instanceof NestedField) return `struct ${tags.get(field.record)} ${name}`;
  if (field instanceof AtomicField) return `_Atomic(${TYPES[field.of]}) ${name}`;
  if (field instanceof TextField) return `char ${name}[${field.size}]`;
  if (field instanceof BytesField) return `uint8_t ${name}[${field.size}]`;
  return `${TYPES[field.kind]} ${name}`;
}

/** The form of a C identifier. */
export const IDENTIFIER: RegExp = /^[A-Za-z_][A-Za-z0-9_]*$/;
// Up to C23 and C++23, for headers that both include; and what compilers for Linux define as macros by default.
const RESERVED = new Set(
  `alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class co_await
  co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete do double
  dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace new noexcept
  not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires restrict return short signed
  sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename
  typeof typeof_unqual union unsigned using virtual void volatile wchar_t while xor xor_eq
  linux unix i386 NULL assert offsetof unreachable`.split(/\s+/),
);
/** Includes names that C reserves for the compiler, and the macros of the headers above. */
function isReserved(name: string): boolean {
  return (
    RESERVED.has(name) ||
    /^_[_A-Z]/.test(name) ||
    /^(ATOMIC|U?INT(8|16|32|64|MAX|PTR|_)|PTRDIFF|SIG_ATOMIC|SIZE|WCHAR|WINT)/.test(name)
  );
}
/** The names of the members in C, in order: their own, with `_` appended where C uses the name otherwise. */
export function memberNames(members: readonly Pick<Member, 'name'>[]): string[] {
  const used = new Set(members.map(({ name }) => name));
  return members.map(({ name }) => {
    if (!isReserved(name)) return name;
    const free = unused(`${name}_`, used);
    used.add(free);
    return free;
  });
}
function unused(name: string, used: ReadonlySet<string>): string {
  while (used.has(name)) name += '_';
  return name;
}
