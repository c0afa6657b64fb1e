/** The codecs that need no library: bytes, text, JSON and V8's structured clone. */
import { DefaultSerializer, deserialize } from 'node:v8';
import { checkBytes } from '../../system/arguments.js';
import { checkJson, StructuredCheck } from './check.js';
import type { Coder } from './coder.js';
import { Pool } from './pool.js';
import { parts, Refusal } from './refusal.js';
import { Scratch } from './scratch.js';
import { isWellFormed, utf8Slice } from './utf8.js';

/** `Uint8Array`s as they are. What arrives is a copy. */
export class BytesCoder implements Coder<Uint8Array> {
  readonly name = 'bytes';
  readonly shared = true;
  readonly verbatim = true;
  readonly #pool = new Pool();
  encode(value: Uint8Array): Uint8Array {
    // The fast path first: the check is a call or two.
    return value instanceof Uint8Array && value.length > 0 ? value : this.#checked(value);
  }
  #checked(value: Uint8Array): Uint8Array {
    try {
      return checkBytes('value', value);
    } catch (error) {
      throw new Refusal('it must be a Uint8Array whose buffer is not detached', error).toError(this.name, value);
    }
  }
  decode(memory: Uint8Array, offset: number, length: number): Uint8Array {
    return this.#pool.copy(memory, offset, length);
  }
}
/** Strings, as UTF-8. */
export class TextCoder implements Coder<string> {
  readonly name: string = 'text';
  readonly shared = false;
  readonly #scratch = new Scratch();
  encode(value: string): Uint8Array {
    if (typeof value !== 'string') throw new Refusal('it must be a string').toError(this.name, value);
    const bytes = this.#scratch.text(value);
    // A lone surrogate has become U+FFFD. ASCII, with as many bytes as characters, has none.
    if (bytes.length !== value.length && !isWellFormed.call(value)) {
      throw new Refusal('it contains a lone surrogate, which UTF-8 cannot encode').toError(this.name, value);
    }
    return bytes;
  }
  decode(memory: Uint8Array, offset: number, length: number): string {
    return utf8Slice.call(memory, offset, offset + length);
  }
}
/** JSON's values. What `JSON.stringify` would leave out or change is refused. */
export class JsonCoder implements Coder<unknown> {
  readonly name = 'json';
  readonly shared = false;
  readonly #text = new TextCoder();
  encode(value: unknown): Uint8Array {
    try {
      checkJson(value);
    } catch (error) {
      throw error instanceof Refusal ? error.toError(this.name, value) : error;
    }
    return this.#text.encode(JSON.stringify(value));
  }
  decode(memory: Uint8Array, offset: number, length: number): unknown {
    return JSON.parse(this.#text.decode(memory, offset, length));
  }
}
/** V8's structured clone. Both sides should run the same version of Node. */
export class StructuredCoder implements Coder<unknown> {
  readonly name = 'structured';
  readonly shared = false;
  encode(value: unknown): Uint8Array {
    try {
      new StructuredCheck().check(value);
      return serialize(value);
    } catch (error) {
      throw error instanceof Refusal ? error.toError(this.name, value) : error;
    }
  }
  decode(memory: Uint8Array, offset: number, length: number): unknown {
    // A private copy: typed arrays in the value are views of the memory that they were read from.
    return deserialize(memory.slice(offset, offset + length));
  }
}

/** As `v8.serialize`, with errors that differ from those of the value's own getters. */
class Serializer extends DefaultSerializer {
  _getDataCloneError(message: string): Error {
    return new CloneError(message);
  }
}
class CloneError extends Error {}

function serialize(value: unknown): Uint8Array {
  const serializer = new Serializer();
  serializer.writeHeader();
  try {
    serializer.writeValue(value);
  } catch (error) {
    throw error instanceof CloneError ? blame(value, error, new Set()) : error;
  }
  return serializer.releaseBuffer();
}
/** V8 does not say which part of a value it refuses. */
function blame(value: unknown, error: CloneError, seen: Set<unknown>): Refusal {
  seen.add(value);
  if (typeof value === 'object' && value !== null) {
    for (const [step, part] of parts(value)) {
      if (seen.has(part)) continue;
      try {
        new Serializer().writeValue(part);
      } catch (inner) {
        if (inner instanceof CloneError) return blame(part, inner, seen).within(step);
      }
    }
  }
  return new Refusal(`the structured clone algorithm cannot copy it (${error.message})`);
}
