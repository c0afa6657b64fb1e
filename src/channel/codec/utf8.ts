/** Undocumented methods of Node's `Buffer`: `toString` and `write` without the detours that cost more than the work. */
const methods = Buffer.prototype as unknown as {
  utf8Slice(this: Uint8Array, start: number, end: number): string;
  utf8Write(this: Uint8Array, text: string, offset: number, length: number): number;
};
export const { utf8Slice, utf8Write } = methods;
/** A method of `String` that is newer than the configured library of types. */
export const { isWellFormed } = String.prototype as unknown as { isWellFormed(this: string): boolean };
