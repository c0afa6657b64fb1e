/** Properties that are as read-only as their types say. */

/**
 * From now on an assignment to these properties of `object` is a TypeError. What they say is relied on: a segment is unlinked by its
 * name, bytes are counted by its size. They stay the object's own, so that it can be looked at. For objects that are not made by the
 * thousand; those have private fields and getters.
 */
export function readOnly<T extends object>(object: T, ...names: (keyof T & string)[]): void {
  for (const name of names) Object.defineProperty(object, name, { writable: false, configurable: false });
}
