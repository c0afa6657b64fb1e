/** A Layout as a codec: the bytes of a C struct, nothing around them. */
import { createHash } from 'node:crypto';
import type { Layout } from '../../memory/index.js';
import { CorruptError } from '../../system/errors.js';
import type { Coder } from './coder.js';
import { Scratch } from './scratch.js';

export class RecordCoder implements Coder<unknown> {
  readonly name: string;
  readonly shared = false;
  readonly #layout: Layout;
  readonly #scratch = new Scratch();
  constructor(layout: Layout) {
    this.#layout = layout;
    // Two layouts are the same if the same fields lie at the same places.
    const plan = layout.fields.map(({ name, offset, size, kind, type }) => [name, offset, size, kind, type]);
    this.name = `layout:${createHash('sha256').update(JSON.stringify(plan)).digest('hex').slice(0, 16)}`;
  }
  encode(value: unknown): Uint8Array {
    const { byteLength } = this.#layout;
    const memory = this.#scratch.room(byteLength);
    this.#layout.write(memory, 0, value as never);
    return this.#scratch.view(byteLength);
  }
  decode(memory: Uint8Array, offset: number, length: number): unknown {
    if (length !== this.#layout.byteLength) {
      throw new CorruptError(`a message of ${length} bytes, where the layout has ${this.#layout.byteLength}`);
    }
    return this.#layout.read(memory, offset);
  }
}
