/**
 * Whether JSON or V8's structured clone preserves a value: a walk over it beforehand, because neither of them reports what it leaves out or
 * changes.
 */
import { types } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import {
  errorClassOf,
  kindOf,
  refuseDetached,
  refuseInstance,
  refusePrimitive,
  refuseProperties,
  refuseStarted,
  refuseSymbols,
} from './kinds.js';
import { element, entry, MAX_DEPTH, nth, property, Refusal, within } from './refusal.js';

/** What JSON preserves: its own values, and nothing that must be converted. */
export function checkJson(value: unknown, depth = 0): void {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return;
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Refusal(`JSON has no ${value}`);
    if (value === 0 && 1 / value < 0) throw new Refusal('JSON has no -0');
    return;
  }
  if (typeof value === 'object') checkJsonObject(value, depth);
  else throw refuseNonJson(value);
}
function refuseNonJson(value: unknown): Refusal {
  if (value === undefined) return new Refusal('JSON has no undefined; use null, or leave it out');
  if (typeof value === 'bigint') return new Refusal('JSON has no bigint; send a string');
  return refusePrimitive(value);
}
function checkJsonObject(value: object, depth: number): void {
  if (depth >= MAX_DEPTH) throw Refusal.tooDeep();
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function' && kindOf(value) !== 'other') {
    throw new Refusal('it has a toJSON() method, so the result of that would arrive instead; send that result');
  }
  const kind = kindOf(value);
  if (kind === 'array') checkElements(value as unknown[], (inner) => checkJson(inner, depth + 1));
  else if (kind === 'plain') checkProperties(value, (inner) => checkJson(inner, depth + 1));
  else if (kind === 'other') throw refuseInstance(value);
  else if (kind === 'boxed') throw new Refusal('it is a boxed primitive; send the primitive');
  else throw new Refusal(`JSON has no ${value.constructor.name}`);
}
/** Elements, each there, and nothing else. */
function checkElements(value: readonly unknown[], check: (inner: unknown) => void): void {
  refuseSymbols(value);
  for (let i = 0; i < value.length; i++) {
    const inner = value[i];
    if (inner === undefined && !(i in value)) {
      throw new Refusal('the array has a hole there').within(element(i));
    }
    checkInner(inner, check, () => element(i));
  }
  const keys = Object.keys(value);
  if (keys.length === value.length) return;
  throw new Refusal('extra properties of an array are not sent').within(property(keys[value.length]!));
}
function checkProperties(value: object, check: (inner: unknown) => void): void {
  refuseSymbols(value);
  for (const key of Object.keys(value)) {
    checkInner((value as Record<string, unknown>)[key], check, () => property(key));
  }
}
function checkInner(value: unknown, check: (inner: unknown) => void, step: () => string): void {
  try {
    check(value);
  } catch (error) {
    throw within(error, error instanceof Refusal ? step() : '');
  }
}

/** Whether this Node's structured clone keeps the cause of an error. */
const keepsCause = (deserialize(serialize(new Error('', { cause: 1 }))) as Error).cause === 1;

/** What the structured clone preserves. Repeated objects, circular ones included, are preserved. */
export class StructuredCheck {
  readonly #seen = new Set<object>();
  readonly #next = (inner: unknown): void => this.check(inner);
  #depth = 0;

  check(value: unknown): void {
    if (typeof value === 'object') {
      if (value === null || this.#seen.has(value)) return;
      this.#seen.add(value);
      if (++this.#depth > MAX_DEPTH) throw Refusal.tooDeep();
      this.#object(value);
      this.#depth--;
    } else if (typeof value === 'function' || typeof value === 'symbol') throw refusePrimitive(value);
  }
  #object(value: object): void {
    if (types.isProxy(value)) throw new Refusal('the structured clone algorithm does not copy proxies');
    switch (kindOf(value)) {
      case 'array':
      case 'plain':
        checkProperties(value, this.#next);
        break;
      case 'map': {
        refuseProperties(value, 'a Map');
        let i = 0;
        for (const [key, inner] of value as Map<unknown, unknown>) {
          checkInner(key, this.#next, () => nth('keys', i));
          checkInner(inner, this.#next, () => entry(key));
          i++;
        }
        break;
      }
      case 'set': {
        refuseProperties(value, 'a Set');
        let i = 0;
        for (const inner of value as Set<unknown>) {
          checkInner(inner, this.#next, () => nth('values', i));
          i++;
        }
        break;
      }
      case 'error':
        this.#error(value as Error);
        break;
      case 'view':
        refuseSymbols(value);
        refuseDetached(value as ArrayBufferView);
        break;
      case 'regexp':
        refuseProperties(value, 'a RegExp');
        refuseStarted(value as RegExp);
        break;
      case 'date':
        refuseProperties(value, 'a Date');
        break;
      case 'buffer':
        refuseProperties(value, 'an ArrayBuffer');
        break;
      case 'boxed':
        if (!types.isStringObject(value)) refuseProperties(value, 'a boxed primitive');
        break;
      default:
        throw refuseInstance(value);
    }
  }
  #error(value: Error): void {
    refuseProperties(value, 'an Error');
    if (Object.hasOwn(value, 'name')) throw new Refusal('the name of an Error is not sent').within('.name');
    if (typeof value.message !== 'string')
      throw new Refusal('the message of an Error must be a string').within('.message');
    for (const key of ['cause', 'errors'] as const) {
      if (!Object.hasOwn(value, key)) continue;
      if (key === 'errors' || !keepsCause) {
        throw new Refusal(
          `the structured clone algorithm does not copy this property of an ${errorClassOf(value)}`,
        ).within(property(key));
      }
      checkInner(value.cause, this.#next, () => '.cause');
    }
  }
}
