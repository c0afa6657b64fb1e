/** `{ bytes: N }`: exactly N bytes without further meaning. */
import { Field } from './layout-field.js';
import type { Memory } from './layout-memory.js';

export class BytesField extends Field {
  constructor(label: string, size: number) {
    super(label, 'bytes', { size, alignment: 1, isObject: true });
  }
  read(memory: Memory, at: number): Uint8Array {
    memory.checkOpen();
    const copy = new Uint8Array(this.size);
    copy.set(memory.bytes.subarray(at, at + this.size));
    return copy;
  }
  write(memory: Memory, at: number, value: unknown): void {
    if (!(value instanceof Uint8Array)) throw this.wrongType('a Uint8Array', value);
    if (value.length !== this.size) {
      throw this.outOfRange(`exactly ${this.size} bytes (to change a part, use set() of the field)`, value.length);
    }
    memory.checkOpen();
    memory.bytes.set(value, at);
  }
  override live(memory: Memory, at: number): Uint8Array {
    return new Uint8Array(memory.bytes.buffer, at, this.size);
  }
}
