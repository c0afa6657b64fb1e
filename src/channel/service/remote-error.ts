/**
 * Errors on their way to another process, as JSON: their class, message and stack.
 *
 * The class is sent as its name and the names of its base classes. If the receiver has the same class, JavaScript's or vecino's, it creates
 * that one; otherwise the nearest base class that it has, with the original name. Nothing that is received is executed, or looked up
 * anywhere but in the list below.
 */
import { inspect } from 'node:util';
import * as errors from '../../system/errors.js';
import { FullError } from '../full-error.js';

type Class = new (...args: never[]) => Error;
const classes = new Map<string, Class>();
for (const each of [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError])
  classes.set(each.name, each as Class);
const builtIn = new Set(classes.keys());
for (const each of Object.values(errors))
  if (typeof each === 'function' && each.prototype instanceof Error) classes.set(each.name, each as Class);
classes.set(FullError.name, FullError);

/** Properties that are sent too, if they are strings or numbers. */
const DETAILS = ['code', 'errno', 'syscall', 'path', 'dest'] as const;
/** The depth of causes, the errors of an AggregateError, the errors within one error, the characters of a text. */
const MAX_CAUSE_DEPTH = 8;
const MAX_AGGREGATED = 32;
const MAX_ERRORS = 64;
const MAX_TEXT_LENGTH = 16_384;

interface Told {
  classes?: unknown;
  name?: unknown;
  message?: unknown;
  stack?: unknown;
  cause?: unknown;
  errors?: unknown;
  [detail: string]: unknown;
}

/**
 * Never throws: a handler can throw anything, even an object that throws when it is read.
 *
 * @param where for the message if the thrown value is not an error
 */
export function encodeError(error: unknown, where: string): string {
  let left = MAX_ERRORS;
  const one = (each: unknown, depth: number): Told => {
    left--;
    try {
      return tell(each, where, depth, (inner) => (left > 0 ? one(inner, depth + 1) : undefined));
    } catch {
      return { classes: ['Error'], name: 'Error', message: `${where} threw a value that cannot be read` };
    }
  };
  return JSON.stringify(one(error, 0));
}
/** @param inner encodes an error inside of it, unless there are too many */
function tell(error: unknown, where: string, depth: number, inner: (error: unknown) => Told | undefined): Told {
  if (!(error instanceof Error)) {
    return {
      classes: ['Error'],
      name: 'Error',
      message: `${where} threw a value that is not an error: ${shown(error)}`,
    };
  }
  const told: Told = { classes: ancestry(error), name: nameOf(error), message: text(() => error.message) };
  const stack = text(() => error.stack);
  if (stack !== '') told.stack = stack;
  for (const detail of DETAILS) {
    const value = read(() => (error as unknown as Record<string, unknown>)[detail]);
    if (typeof value === 'number' || typeof value === 'string') told[detail] = value;
  }
  if (depth >= MAX_CAUSE_DEPTH) return told;
  const cause = read(() => error.cause);
  if (isError(cause)) told.cause = inner(cause);
  const all = read(() => (error as AggregateError).errors);
  if (error instanceof AggregateError && read(() => Array.isArray(all)) === true) {
    const list = all as unknown[];
    const count = Math.min(list.length, MAX_AGGREGATED >> depth);
    told.errors = Array.from({ length: count }, (_, i) => inner(read(() => list[i]))).filter(Boolean);
  }
  return told;
}
function isError(value: unknown): boolean {
  return read(() => value instanceof Error) === true;
}
/** The names of its classes, its own first. */
function ancestry(error: Error): string[] {
  const names: string[] = [];
  let prototype: object | null = Object.getPrototypeOf(error);
  for (; prototype !== null && prototype !== Object.prototype && names.length < MAX_AGGREGATED; ) {
    const maker = read(() => (prototype as { constructor?: unknown }).constructor);
    if (typeof maker === 'function' && typeof maker.name === 'string') names.push(maker.name.slice(0, 200));
    prototype = Object.getPrototypeOf(prototype);
  }
  return names;
}
/** Its name, or that of its class if it only inherits the name of a built-in one. */
function nameOf(error: Error): string {
  const name = text(() => error.name);
  const [own = name] = ancestry(error);
  // Node's own errors have an internal class NodeError.
  return builtIn.has(name) && own !== '' && own !== 'NodeError' && !Object.hasOwn(error, 'name') ? own : name;
}
function read(get: () => unknown): unknown {
  try {
    return get();
  } catch {
    return undefined; // a getter that throws
  }
}
function text(get: () => unknown): string {
  const value = read(get);
  return typeof value === 'string' ? value.slice(0, MAX_TEXT_LENGTH) : value === undefined ? '' : shown(value);
}
function shown(value: unknown): string {
  try {
    return inspect(value, { depth: 1, maxStringLength: 1000, maxArrayLength: 20 }).slice(0, MAX_TEXT_LENGTH);
  } catch {
    return '(a value that cannot be shown)';
  }
}

/** Creates an error of this process from one that was received. `stack` is filled in where it is thrown. */
export function decodeError(json: string): Error {
  let told: unknown;
  try {
    told = JSON.parse(json);
  } catch {}
  if (typeof told !== 'object' || told === null)
    throw new errors.CorruptError('the peer sent an error that cannot be decoded');
  return revive(told as Told, 0);
}
function revive(told: Told, depth: number): Error {
  const message = string(told.message);
  const name = string(told.name) || 'Error';
  const names = Array.isArray(told.classes) ? told.classes : [];
  const known = names.find((each) => typeof each === 'string' && (classes.has(each) || each === 'DOMException'));
  const error = known === 'DOMException' ? exception(message, name) : new Error(message);
  const type = classes.get(known);
  if (type !== undefined) Object.setPrototypeOf(error, type.prototype);
  if (error.name !== name) define(error, 'name', name, false);
  for (const detail of DETAILS) {
    const value = told[detail];
    if (typeof value !== 'number' && typeof value !== 'string') continue;
    if (!(error instanceof DOMException)) define(error, detail, value, true);
  }
  if (depth < MAX_CAUSE_DEPTH) {
    if (typeof told.cause === 'object' && told.cause !== null)
      define(error, 'cause', revive(told.cause as Told, depth + 1), false);
    if (error instanceof AggregateError) {
      const all = Array.isArray(told.errors) ? told.errors.slice(0, MAX_AGGREGATED) : [];
      const objects = all.filter((each) => typeof each === 'object' && each !== null);
      define(
        error,
        'errors',
        objects.map((each) => revive(each, depth + 1)),
        false,
      );
    }
  }
  const stack = string(told.stack);
  if (stack !== '') define(error, 'remoteStack', stack, true);
  if (depth > 0 && stack !== '') define(error, 'stack', stack, false);
  return error;
}
function exception(message: string, name: string): Error {
  return new DOMException(message, name);
}
function string(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
function define(error: Error, name: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(error, name, { value, enumerable, writable: true, configurable: true });
}
