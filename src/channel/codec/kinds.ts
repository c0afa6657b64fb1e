/**
 * What kind of object a value is, for the codecs. Decided by its internal type and by its prototype: an instance of a class of your own,
 * which would arrive without that class, is not mistaken for the base class.
 */
import { types } from 'node:util';
import { property, Refusal } from './refusal.js';

export type Kind =
  | 'plain'
  | 'array'
  | 'map'
  | 'set'
  | 'date'
  | 'regexp'
  | 'error'
  | 'view'
  | 'buffer'
  | 'boxed'
  /** None of these: an instance of some other class. */
  | 'other';

const { getPrototypeOf, getOwnPropertySymbols, prototype: objectPrototype } = Object;
const { isArray, prototype: arrayPrototype } = Array;
const { isView } = ArrayBuffer;
const { propertyIsEnumerable: isEnumerable } = objectPrototype;

const viewClasses = ['DataView', 'Float16Array', 'BigInt64Array', 'BigUint64Array', 'Float32Array', 'Float64Array']
  .concat(['Int8Array', 'Int16Array', 'Int32Array', 'Uint8Array', 'Uint16Array', 'Uint32Array', 'Uint8ClampedArray'])
  .flatMap((name) => (globalThis as unknown as Record<string, { prototype: object } | undefined>)[name] ?? []);
export const errorClasses: ErrorConstructor[] = [
  ...[Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError],
  AggregateError as unknown as ErrorConstructor,
];
const kinds: [Kind, (value: unknown) => boolean, readonly { prototype: object }[]][] = [
  ['map', types.isMap, [Map]],
  ['set', types.isSet, [Set]],
  ['date', types.isDate, [Date]],
  ['regexp', types.isRegExp, [RegExp]],
  ['error', types.isNativeError, errorClasses],
  ['view', isView, [...viewClasses, Buffer]],
  ['buffer', types.isArrayBuffer, [ArrayBuffer]],
  ['boxed', types.isBoxedPrimitive, [Number, String, Boolean, BigInt]],
];
const ofPrototype = new Map(
  kinds.flatMap(([kind, is, classes]) => classes.map(({ prototype }) => [prototype, { kind, is }] as const)),
);

/** The kind of anything that is neither `null` nor a primitive nor a function. */
export function kindOf(value: object): Kind {
  const prototype = getPrototypeOf(value);
  if (isArray(value)) return prototype === arrayPrototype || isForeignArray(prototype) ? 'array' : 'other';
  if (prototype === objectPrototype || prototype === null) return 'plain';
  const known = ofPrototype.get(prototype);
  if (known !== undefined) return known.is(value) ? known.kind : 'other';
  return foreignKind(value, prototype);
}
/** In another realm (`node:vm`, test runners) the classes differ, but are at the same distance below its `Object.prototype`. */
function foreignKind(value: object, prototype: object): Kind {
  const depth = ancestors(prototype);
  if (depth === 0) return Object.hasOwn(prototype, 'isPrototypeOf') ? 'plain' : 'other';
  if (prototype instanceof Object) return 'other'; // a class of this realm
  for (const [kind, is] of kinds) {
    if (!is(value)) continue;
    if (kind === 'error') return errorClassOf(value) === undefined ? 'other' : 'error';
    return depth === (kind === 'view' && !types.isDataView(value) ? 2 : 1) ? kind : 'other';
  }
  return 'other';
}
function isForeignArray(prototype: unknown): boolean {
  return isArray(prototype) && !(prototype instanceof Object);
}
function ancestors(prototype: object): number {
  let count = 0;
  for (let next = getPrototypeOf(prototype); next !== null; next = getPrototypeOf(next)) count++;
  return count;
}

/** The name of an error's class, if it is one of JavaScript's own. */
export function errorClassOf(error: object): string | undefined {
  const prototype = getPrototypeOf(error);
  const maker = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
  const known = errorClasses.find((each) => each === maker);
  if (known !== undefined || prototype instanceof Object) return known?.name;
  return errorClasses.find((each) => each.name === maker?.name)?.name;
}

/** Properties under symbols cannot be encoded. */
export function refuseSymbols(value: object): void {
  const symbols = getOwnPropertySymbols(value);
  if (symbols.length === 0) return;
  for (const symbol of symbols) {
    if (!isEnumerable.call(value, symbol)) continue;
    throw new Refusal('the key of a property must be a string, not a symbol').within(property(symbol));
  }
}
/** Extra properties of a Map, a Date or the like. */
export function refuseProperties(value: object, what: string): void {
  refuseSymbols(value);
  for (const key of Object.keys(value)) {
    throw new Refusal(`extra properties of ${what} are not sent`).within(property(key));
  }
}
const { keys } = Uint8Array.prototype;
const byteLength = Object.getOwnPropertyDescriptor(DataView.prototype, 'byteLength')!.get!;
/** A view whose memory was transferred, or has become smaller than the view: it has no bytes, and is not empty either. */
export function refuseDetached(view: ArrayBufferView): void {
  if (view.byteLength > 0) return;
  try {
    if (types.isDataView(view)) byteLength.call(view);
    else keys.call(view as Uint8Array);
  } catch (cause) {
    throw new Refusal('its buffer is detached, or has become smaller than the view', cause);
  }
}
/** Buffers without bytes, or with a variable length. */
export function refuseUnsteady(buffer: ArrayBuffer & { readonly resizable?: boolean }): void {
  if (buffer.resizable === true) throw new Refusal('it is a resizable buffer; send a view of it');
  try {
    new Uint8Array(buffer);
  } catch (cause) {
    throw new Refusal('the buffer is detached', cause);
  }
}
/** Why nothing of that type can be sent. */
export function refusePrimitive(value: unknown): Refusal {
  return new Refusal(`${typeof value === 'function' ? 'functions' : 'symbols'} cannot leave their process`);
}
export function refuseInstance(value: object): Refusal {
  if (types.isPromise(value)) return new Refusal('it is a promise; await it first');
  if (types.isSharedArrayBuffer(value)) return new Refusal('shared memory cannot be copied; send a view of it');
  const maker = (value as { constructor?: unknown }).constructor;
  const name = typeof maker === 'function' && maker.name !== '' ? maker.name : 'unnamed';
  return new Refusal(`an instance of class ${name} would arrive without its class. Send a plain object with its data`);
}
/** The start of the next search is not encoded. */
export function refuseStarted(value: RegExp): void {
  if (value.lastIndex !== 0) throw new Refusal(`its lastIndex is ${String(value.lastIndex)}, and would arrive as 0`);
}
