/**
 * Reads and writes a record with two functions generated for it, several times as fast as field by field: V8 sees every offset as a
 * constant and creates each object at once, and repeated texts are found in a cache. For channels, which carry one layout all the time.
 *
 * The only names that get into the code are those of fields, which are C identifiers other than `__proto__` (layout.ts). Where code
 * generation from strings is forbidden (`--disallow-code-generation-from-strings`), the record itself does the work.
 */

import { LITTLE_ENDIAN } from '../system/bytes.js';
import { ArrayField } from './layout-array.js';
import type { Field } from './layout-field.js';
import type { Memory } from './layout-memory.js';
import { NestedField, RecordField } from './layout-record.js';
import { TextField } from './layout-text.js';
import { FACTOR, MAX_CACHED_BYTES, SHIFT, SLOTS, TextCache } from './layout-text-cache.js';

/** As the methods of {@link RecordField}. Each byte is read once, and copied to private memory before it is used. */
export interface Program {
  read(memory: Memory, at: number): unknown;
  write(memory: Memory, at: number, value: unknown): void;
}

/** The most fields, elements and inner fields included, for which a function is worth its compilation. */
const MAX_COMPILED_FIELDS = 100;

export function compile(record: RecordField): Program | undefined {
  if (leaves(record) > MAX_COMPILED_FIELDS) return undefined;
  try {
    return { read: new Reader().compile(record), write: new Writer().compile(record) };
  } catch (error) {
    if (error instanceof EvalError) return undefined;
    throw error;
  }
}
function leaves(field: Field): number {
  if (field instanceof NestedField) return leaves(field.record);
  if (field instanceof RecordField) return field.members.reduce((sum, member) => sum + leaves(member.field), 0);
  return field instanceof ArrayField ? field.length * leaves(field.element) : 1;
}
const isCached = (field: Field): field is TextField =>
  field instanceof TextField && field.size % 4 === 0 && field.size <= MAX_CACHED_BYTES;

/** Common to both: statements that refer to objects by name. */
class Code {
  readonly #names: string[] = [];
  readonly #objects: unknown[] = [];
  readonly #known = new Map<unknown, string>();
  readonly #caches = new Map<TextField, TextCache>();
  readonly lines: string[] = ['const { data } = memory;', 'let slot = 0;'];
  #variables = 0;

  /** A name for an object; the same object gets the same name. */
  name(object: unknown, prefix: string): string {
    const known = this.#known.get(object);
    if (known !== undefined) return known;
    const name = `${prefix}${this.#objects.length}`;
    this.#known.set(object, name);
    this.#names.push(name);
    this.#objects.push(object);
    return name;
  }
  /** The names of a field's cache, of its words and of its texts. */
  cacheOf(field: TextField): { cache: string; seen: string; texts: string } {
    let cache = this.#caches.get(field);
    if (cache === undefined) this.#caches.set(field, (cache = new TextCache(field)));
    return {
      cache: this.name(cache, 'cache'),
      seen: this.name(cache.words, 'words'),
      texts: this.name(cache.texts, 'texts'),
    };
  }
  variable(): string {
    return `v${this.#variables++}`;
  }
  make<F>(parameters: string): F {
    const body = `'use strict'; return (${parameters}) => {\n${this.lines.join('\n')}\n};`;
    return new Function(...this.#names, body)(...this.#objects) as F;
  }
}

class Reader {
  readonly #code = new Code();

  compile(record: RecordField): Program['read'] {
    this.#code.lines.push(`return ${this.#record(record, 0)};`);
    return this.#code.make('memory, at');
  }
  /** An expression; the lines before it compute what it needs. */
  #value(field: Field, offset: number): string {
    if (field instanceof NestedField) return this.#record(field.record, offset);
    if (field instanceof ArrayField) {
      const { element, length } = field;
      return `[${Array.from({ length }, (_, i) => this.#value(element, offset + i * element.size)).join(', ')}]`;
    }
    if (isCached(field)) return this.#text(field, offset);
    return `${this.#code.name(field, 'field')}.read(memory, at + ${offset})`;
  }
  #record({ members }: RecordField, offset: number): string {
    return `{ ${members.map(({ name, offset: inner, field }) => `${name}: ${this.#value(field, offset + inner)}`).join(', ')} }`;
  }
  #text(field: TextField, offset: number): string {
    const code = this.#code;
    const { cache, seen, texts } = code.cacheOf(field);
    const words = Array.from({ length: field.size >> 2 }, () => code.variable());
    words.forEach((word, i) => {
      code.lines.push(`const ${word} = data.getInt32(at + ${offset + 4 * i}, ${LITTLE_ENDIAN});`);
    });
    const hash = words.reduce((sum, word) => (sum === '' ? word : `Math.imul(${sum}, ${FACTOR}) ^ ${word}`), '');
    const same = words.map((word, i) => `${seen}[slot * ${words.length} + ${i}] === ${word}`);
    const text = code.variable();
    code.lines.push(
      `slot = Math.imul(${hash}, ${FACTOR}) >>> ${SHIFT};`,
      `const ${text} = ${same.join(' && ')} ? ${texts}[slot]`,
      `  : ${cache}.decode(slot, ${words.join(', ')});`,
    );
    return text;
  }
}
class Writer {
  readonly #code = new Code();

  compile(record: RecordField): Program['write'] {
    this.#record(record, this.#code.name(record, 'record'), 'value', 0);
    return this.#code.make('memory, at, value');
  }
  /** @param value a variable */
  #value(field: Field, value: string, offset: number): void {
    const code = this.#code;
    const name = code.name(field, 'field');
    if (field instanceof NestedField) this.#record(field.record, name, value, offset);
    else if (field instanceof ArrayField) {
      const list = code.variable();
      code.lines.push(`const ${list} = ${name}.list(${value});`);
      for (let i = 0; i < field.length; i++)
        this.#property(field.element, list, `[${i}]`, offset + i * field.element.size);
    } else if (isCached(field)) this.#text(field, value, offset);
    else code.lines.push(`${name}.write(memory, at + ${offset}, ${value});`);
  }
  #record({ members }: RecordField, checker: string, value: string, offset: number): void {
    this.#code.lines.push(`if (${value} === null || typeof ${value} !== 'object') throw ${checker}.refuse(${value});`);
    for (const { name, offset: inner, field } of members) this.#property(field, value, `.${name}`, offset + inner);
  }
  #property(field: Field, owner: string, property: string, offset: number): void {
    const value = this.#code.variable();
    this.#code.lines.push(`const ${value} = ${owner}${property};`);
    this.#value(field, value, offset);
  }
  #text(field: TextField, value: string, offset: number): void {
    const code = this.#code;
    const { cache, seen, texts } = code.cacheOf(field);
    const count = field.size >> 2;
    const slot = `(${value}.length * 37 + ${value}.charCodeAt(0) * 7 + ${value}.charCodeAt(${value}.length - 1)) & ${SLOTS - 1}`;
    code.lines.push(
      // For an empty text the codes are NaN, which is 0 here.
      `if (typeof ${value} === 'string' && ${texts}[slot = ${slot}] === ${value}) {`,
      ...Array.from(
        { length: count },
        (_, i) => `data.setInt32(at + ${offset + 4 * i}, ${seen}[slot * ${count} + ${i}], ${LITTLE_ENDIAN});`,
      ),
      `} else ${cache}.encode(slot, memory, at + ${offset}, ${value});`,
    );
  }
}
