/** A Layout as a codec: the bytes of a C struct, nothing around them. */
import { createHash } from 'node:crypto';
import { Layout } from '../../memory/index.js';
import { type Memory, memoryOf } from '../../memory/layout-memory.js';
import { compile, type Program } from '../../memory/layout-program.js';
import { CorruptError } from '../../system/errors.js';
import type { Coder } from './coder.js';

export class RecordCoder implements Coder<unknown> {
  readonly name: string;
  /** Fields read each byte once. */
  readonly shared = true;
  readonly fixedLength: number;
  readonly #program: Program;
  /** What was encoded last. */
  readonly #bytes: Uint8Array;
  readonly #memory: Memory;
  /** What was encoded to last, and what was decoded from last. */
  #target: Uint8Array | undefined;
  #targetMemory: Memory;
  #source: Uint8Array | undefined;
  #sourceMemory: Memory;

  constructor(layout: Layout) {
    // Two layouts are the same if the same fields lie at the same places.
    const plan = layout.fields.map(({ name, offset, size, kind, type }) => [name, offset, size, kind, type]);
    this.name = `layout:${createHash('sha256').update(JSON.stringify(plan)).digest('hex').slice(0, 16)}`;
    const record = Layout.recordOf(layout);
    this.#program = compile(record) ?? record;
    this.fixedLength = layout.byteLength;
    this.#bytes = new Uint8Array(layout.byteLength);
    this.#memory = memoryOf(this.#bytes);
    this.#targetMemory = this.#sourceMemory = this.#memory;
  }
  encode(value: unknown): Uint8Array {
    this.#program.write(this.#memory, 0, value);
    return this.#bytes;
  }
  encodeInto(memory: Uint8Array, offset: number, value: unknown): void {
    if (memory !== this.#target) {
      this.#targetMemory = memoryOf(memory);
      this.#target = memory;
    }
    this.#program.write(this.#targetMemory, memory.byteOffset + offset, value);
  }
  decode(memory: Uint8Array, offset: number, length: number): unknown {
    if (length !== this.fixedLength) {
      throw new CorruptError(`a message of ${length} bytes, where the layout has ${this.fixedLength}`);
    }
    if (memory !== this.#source) {
      this.#sourceMemory = memoryOf(memory);
      this.#source = memory;
    }
    return this.#program.read(this.#sourceMemory, memory.byteOffset + offset);
  }
}
