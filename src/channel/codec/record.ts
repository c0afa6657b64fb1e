/** A Layout as a codec: the bytes of a C struct, and nothing else. */
import { createHash } from 'node:crypto';
import { Layout } from '../../memory/index.js';
import { ArrayField } from '../../memory/layout-array.js';
import type { Field } from '../../memory/layout-field.js';
import { type Memory, memoryOf } from '../../memory/layout-memory.js';
import { compile, type Program } from '../../memory/layout-program.js';
import { NestedField, RecordField } from '../../memory/layout-record.js';
import { CorruptError } from '../../system/errors.js';
import type { Coder } from './coder.js';
import { element, property, Refusal } from './refusal.js';

export class RecordCoder implements Coder<unknown> {
  readonly name: string;
  /** Fields read each byte once. */
  readonly shared = true;
  readonly fixedLength: number;
  readonly #record: RecordField;
  readonly #program: Program;
  /** The last encoded value. */
  readonly #bytes: Uint8Array;
  readonly #memory: Memory;
  /** The last destination of an encoding, and the last source of a decoding. */
  #target: Uint8Array | undefined;
  #targetMemory: Memory;
  #source: Uint8Array | undefined;
  #sourceMemory: Memory;

  constructor(layout: Layout) {
    // Two layouts are the same if the same fields have the same offsets.
    const plan = layout.fields.map(({ name, offset, size, kind, type }) => [name, offset, size, kind, type]);
    this.name = `layout:${createHash('sha256').update(JSON.stringify(plan)).digest('hex').slice(0, 16)}`;
    const record = Layout.recordOf(layout);
    this.#record = record;
    this.#program = compile(record) ?? record;
    this.fixedLength = layout.byteLength;
    this.#bytes = new Uint8Array(layout.byteLength);
    this.#memory = memoryOf(this.#bytes);
    this.#targetMemory = this.#sourceMemory = this.#memory;
  }
  encode(value: unknown): Uint8Array {
    this.#write(this.#memory, 0, value);
    return this.#bytes;
  }
  encodeInto(memory: Uint8Array, offset: number, value: unknown): void {
    if (memory !== this.#target) {
      this.#targetMemory = memoryOf(memory);
      this.#target = memory;
    }
    this.#write(this.#targetMemory, memory.byteOffset + offset, value);
  }
  #write(memory: Memory, at: number, value: unknown): void {
    try {
      this.#program.write(memory, at, value);
    } catch (error) {
      if (!isBadArgument(error)) throw error; // of a getter
      throw blame(this.#record, value, error).toError('this layout', value);
    }
  }
  decode(memory: Uint8Array, offset: number, length: number): unknown {
    if (length !== this.fixedLength) {
      throw new CorruptError(`the message has ${length} bytes, but the layout has ${this.fixedLength}`);
    }
    if (memory !== this.#source) {
      this.#sourceMemory = memoryOf(memory);
      this.#source = memory;
    }
    return this.#program.read(this.#sourceMemory, memory.byteOffset + offset);
  }
}

function isBadArgument(error: unknown): error is Error & { code: string } {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return code === 'ERR_INVALID_ARG_TYPE' || code === 'ERR_INVALID_ARG_VALUE' || code === 'ERR_OUT_OF_RANGE';
}
/** Which field was refused: encodes each one again, separately, into private memory. */
function blame(field: Field, value: unknown, error: Error): Refusal {
  for (const [step, inner, part] of members(field, value)) {
    try {
      inner.write(memoryOf(new Uint8Array(inner.size)), 0, part);
    } catch (again) {
      if (isBadArgument(again)) return blame(inner, part, again).within(step);
    }
  }
  return new Refusal(error.message, error);
}
function* members(field: Field, value: unknown): Generator<[string, Field, unknown]> {
  if (typeof value !== 'object' || value === null) return;
  if (field instanceof NestedField) yield* members(field.record, value);
  else if (field instanceof RecordField) {
    for (const { name, field: inner } of field.members) {
      yield [property(name), inner, (value as Record<string, unknown>)[name]];
    }
  } else if (field instanceof ArrayField && (value as ArrayLike<unknown>).length === field.length) {
    for (let i = 0; i < field.length; i++) {
      yield [element(i), field.element, (value as ArrayLike<unknown>)[i]];
    }
  }
}
