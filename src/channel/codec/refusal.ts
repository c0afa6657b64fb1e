/** What a codec throws when it cannot carry a part of a value, and the path of that part. */
import { inspect } from 'node:util';
import { NotEncodableError } from '../../system/errors.js';

/**
 * How deep arrays, objects, maps and sets can be nested. A fixed number, the same for encoding and decoding: with the stack as the limit, a
 * value could be sent that its receiver cannot read.
 */
export const MAX_DEPTH = 500;
const TOO_DEEP = 'too deep';

/** Thrown only inside a codec; each container that it passes on its way out prepends its own step to the path. */
export class Refusal {
  #path = '';
  readonly reason: string;
  readonly cause: unknown;
  constructor(reason: string, cause?: unknown) {
    this.reason = reason;
    this.cause = cause;
  }
  static tooDeep(): Refusal {
    return new Refusal(TOO_DEEP);
  }
  /** The same, inside of the part that `step` leads to. */
  within(step: string): this {
    this.#path = step + this.#path;
    return this;
  }
  /** @param value the value to encode */
  toError(codec: string, value: unknown): NotEncodableError {
    const options = this.cause === undefined ? undefined : { cause: this.cause };
    if (this.reason !== TOO_DEEP) {
      return new NotEncodableError(
        shortened(`value${this.#path}`),
        `cannot be sent as ${codec}: ${this.reason}`,
        options,
      );
    }
    const circle = findCircle(value, 'value', new Map(), new Set());
    if (circle === undefined) {
      const reason = `cannot be sent as ${codec}: it is nested more than ${MAX_DEPTH} levels deep`;
      return new NotEncodableError(shortened(`value${this.#path}`), reason);
    }
    const reason = `cannot be sent as ${codec}: it refers back to ${shortened(circle.same)}, so the value is circular`;
    return new NotEncodableError(shortened(circle.path), reason);
  }
}

/** Adds a step to an error on its way out of a container. */
export function within(error: unknown, step: string): unknown {
  return error instanceof Refusal ? error.within(step) : error;
}

const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
/** A step to a property, as in source text. */
export function property(key: string | symbol): string {
  if (typeof key === 'symbol') return `[${String(key)}]`;
  if (IDENTIFIER.test(key)) return `.${key}`;
  return /^(0|[1-9]\d*)$/.test(key) ? `[${key}]` : `[${JSON.stringify(key)}]`;
}
export const element = (index: number): string => `[${index}]`;
/** A step to the value of a Map's entry. */
export const entry = (key: unknown): string =>
  `.get(${inspect(key, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 60 })})`;
/** A step to a key of a Map, or to a member of a Set. */
export const nth = (of: 'keys' | 'values', index: number): string => `.${of}()[${index}]`;

const MAX_QUOTED_LENGTH = 200;
function shortened(path: string): string {
  if (path.length <= MAX_QUOTED_LENGTH) return path;
  return `${path.slice(0, MAX_QUOTED_LENGTH / 2)}…${path.slice(-MAX_QUOTED_LENGTH / 2)}`;
}

interface Circle {
  path: string;
  /** Where the same object occurs first. */
  same: string;
}
/** Only for the message: the first place where an object contains itself. Searches no deeper than a codec does. */
function findCircle(
  value: unknown,
  path: string,
  around: Map<object, string>,
  without: Set<object>,
): Circle | undefined {
  if (typeof value !== 'object' || value === null || without.has(value) || around.size > MAX_DEPTH) return undefined;
  const same = around.get(value);
  if (same !== undefined) return { path, same };
  around.set(value, path);
  for (const [step, inner] of parts(value)) {
    const circle = findCircle(inner, path + step, around, without);
    if (circle !== undefined) return circle;
  }
  around.delete(value);
  without.add(value);
  return undefined;
}
/** The parts of an object, each with the step that leads there. */
export function* parts(value: object): Generator<[string, unknown]> {
  if (value instanceof Map) {
    let i = 0;
    for (const [key, inner] of value) {
      yield [nth('keys', i++), key];
      yield [entry(key), inner];
    }
  } else if (value instanceof Set) {
    let i = 0;
    for (const inner of value) yield [nth('values', i++), inner];
  } else if (!ArrayBuffer.isView(value)) {
    for (const key of Object.keys(value)) {
      yield [property(key), (value as Record<string, unknown>)[key]];
    }
    if (value instanceof Error) {
      yield ['.cause', value.cause];
      yield ['.errors', (value as AggregateError).errors];
    }
  }
}
