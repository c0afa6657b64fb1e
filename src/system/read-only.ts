/** Makes properties as read-only as their types say. */

/**
 * From now on an assignment to these properties of `object` is a TypeError. Other code relies on their values: a segment is unlinked by its
 * name, bytes are counted by its size. They stay own properties, so that the object can be inspected. Not for objects that are created by
 * the thousand; those have private fields and getters.
 */
export function readOnly<T extends object>(object: T, ...names: (keyof T & string)[]): void {
  for (const name of names) Object.defineProperty(object, name, { writable: false, configurable: false });
}
