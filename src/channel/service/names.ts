/** Names that no method can have. */
import { invalidArgument } from '../../system/errors.js';

const OWN = new Set(['close', 'ref', 'unref']);
/** `then` would make the client a promise, `JSON.stringify` reads `toJSON`, and the others are the client's own or every object's. */
export function isReserved(method: string): boolean {
  return (
    method === 'then' || method === 'toJSON' || OWN.has(method) || method.startsWith('$') || method in Object.prototype
  );
}

export type Handler = (this: unknown, ...args: unknown[]) => unknown;

/** The functions that `handlers` itself has: inherited ones, and those that are added later, cannot be called. */
export function methodsOf(handlers: unknown): Map<string, Handler> {
  if (typeof handlers !== 'object' || handlers === null)
    throw invalidArgument('ERR_INVALID_ARG_TYPE', 'handlers', 'an object with functions', handlers);
  const methods = new Map<string, Handler>();
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(handlers))) {
    if (typeof value !== 'function') continue;
    if (isReserved(name)) {
      const expected =
        "functions whose names a client can call: not then, toJSON, close, ref, unref, a name that every object has, or one that begins with '$'";
      throw invalidArgument('ERR_INVALID_ARG_VALUE', 'handlers', expected, name);
    }
    methods.set(name, value as Handler);
  }
  if (methods.size > 0) return methods;
  const expected = 'an object that has functions of its own (the methods of a class belong to its prototype)';
  throw invalidArgument('ERR_INVALID_ARG_VALUE', 'handlers', expected, handlers);
}
