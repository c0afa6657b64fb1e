/**
 * Values to MessagePack. Checks while it writes, so that whatever cannot arrive equal is refused: a second walk over each value would
 * cost as much as the first.
 */

import {
  errorClassOf,
  kindOf,
  refuseDetached,
  refuseInstance,
  refusePrimitive,
  refuseProperties,
  refuseStarted,
  refuseSymbols,
  refuseUnsteady,
} from '../kinds.js';
import { element, entry, MAX_DEPTH, nth, property, Refusal, within } from '../refusal.js';
import { ARRAY_BUFFER, ERROR, MAP, REGEXP, SET, UNDEFINED, viewNumber } from './format.js';
import { MsgpackOutput } from './output.js';

const { getPrototypeOf, getOwnPropertySymbols, prototype: objectPrototype } = Object;
const { isArray, prototype: arrayPrototype } = Array;
const { hasOwnProperty: hasOwn, propertyIsEnumerable: isEnumerable } = objectPrototype;

export class MsgpackEncoder extends MsgpackOutput {
  #depth = 0;
  #busy = false;

  /**
   * The bytes of a value, until the next call. Throws a {@link Refusal}, or what the value's own getters throw.
   * A getter may encode another value meanwhile.
   */
  encode(value: unknown): Uint8Array {
    if (this.#busy) return new MsgpackEncoder().encode(value);
    this.#busy = true;
    this.at = this.#depth = 0;
    try {
      this.#write(value);
      return this.written();
    } finally {
      this.#busy = false;
      this.forget();
    }
  }

  #write(value: unknown): void {
    if (this.at > this.limit) this.grow(0);
    if (typeof value === 'string') this.text(value);
    else if (typeof value === 'number') this.number(value);
    else if (typeof value === 'object') {
      if (value === null) this.memory[this.at++] = 0xc0;
      else this.#object(value);
    } else if (typeof value === 'boolean') this.memory[this.at++] = value ? 0xc3 : 0xc2;
    else if (value === undefined) {
      this.fixed(0xd4, UNDEFINED);
      this.memory[this.at++] = 0;
    } else if (typeof value === 'bigint') this.bigint(value);
    else throw refusePrimitive(value);
  }

  #object(value: object): void {
    if (++this.#depth > MAX_DEPTH) throw Refusal.tooDeep();
    const prototype = getPrototypeOf(value);
    if (isArray(value)) {
      if (prototype === arrayPrototype || kindOf(value) === 'array') this.#array(value);
      else throw refuseInstance(value);
    } else if (prototype === objectPrototype || prototype === null) this.#plain(value as Record<string, unknown>);
    else this.#other(value);
    this.#depth--;
  }
  #array(value: readonly unknown[]): void {
    const { length } = value;
    if (length < 0x10) this.memory[this.at++] = 0x90 | length;
    else this.longArray(length);
    let i = 0;
    try {
      for (; i < length; i++) {
        const inner = value[i];
        if (inner === undefined && !(i in value)) throw new Refusal('the array has a hole there');
        this.#write(inner);
      }
    } catch (error) {
      throw within(error, element(i));
    }
  }
  #plain(value: Record<string, unknown>): void {
    if (getOwnPropertySymbols(value).length > 0) refuseSymbols(value);
    const start = this.at++;
    let count = 0;
    let last = '';
    try {
      for (const key in value) {
        if (!hasOwn.call(value, key)) continue;
        last = key;
        this.text(key);
        this.#write(value[key]);
        count++;
      }
    } catch (error) {
      throw within(error, property(last));
    }
    if (count < 0x10) this.memory[start] = 0x80 | count;
    else this.longMap(start, count);
  }

  #other(value: object): void {
    switch (kindOf(value)) {
      case 'plain':
        this.#plain(value as Record<string, unknown>);
        break;
      case 'date':
        this.date(value as Date);
        break;
      case 'map':
        this.#map(value as Map<unknown, unknown>);
        break;
      case 'set':
        this.#set(value as Set<unknown>);
        break;
      case 'view':
        this.#view(value as ArrayBufferView);
        break;
      case 'buffer':
        this.#buffer(value as ArrayBuffer);
        break;
      case 'regexp':
        this.#regexp(value as RegExp);
        break;
      case 'error':
        this.#error(value as Error);
        break;
      case 'boxed':
        throw new Refusal('it is a boxed primitive; send the primitive');
      default:
        throw refuseInstance(value);
    }
  }
  #map(value: Map<unknown, unknown>): void {
    refuseProperties(value, 'a Map');
    const start = this.begin();
    let i = 0;
    for (const [key, inner] of value) {
      this.#inner(key, () => nth('keys', i));
      this.#inner(inner, () => entry(key));
      i++;
    }
    this.end(start, MAP);
  }
  #set(value: Set<unknown>): void {
    refuseProperties(value, 'a Set');
    const start = this.begin();
    let i = 0;
    for (const inner of value) {
      this.#inner(inner, () => nth('values', i));
      i++;
    }
    this.end(start, SET);
  }
  #inner(value: unknown, step: () => string): void {
    try {
      this.#write(value);
    } catch (error) {
      throw within(error, error instanceof Refusal ? step() : '');
    }
  }
  #view(value: ArrayBufferView): void {
    refuseSymbols(value);
    refuseDetached(value);
    const bytes = new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength);
    const name = value instanceof Uint8Array ? 'Uint8Array' : String(getPrototypeOf(value).constructor.name);
    if (name === 'Uint8Array') {
      this.room(bytes.length);
      this.sized(0xc4, bytes.length);
      this.memory.set(bytes, this.at);
      this.at += bytes.length;
    } else this.raw(viewNumber(name), bytes);
  }
  #buffer(value: ArrayBuffer): void {
    refuseProperties(value, 'an ArrayBuffer');
    refuseUnsteady(value);
    this.raw(ARRAY_BUFFER, new Uint8Array(value));
  }
  #regexp(value: RegExp): void {
    refuseProperties(value, 'a RegExp');
    refuseStarted(value);
    const start = this.begin();
    this.#write(value.source);
    this.#write(value.flags);
    this.end(start, REGEXP);
  }
  #error(value: Error): void {
    refuseSymbols(value);
    const start = this.begin();
    this.#write(errorClassOf(value));
    this.#plain(hiddenOf(value));
    this.#plain(Object.fromEntries(Object.entries(value)));
    this.end(start, ERROR);
  }
}

/** What an error has that `for in` does not show. */
function hiddenOf(error: Error): Record<string, unknown> {
  const hidden: Record<string, unknown> = {};
  for (const key of ['name', 'message', 'stack', 'cause', 'errors']) {
    if (!hasOwn.call(error, key) || isEnumerable.call(error, key)) continue;
    const value = (error as unknown as Record<string, unknown>)[key];
    // What Error.prepareStackTrace makes of a stack may be anything.
    if (key !== 'stack' || typeof value === 'string') hidden[key] = value;
  }
  return hidden;
}
